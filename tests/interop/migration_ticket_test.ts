import { assert, assertEquals } from "@std/assert";
import { formatTransport, listen } from "../../channel/mod.ts";
import { ObjectRegistry } from "../../creds/mod.ts";
import { type ByteChannel, chooseEngine, type EngineName } from "../../engine/mod.ts";
import { defaultParameters } from "../../migration/parameters.ts";
import { migrationEnd, runState } from "../../migration/qmp_client.ts";
import { readStream } from "../../migration/stream_reader.ts";
import { runTarget, type TargetEvent } from "../../migration/target_service.ts";
import { qemuTls } from "../migration/programs.ts";
import { ANY } from "../migration/running_target.ts";
import { makePki } from "../support/pki.ts";
import { programTest } from "../support/programs.ts";
import { startQemu } from "../support/qemu.ts";
import { soakCount, soakRow } from "../support/soak.ts";
import { temporaryDirectory } from "../support/temp.ts";

/** One of them has to be enough to show that a source which never reads loses nothing to us. */
const WAYS: readonly [engine: EngineName, returnPath: boolean, full: number][] = [
  ["gnutls", false, 500],
  ["gnutls", true, 100],
  ["platform", false, 250],
  ["platform", true, 100],
];

for (const [name, returnPath, full] of WAYS) {
  programTest(
    `receptions from a QEMU ${returnPath ? "with" : "without"} return path are whole (${name})`,
    ["qemu-system-x86_64"],
    async () => {
      const count = soakCount(full, 5);
      using temp = temporaryDirectory();
      const pki = await makePki(`${temp.path}/pki`, {
        hosts: [{ name: "vm1" }, { name: "vm2", ip: ["127.0.0.1"] }],
      });
      using objects = new ObjectRegistry({ engine: await chooseEngine(name) });
      await objects.add(`tls-creds-x509,id=tls0,dir=${pki.host("vm2")},endpoint=server`);
      const stop = new AbortController();
      const events: TargetEvent[] = [];
      let changed = Promise.withResolvers<void>();
      const target = runTarget({
        address: { kind: "tcp", host: "127.0.0.1", port: 0 },
        objects,
        parameters: { ...defaultParameters(), "tls-creds": "tls0" },
        serve: true,
        signal: stop.signal,
        onEvent: (event) => {
          events.push(event);
          changed.resolve();
          changed = Promise.withResolvers();
        },
      });
      const ends = () => events.filter(({ kind }) => kind !== "active" && kind !== "listening");
      await using qemu = await startQemu();
      await qemuTls(qemu, pki.host("vm1"), "client");
      await qemu.qmp.execute("migrate-set-capabilities", {
        capabilities: [{ capability: "return-path", state: returnPath }],
      });
      const [first] = events;
      assert(first?.kind === "listening");
      for (let i = 1; i <= count; i++) {
        await qemu.qmp.execute("migrate", { uri: formatTransport(first.address) });
        const end = await migrationEnd(qemu.qmp);
        assertEquals(end.status, "completed", `${i}: ${end["error-desc"]}`);
        while (ends().length < i) await changed.promise;
        await runState(qemu.qmp, "postmigrate");
        await qemu.qmp.execute("cont");
      }
      stop.abort();
      await target.catch(() => {});
      for (const event of ends()) {
        assert(event.kind === "completed", String("error" in event && event.error));
        assertEquals(event.reception.summary.validation?.kind, "sections");
      }
      soakRow(
        `receptions ${returnPath ? "with" : "without"} return path, ${name}`,
        count,
        "none truncated",
      );
    },
  );
}

/** Attempts of which one at least must lose its end where tickets are sent, and none without. */
const ATTEMPTS = 20;

/** The servers that send tickets: GnuTLS's when asked to, the platform's where TLS 1.3 is. */
const TICKETS: readonly [engine: EngineName, tickets: boolean][] = [
  ["gnutls", true],
  ["platform", true],
  ["gnutls", false],
  ["platform", false],
];

for (const [name, tickets] of TICKETS) {
  programTest(
    `a QEMU without return path that is sent ${tickets ? "a ticket" : "no ticket"} ${
      tickets ? "loses the end of its stream unknown to it" : "loses nothing to a slow reader"
    } (${name})`,
    ["qemu-system-x86_64"],
    async () => {
      using temp = temporaryDirectory();
      const pki = await makePki(`${temp.path}/pki`, {
        hosts: [{ name: "vm1" }, { name: "vm2", ip: ["127.0.0.1"] }],
      });
      using objects = new ObjectRegistry({ engine: await chooseEngine(name) });
      await objects.add(`tls-creds-x509,id=tls0,dir=${pki.host("vm2")},endpoint=server`);
      const { engine, credentials } = objects.tlsCreds("tls0", "server");
      await using listener = await listen(ANY);
      await using qemu = await startQemu();
      await qemuTls(qemu, pki.host("vm1"), "client");
      let truncated = 0;
      const attempts = tickets ? ATTEMPTS : 3;
      for (let i = 1; i <= attempts && truncated === 0; i++) {
        await qemu.qmp.execute("migrate", { uri: formatTransport(listener.address) });
        await using session = await engine.open(await listener.accept(), {
          credentials,
          tickets,
          noTickets: !tickets,
        });
        assertEquals(session.facts.version, tickets || name === "gnutls" ? "TLS1.3" : "TLS1.2");
        // It is done before a byte is read: its end waits in the buffers of the connection.
        const end = await migrationEnd(qemu.qmp);
        assertEquals(end.status, "completed", end["error-desc"]);
        await runState(qemu.qmp, "postmigrate");
        if (!await isWhole(session)) truncated++;
        await qemu.qmp.execute("cont");
      }
      assertEquals(truncated, tickets ? 1 : 0);
    },
  );
}

/** Whether a stream is there up to its end marker; the kernel may have thrown its end away. */
async function isWhole(channel: ByteChannel): Promise<boolean> {
  const reader = readStream();
  const buffer = new Uint8Array(64 * 1024);
  while (!reader.complete) {
    const count = await channel.read(buffer).catch(() => null);
    if (count === null) break;
    reader.push(buffer.subarray(0, count));
  }
  return reader.complete;
}
