import { assert, assertEquals, assertRejects } from "@std/assert";
import { connect } from "../../channel/mod.ts";
import { MigrationError } from "../../migration/error.ts";
import { migrationEnd, openQmp, runState } from "../../migration/qmp_client.ts";
import { qemuTls, startProgram } from "../migration/programs.ts";
import { makePki } from "../support/pki.ts";
import { programTest } from "../support/programs.ts";
import { startQemu } from "../support/qemu.ts";
import { temporaryDirectory } from "../support/temp.ts";

programTest(
  "the target's monitor takes what QEMU's users type after -incoming defer",
  ["qemu-system-x86_64"],
  async () => {
    using temp = temporaryDirectory();
    const pki = await makePki(`${temp.path}/pki`, {
      hosts: [{ name: "vm1" }, { name: "vm2", ip: ["127.0.0.1"] }],
    });
    for (const set of ["migrate_set_parameter", "migrate_set_str_parameter"]) {
      await using target = startProgram("target", [
        "-object",
        `tls-creds-x509,id=tls0,dir=${pki.host("vm2")},endpoint=server`,
        "-incoming",
        "defer",
        "-monitor",
        "stdio",
        "-out",
        `${temp.path}/${set}`,
      ]);
      await target.type(`${set} tls-creds tls0`);
      await target.type("migrate_incoming tcp:127.0.0.1:0");
      const [, uri] = await target.says(/listening on (tcp:\S+)/);
      await using qemu = await startQemu();
      await qemuTls(qemu, pki.host("vm1"), "client");
      await qemu.qmp.execute("migrate", { uri });
      assertEquals((await migrationEnd(qemu.qmp)).status, "completed");
      assertEquals(await target.exit, 0, target.stderr());
      assert(Deno.statSync(`${temp.path}/${set}`).isFile);
    }
  },
);

programTest("openQmp() drives a real QEMU", ["qemu-system-x86_64"], async () => {
  await using qemu = await startQemu({ args: ["-S"] });
  const { qmp } = qemu;
  assert(/^\d+\.\d+\.\d+$/.test(qmp.version));
  const [status, , kvm] = await Promise.all([
    qmp.execute("query-status"),
    qmp.execute("query-migrate"),
    qmp.execute("query-kvm"),
  ]);
  assertEquals((status as { status: string }).status, "prelaunch");
  assertEquals((kvm as { enabled: boolean }).enabled, false);
  await qmp.execute("cont");
  assertEquals((await qmp.event("RESUME")).event, "RESUME");
  await runState(qmp, "running");
  await assertRejects(
    () => qmp.execute("migrate-set-parameters", { "tls-bogus": "x" }),
    MigrationError,
    "Parameter 'tls-bogus' is unexpected",
  );
  await assertRejects(
    () => qmp.execute("qmp_capabilities"),
    MigrationError,
    "Capabilities negotiation is already complete, command ignored",
  );
  qemu.kill();
  await qemu.exit;
  await assertRejects(() => qmp.execute("query-status"), MigrationError, "the connection ended");
});

programTest("openQmp() waits no longer than it may for a QEMU that is busy with another", [
  "qemu-system-x86_64",
], async () => {
  using temp = temporaryDirectory();
  const path = `${temp.path}/qmp2`;
  await using _qemu = await startQemu({ args: ["-qmp", `unix:${path},server=on,wait=off`] });
  await using first = await openQmp(await connect({ kind: "unix", path }));
  const second = await connect({ kind: "unix", path });
  await assertRejects(
    () => openQmp(second, { timeout: 200 }),
    MigrationError,
    "no greeting within 0.2 s",
  );
  assertEquals(await first.execute("query-migrate"), {});
});
