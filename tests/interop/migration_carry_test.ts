import { assert, assertEquals, assertMatch } from "@std/assert";
import { formatAddress } from "../../channel/mod.ts";
import { migrationEnd, runState } from "../../migration/qmp_client.ts";
import { qemuTls, startProgram, startTarget, tlsFlags } from "../migration/programs.ts";
import { virtcreds } from "../support/command.ts";
import { makePki } from "../support/pki.ts";
import { programTest } from "../support/programs.ts";
import { incomingAddress, startQemu } from "../support/qemu.ts";
import { temporaryDirectory } from "../support/temp.ts";

const HOSTS = [
  { name: "vm1", ip: ["127.0.0.1"] },
  { name: "vm2", ip: ["127.0.0.1"] },
];

/** Machine, capabilities of the source, engine of ours. */
const ROADS: readonly [machine: string, capabilities: readonly string[], engine: string][] = [
  ["pc", [], ""],
  ["q35", [], ""],
  ["pc", ["return-path"], ""],
  ["q35", ["return-path"], "platform"],
  ["pc", [], "platform"],
];

for (const [machine, capabilities, engine] of ROADS) {
  const how = [...capabilities, engine].filter((word) => word !== "").join(", ");
  programTest(
    `a running ${machine} goes into a file and on into a second QEMU over mutual TLS${
      how && ` (${how})`
    }`,
    ["qemu-system-x86_64"],
    async () => {
      using temp = temporaryDirectory();
      const pki = await makePki(`${temp.path}/pki`, { hosts: HOSTS });
      const file = `${temp.path}/guest.mig`;
      const env = { VIRTCREDS_ENGINE: engine };
      {
        await using target = await startTarget(
          [...tlsFlags(pki.host("vm2"), "server"), "--out", file],
          env,
        );
        await using qemu = await startQemu({ machine });
        await qemuTls(qemu, pki.host("vm1"), "client");
        await qemu.qmp.execute("migrate-set-capabilities", {
          capabilities: capabilities.map((capability) => ({ capability, state: true })),
        });
        await runState(qemu.qmp, "running");
        await qemu.qmp.execute("migrate", { uri: target.uri });
        const end = await migrationEnd(qemu.qmp);
        assertEquals(end.status, "completed", `${end["error-desc"]} ${target.stderr()}`);
        assertEquals(await target.exit, 0, target.stderr());
        assertMatch(
          target.stderr(),
          /completed: \d+ bytes in .* MB\/s\), pc-\S+-\d+\.\d+, \d+ device sections verified, TLS1\.\d \S+, peer .*CN=vm1, kept in/,
        );
        assertMatch(target.stderr(), engine === "platform" ? /TLS1\.2/ : /TLS1\.3/);
      }
      assertEquals([...Deno.readDirSync(temp.path)].map((e) => e.name).sort(), [
        "guest.mig",
        "pki",
      ]);
      const inspected = await virtcreds(["migration", "inspect", file, "--json"]);
      assertEquals(inspected.code, 0, inspected.stderr);
      const summary = JSON.parse(inspected.stdout);
      assertEquals(summary.validation.kind, "sections");
      assertEquals(summary.bytes, Deno.statSync(file).size);
      assertEquals(summary.returnPath, capabilities.length > 0);
      assert(summary.devices.some((d: { idstr: string }) => d.idstr === "globalstate"));

      await using second = await startQemu({ machine, args: ["-incoming", "defer"] });
      await qemuTls(second, pki.host("vm2"), "server");
      await second.qmp.execute("migrate-incoming", { uri: "tcp:127.0.0.1:0" });
      const uri = formatAddress(await incomingAddress(second));
      await using source = startProgram("source", [
        ...tlsFlags(pki.host("vm1"), "client"),
        "--migrate",
        uri,
        "--in",
        file,
      ], env);
      assertEquals(await source.exit, 0, source.stderr() + second.stderr());
      assertMatch(
        source.stderr(),
        capabilities.length > 0
          ? /acknowledged by the destination/
          : /sent: a destination without return path acknowledges nothing/,
      );
      assertMatch(source.stderr(), /peer .*CN=vm2/);
      await runState(second.qmp, "running");
      assertEquals(second.stderr(), "");
    },
  );
}

programTest(
  "a file can be sent to any number of QEMUs, also over a unix socket with tls-hostname",
  ["qemu-system-x86_64"],
  async () => {
    using temp = temporaryDirectory();
    const pki = await makePki(`${temp.path}/pki`, { hosts: HOSTS });
    const file = `${temp.path}/guest.mig`;
    {
      await using qemu = await startQemu({ args: ["-S"] });
      await qemu.qmp.execute("migrate", { uri: `exec:cat >${file}` });
      assertEquals((await migrationEnd(qemu.qmp)).status, "completed");
    }
    for (const hostname of ["vm2", "127.0.0.1"]) {
      const path = `${temp.path}/${hostname}.sock`;
      await using qemu = await startQemu({ args: ["-incoming", "defer"] });
      await qemuTls(qemu, pki.host("vm2"), "server");
      await qemu.qmp.execute("migrate-incoming", { uri: `unix:${path}` });
      const args = [...tlsFlags(pki.host("vm1"), "client"), "--migrate", `unix:${path}`];
      await using source = startProgram("source", [
        ...args,
        "--tls-hostname",
        hostname,
        "--in",
        file,
      ]);
      assertEquals(await source.exit, 0, source.stderr() + qemu.stderr());
      // It was recorded from a guest that had not been started.
      await runState(qemu.qmp, "prelaunch");
    }
    const path = `${temp.path}/none.sock`;
    await using qemu = await startQemu({ args: ["-incoming", "defer"] });
    await qemuTls(qemu, pki.host("vm2"), "server");
    await qemu.qmp.execute("migrate-incoming", { uri: `unix:${path}` });
    await using source = startProgram("source", [
      ...tlsFlags(pki.host("vm1"), "client"),
      "--migrate",
      `unix:${path}`,
      "--in",
      file,
    ]);
    assertEquals(await source.exit, 1);
    assertMatch(source.stderr(), /^error: No hostname for certificate validation$/m);
  },
);

programTest(
  "a broken file is not begun: the QEMU that waits goes on waiting",
  ["qemu-system-x86_64"],
  async () => {
    using temp = temporaryDirectory();
    const file = `${temp.path}/guest.mig`;
    await using qemu = await startQemu({ args: ["-S"] });
    await qemu.qmp.execute("migrate", { uri: `exec:cat >${file}` });
    assertEquals((await migrationEnd(qemu.qmp)).status, "completed");
    Deno.truncateSync(file, 300_000);
    await using waiting = await startQemu({ args: ["-incoming", "tcp:127.0.0.1:0"] });
    const uri = formatAddress(await incomingAddress(waiting));
    await using source = startProgram("source", ["--migrate", uri, "--in", file]);
    assertEquals(await source.exit, 1);
    assertMatch(
      source.stderr(),
      /^error: .*guest\.mig is no stream that can be sent: the stream is not complete: it ends at byte 300000, inside/m,
    );
    await runState(waiting.qmp, "inmigrate");
  },
);
