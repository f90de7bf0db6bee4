import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { connect } from "../../channel/mod.ts";
import { migrationEnd, openQmp } from "../../migration/qmp_client.ts";
import { virtcreds } from "../support/command.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { startProgram, startTarget } from "./programs.ts";

function files(dir: string): string[] {
  return [...Deno.readDirSync(dir)].map((entry) => entry.name).sort();
}

Deno.test("migration target and source take QEMU's monitor commands", async () => {
  using temp = temporaryDirectory();
  const socket = `unix:${temp.path}/s`;
  await using target = startProgram("target", [
    "-incoming",
    "defer",
    "-monitor",
    "stdio",
    "--out",
    `${temp.path}/guest`,
  ]);
  await target.type("info migrate");
  await target.says(/\(qemu\) globals:\n(.*: \w+\n)+\(qemu\) $/);
  await target.type("migrate_incoming tcp:192.0.2.1:0");
  await target.says(/Error: /);
  await target.type(`migrate_incoming ${socket}`);
  await target.says(/listening on unix:/);
  await target.type("info migrate");
  await target.says(/clear-bitmap-shift: 18\nsocket address: \[\n\tunix:/);

  await using source = startProgram("source", ["--monitor", "stdio", "--guest-ram", "8M"]);
  await source.type("migrate_set_parameter tls-hostname vm2");
  await source.type(`migrate ${socket}`);
  await source.says(
    /^error: migrate: tls-hostname is verified over TLS only, .*\nhint: .*tls-creds ID/m,
  );
  await source.type('migrate_set_parameter tls-hostname ""');
  await source.type("migrate tcp:127.0.0.1:1");
  await source.says(/^error: migrate: Failed to connect to '127\.0\.0\.1:1': Connection refused/m);
  await source.type("info migrate");
  await source.says(/Migration status: failed \(Failed to connect/);
  await source.type(`migrate -d ${socket}`);
  await source.says(/completed: /);
  await source.type("info migrate");
  await source.says(
    /Migration status: completed\ntotal time: \d+ ms\ndowntime: \d+ ms\nsetup: \d+ ms\ntransferred ram: \d+ kbytes/,
  );
  await source.type("quit");
  assertEquals(await source.exit, 0, source.stderr());
  assertEquals(await target.exit, 0, target.stderr());
  assertEquals(files(temp.path), ["guest"]);
});

Deno.test("migration target ends at quit, and tells when nobody can start it any more", async () => {
  const args = ["--incoming", "defer", "--monitor", "stdio"];
  await using quits = startProgram("target", args);
  await quits.type("quit");
  assertEquals(await quits.exit, 0, quits.stderr());
  await using ends = startProgram("target", args);
  await ends.endInput();
  assertEquals(await ends.exit, 1);
  assertMatch(ends.stderr(), /^error: the monitor's input ended before migrate_incoming\nhint: /);
});

Deno.test("migration target serves QMP on TCP, one client after the other", async () => {
  await using target = startProgram("target", [
    ...["--incoming", "defer", "--qmp", "tcp:127.0.0.1:0,server=on,wait=off"],
  ]);
  const [, port] = await target.says(/serving QMP on tcp:127\.0\.0\.1:(\d+),server=on/);
  const dial = () => connect({ kind: "tcp", host: "127.0.0.1", port: Number(port) });
  {
    await using first = await openQmp(await dial());
    const waiting = await dial();
    await assertRejects(() => openQmp(waiting, { timeout: 100 }), Error, "no greeting");
    assertEquals(await first.execute("query-migrate"), {});
  }
  await using second = await openQmp(await dial());
  await second.execute("quit");
  assertEquals(await target.exit, 0, target.stderr());
});

Deno.test("migration source waits for the client of its QMP, and for its leave", async () => {
  using temp = temporaryDirectory();
  await using target = await startTarget([]);
  const path = `${temp.path}/qmp`;
  await using source = startProgram("source", [
    ...["--migrate", target.uri, "--guest-ram", "1M", "--qmp", `unix:${path},server=on`],
  ]);
  await source.says(/waiting for a client of QMP on unix:/);
  assertEquals(/sending/.test(source.stderr()), false);
  await using qmp = await openQmp(await connect({ kind: "unix", path }));
  assertEquals((await migrationEnd(qmp)).status, "completed");
  qmp.close();
  assertEquals(await source.exit, 0, source.stderr());
});

Deno.test("migration target goes on listening when its monitor's input has ended", async () => {
  await using target = await startTarget(["--monitor", "stdio"]);
  await target.endInput();
  const sent = await virtcreds(["migration", "source", "--migrate", target.uri, "--guest-ram=1M"]);
  assertEquals(sent.code, 0, sent.stderr);
  assertEquals(await target.exit, 0, target.stderr());
});

Deno.test("migration source ends with its last migration when its monitor's input ends", async () => {
  await using fails = startProgram("source", ["--monitor", "stdio", "--guest-ram", "1M"]);
  await fails.type("migrate -d tcp:127.0.0.1:1");
  await fails.endInput();
  assertEquals(await fails.exit, 1, fails.stderr());
});

Deno.test("a manager cancels a migration, holds the next before its switch and lets it go on", async () => {
  using temp = temporaryDirectory();
  const path = `${temp.path}/qmp`;
  await using target = await startTarget(["--guest-ram", "64M"]);
  await using source = startProgram("source", [
    ...["--guest-ram", "64M", "--dirty-rate", "1M", "--qmp", `unix:${path},server=on,wait=off`],
  ]);
  await source.says(/serving QMP on/);
  await using qmp = await openQmp(await connect({ kind: "unix", path }));
  const capabilities = ["events", "pause-before-switchover"]
    .map((capability) => ({ capability, state: true }));
  await qmp.execute("migrate-set-capabilities", { capabilities });
  await qmp.execute("migrate-set-parameters", { "max-bandwidth": 2 ** 20 });
  const told = async (until: string) => {
    const all: string[] = [];
    while (all.at(-1) !== until) {
      all.push(((await qmp.event("MIGRATION")).data as { status: string }).status);
    }
    return all;
  };
  await qmp.execute("migrate", { uri: target.uri });
  assertEquals(await told("active"), ["setup", "active"]);
  await qmp.execute("migrate_cancel");
  assertEquals(await told("cancelled"), ["cancelling", "cancelled"]);
  assertEquals(await qmp.execute("query-migrate"), { status: "cancelled" });
  assertEquals((await qmp.execute("query-status") as { status: string }).status, "running");

  // The target is free again once it has seen the end of that one.
  await target.says(/^error: \S+: (the stream is not complete|the peer closed)/m);
  await qmp.execute("migrate-set-parameters", { "max-bandwidth": 2 ** 30 });
  await qmp.execute("migrate", { uri: target.uri });
  assertEquals(await told("pre-switchover"), ["setup", "active", "pre-switchover"]);
  assertEquals((await qmp.event("STOP")).event, "STOP");
  const held = await qmp.execute("query-status") as { status: string };
  assertEquals(held.status, "finish-migrate");
  await qmp.execute("migrate-continue", { state: "pre-switchover" });
  assertEquals(await told("completed"), ["device", "completed"]);
  assertEquals((await qmp.execute("query-status") as { status: string }).status, "postmigrate");
  assertEquals(await target.exit, 0, target.stderr());
  await qmp.execute("quit");
  assertEquals(await source.exit, 0, source.stderr());
});
