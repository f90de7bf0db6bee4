import { assertEquals, assertMatch } from "@std/assert";
import type { Address } from "../../channel/mod.ts";
import { ObjectRegistry } from "../../creds/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { builtInGuest } from "../../migration/guest.ts";
import { defaultParameters } from "../../migration/parameters.ts";
import { migrationEnd, runState } from "../../migration/qmp_client.ts";
import { runSource } from "../../migration/source_service.ts";
import { qemuPlain, qemuTls, startTarget, tlsFlags } from "../migration/programs.ts";
import { daysFromNow, makePki, type Pki } from "../support/pki.ts";
import { programTest } from "../support/programs.ts";
import { incomingAddress, startQemu } from "../support/qemu.ts";
import { temporaryDirectory } from "../support/temp.ts";

async function makeHosts(folder: string): Promise<Pki> {
  return await makePki(`${folder}/pki`, {
    hosts: [
      { name: "good", ip: ["127.0.0.1"] },
      { name: "old", ip: ["127.0.0.1"], clock: daysFromNow(-900) },
      { name: "young", ip: ["127.0.0.1"], clock: daysFromNow(10) },
    ],
  });
}

const unchecked = { "sanity-check": false };

programTest(
  "a QEMU whose certificate is of another time is refused by our target, and refuses ours",
  ["qemu-system-x86_64"],
  async () => {
    using temp = temporaryDirectory();
    const pki = await makeHosts(temp.path);
    await using target = await startTarget(tlsFlags(pki.host("good"), "server"));
    await using qemu = await startQemu();
    const capabilities = [{ capability: "return-path", state: true }];
    await qemu.qmp.execute("migrate-set-capabilities", { capabilities });
    for (const host of ["old", "young"]) {
      await qemuTls(qemu, pki.host(host), "client", unchecked);
      await qemu.qmp.execute("migrate", { uri: target.uri });
      assertEquals((await migrationEnd(qemu.qmp)).status, "failed");
      await target.says(new RegExp(`The certificate is not trusted\\nhint: .*CN=${host} `));
      await qemuPlain(qemu);
    }
    for (const host of ["old", "young"]) {
      await using other = await startTarget([
        ...tlsFlags(pki.host(host), "server", ",sanity-check=off"),
      ]);
      await qemuTls(qemu, pki.host("good"), "client");
      await qemu.qmp.execute("migrate", { uri: other.uri });
      const end = await migrationEnd(qemu.qmp);
      assertEquals(end["error-desc"], "The certificate is not trusted");
      await other.says(/^error: \S+: the peer closed the connection before the first byte/m);
      await qemuPlain(qemu);
    }
  },
);

programTest(
  "our source refuses, and is refused by, a QEMU whose certificate is of another time",
  ["qemu-system-x86_64"],
  async () => {
    using temp = temporaryDirectory();
    const pki = await makeHosts(temp.path);
    const rows: [theirs: string, ours: string, message: RegExp, alive: boolean][] = [
      ["good", "old", /^the peer closed the connection /, true],
      ["good", "young", /^the peer closed the connection /, true],
      ["old", "good", /^The certificate is not trusted$/, false],
      ["young", "good", /^The certificate is not trusted$/, false],
    ];
    for (const [theirs, ours, message, alive] of rows) {
      await using qemu = await startQemu({ args: ["-incoming", "defer"] });
      await qemuTls(qemu, pki.host(theirs), "server", unchecked);
      await qemu.qmp.execute("migrate-incoming", { uri: "tcp:127.0.0.1:0" });
      const sent = await send(await incomingAddress(qemu), pki.host(ours), "tls0");
      assertMatch(sent, message);
      // A QEMU whose handshake had succeeded takes the end for a broken stream.
      if (alive) await runState(qemu.qmp, "inmigrate");
      else assertEquals(await qemu.exit, 1);
    }
  },
);

programTest(
  "our source dials nobody with credentials that are not there, or of the wrong end",
  ["qemu-system-x86_64"],
  async () => {
    using temp = temporaryDirectory();
    const pki = await makeHosts(temp.path);
    await using qemu = await startQemu({ args: ["-incoming", "defer"] });
    await qemuTls(qemu, pki.host("good"), "server");
    await qemu.qmp.execute("migrate-incoming", { uri: "tcp:127.0.0.1:0" });
    const address = await incomingAddress(qemu);
    assertEquals(
      await send(address, pki.host("good"), "nope"),
      "No TLS credentials with id 'nope'",
    );
    assertEquals(
      await send(address, pki.host("good"), "tls0", "server"),
      "Expected TLS credentials for a client endpoint",
    );
    // The same as QEMU says, which has dialled by then.
    await using other = await startQemu();
    await qemuTls(other, pki.host("good"), "server");
    for (
      const [id, message] of [
        ["nope", "No TLS credentials with id 'nope'"],
        ["tls0", "Expected TLS credentials for a client endpoint"],
      ]
    ) {
      await other.qmp.execute("migrate-set-parameters", { "tls-creds": id });
      await using target = await startTarget([]);
      await other.qmp.execute("migrate", { uri: target.uri });
      assertEquals((await migrationEnd(other.qmp))["error-desc"], message);
    }
    await runState(qemu.qmp, "inmigrate");
    assertEquals(qemu.stderr(), "");
  },
);

/** Sends a guest and gives what went wrong. */
async function send(
  address: Address,
  dir: string,
  id: string,
  endpoint: "client" | "server" = "client",
): Promise<string> {
  using objects = new ObjectRegistry({ engine: await chooseEngine() });
  await objects.add(`tls-creds-x509,id=tls0,dir=${dir},endpoint=${endpoint},sanity-check=off`);
  const parameters = { ...defaultParameters(), "tls-creds": id };
  return await runSource({ address, objects, parameters, source: builtInGuest({ ram: 2 ** 20 }) })
    .then(() => "sent", (error) => (error as Error).message);
}
