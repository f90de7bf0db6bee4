import { assertEquals, assertMatch } from "@std/assert";
import { migrationEnd, runState } from "../../migration/qmp_client.ts";
import { qemuTls, startProgram, startTarget, tlsFlags } from "../migration/programs.ts";
import { makePki } from "../support/pki.ts";
import { programTest } from "../support/programs.ts";
import { startQemu } from "../support/qemu.ts";
import { temporaryDirectory } from "../support/temp.ts";

programTest(
  "a guest goes through commands on both sides, over TLS with tls-hostname",
  ["qemu-system-x86_64", "socat"],
  async () => {
    using temp = temporaryDirectory();
    const pki = await makePki(`${temp.path}/pki`, {
      hosts: [{ name: "vm1" }, { name: "vm2", ip: ["127.0.0.1"] }],
    });
    const file = `${temp.path}/guest.mig`;
    {
      await using target = await startTarget([
        ...tlsFlags(pki.host("vm2"), "server"),
        "--out",
        file,
      ]);
      const port = /\d+$/.exec(target.uri)![0];
      await using qemu = await startQemu({ args: ["-S"] });
      await qemuTls(qemu, pki.host("vm1"), "client", {}, { "tls-hostname": "vm2" });
      await qemu.qmp.execute("migrate", { uri: `exec:socat - TCP:127.0.0.1:${port}` });
      assertEquals((await migrationEnd(qemu.qmp)).status, "completed");
      assertEquals(await target.exit, 0, target.stderr());
    }
    const path = `${temp.path}/qemu.sock`;
    const command = ["--migrate", `exec:socat - UNIX-CONNECT:${path}`, "--in", file];
    const flags = tlsFlags(pki.host("vm1"), "client");
    for (const name of [[], ["--tls-hostname", "vm2"]]) {
      await using qemu = await startQemu({ args: ["-incoming", "defer"] });
      await qemuTls(qemu, pki.host("vm2"), "server");
      await qemu.qmp.execute("migrate-incoming", { uri: `unix:${path}` });
      await using source = startProgram("source", [...flags, ...name, ...command]);
      const code = await source.exit;
      if (name.length === 0) {
        assertEquals(code, 1);
        assertMatch(source.stderr(), /^error: No hostname for certificate validation\nhint: /m);
      } else {
        assertEquals(code, 0, source.stderr() + qemu.stderr());
        await runState(qemu.qmp, "prelaunch");
      }
    }
  },
);

programTest(
  "our target takes a guest from a command that a QEMU writes to",
  ["qemu-system-x86_64", "socat"],
  async () => {
    using temp = temporaryDirectory();
    const pki = await makePki(`${temp.path}/pki`, { hosts: [{ name: "vm1" }, { name: "vm2" }] });
    const path = `${temp.path}/s`;
    await using target = startProgram("target", [
      ...tlsFlags(pki.host("vm2"), "server"),
      "--incoming",
      `exec:socat - UNIX-LISTEN:${path}`,
      "--out",
      `${temp.path}/guest.mig`,
    ]);
    await target.says(/listening on exec:socat/);
    await using qemu = await startQemu({ args: ["-S"] });
    await qemuTls(qemu, pki.host("vm1"), "client", {}, { "tls-hostname": "vm2" });
    await qemu.qmp.execute("migrate", { uri: `exec:socat - UNIX-CONNECT:${path},retry=50` });
    assertEquals((await migrationEnd(qemu.qmp)).status, "completed");
    assertEquals(await target.exit, 0, target.stderr());
    assertMatch(target.stderr(), /^completed: .*, peer .*CN=vm1, kept in /m);
  },
);
