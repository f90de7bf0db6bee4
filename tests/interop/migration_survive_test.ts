import { assert, assertEquals, assertMatch } from "@std/assert";
import { migrationEnd, runState } from "../../migration/qmp_client.ts";
import { qemuTls, startTarget, tlsFlags } from "../migration/programs.ts";
import { diskTest, OWN_MOUNTS } from "../support/disk.ts";
import { makePki } from "../support/pki.ts";
import { programTest } from "../support/programs.ts";
import { type Qemu, startQemu } from "../support/qemu.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { memoryFile, writeMemory } from "./migration_guests.ts";

const MiB = 2 ** 20;
const HOSTS = [{ name: "vm1" }, { name: "vm2", ip: ["127.0.0.1"] }];

/** A guest that runs and is about to leave, with an acknowledgement. */
async function leaving(temp: string, creds: string, multifd: boolean): Promise<Qemu> {
  writeMemory(`${temp}/ram`, 32 * MiB);
  const qemu = await startQemu({
    machine: "pc,memory-backend=m0",
    args: memoryFile(`${temp}/ram`, 32 * MiB),
  });
  await qemuTls(qemu, creds, "client");
  await setCapabilities(qemu, multifd);
  await runState(qemu.qmp, "running");
  return qemu;
}

async function setCapabilities({ qmp }: Qemu, multifd: boolean): Promise<void> {
  await qmp.execute("migrate-set-capabilities", {
    capabilities: [
      { capability: "return-path", state: true },
      { capability: "multifd", state: multifd },
    ],
  });
}

const MULTIFD = ["--capability", "multifd=on"];

for (const multifd of [false, true]) {
  const how = multifd ? "multifd" : "one connection";
  programTest(
    `a target that is killed while it writes loses no guest, and its file has no name (${how})`,
    ["qemu-system-x86_64"],
    async () => {
      using temp = temporaryDirectory();
      const pki = await makePki(`${temp.path}/pki`, { hosts: HOSTS });
      const kept = `${temp.path}/guest.mig`;
      await using target = await startTarget([
        ...tlsFlags(pki.host("vm2"), "server"),
        ...(multifd ? MULTIFD : []),
        ...["--out", kept],
      ]);
      await using qemu = await leaving(temp.path, pki.host("vm1"), multifd);
      await qemu.qmp.execute("migrate-set-parameters", { "max-bandwidth": 2 * MiB });
      await qemu.qmp.execute("migrate", { uri: target.uri });
      await target.says(/receiving/);
      target.signal("SIGKILL");
      assertEquals((await migrationEnd(qemu.qmp)).status, "failed");
      await runState(qemu.qmp, "running");
      // It had begun to write, and what it wrote has no name.
      const names = [...Deno.readDirSync(temp.path)].map(({ name }) => name);
      assertEquals(names.filter((name) => name.startsWith("guest.mig")), ["guest.mig.partial"]);

      // What was left behind is in nobody's way.
      await using next = await startTarget([
        ...tlsFlags(pki.host("vm2"), "server"),
        ...(multifd ? MULTIFD : []),
        ...["--out", kept],
      ]);
      await qemu.qmp.execute("migrate-set-parameters", { "max-bandwidth": 1000 * MiB });
      await qemu.qmp.execute("migrate", { uri: next.uri });
      assertEquals((await migrationEnd(qemu.qmp)).status, "completed", next.stderr());
      assertEquals(await next.exit, 0, next.stderr());
      assert(Deno.statSync(kept).size > 10 * MiB);
    },
  );
}

for (const multifd of [false, true]) {
  const how = multifd ? "multifd" : "one connection";
  programTest(
    `a target that is killed before its acknowledgement loses no guest (${how})`,
    ["qemu-system-x86_64"],
    async () => {
      using temp = temporaryDirectory();
      const pki = await makePki(`${temp.path}/pki`, { hosts: HOSTS });
      await using target = await startTarget([
        ...tlsFlags(pki.host("vm2"), "server"),
        ...(multifd ? MULTIFD : []),
        ...["--out", `${temp.path}/guest.mig`],
      ]);
      // Memory of zeros: what is left of it fits into the buffers of the connection.
      await using qemu = await startQemu();
      await qemuTls(qemu, pki.host("vm1"), "client");
      await setCapabilities(qemu, multifd);
      await runState(qemu.qmp, "running");
      await qemu.qmp.execute("migrate-set-parameters", { "max-bandwidth": 20_000 });
      await qemu.qmp.execute("migrate", { uri: target.uri });
      await target.says(/receiving/);
      // It acknowledges nothing any more: the source comes to its end and waits.
      target.signal("SIGSTOP");
      await qemu.qmp.execute("migrate-set-parameters", { "max-bandwidth": 1000 * MiB });
      await runState(qemu.qmp, "finish-migrate");
      target.signal("SIGKILL");
      assertEquals((await migrationEnd(qemu.qmp)).status, "failed");
      await runState(qemu.qmp, "running");
      assertEquals(
        [...Deno.readDirSync(temp.path)].some(({ name }) => name === "guest.mig"),
        false,
      );
    },
  );
}

for (const multifd of [false, true]) {
  const how = multifd ? "multifd" : "one connection";
  diskTest(
    `a target whose disk is full refuses what it cannot keep, and the guest lives on (${how})`,
    ["qemu-system-x86_64"],
    async () => {
      using temp = temporaryDirectory();
      const pki = await makePki(`${temp.path}/pki`, { hosts: HOSTS });
      const disk = `${temp.path}/disk`;
      Deno.mkdirSync(disk);
      await using target = await startTarget(
        [
          ...tlsFlags(pki.host("vm2"), "server"),
          ...(multifd ? MULTIFD : []),
          ...["--once", "--out", `${disk}/guest.mig`],
        ],
        {},
        [...OWN_MOUNTS, "sh", "-c", `mount -t tmpfs -o size=4m none ${disk} && exec "$@"`, "sh"],
      );
      await using qemu = await leaving(temp.path, pki.host("vm1"), multifd);
      await qemu.qmp.execute("migrate", { uri: target.uri });
      assertEquals((await migrationEnd(qemu.qmp)).status, "failed");
      await runState(qemu.qmp, "running");
      assertEquals(await target.exit, 1);
      assertMatch(target.stderr(), /^error: .*(no space left|No space left)/m);
    },
  );
}

diskTest(
  "a target whose disk has no room for a guest refuses it before it can switch to post-copy",
  ["qemu-system-x86_64"],
  async () => {
    using temp = temporaryDirectory();
    const disk = `${temp.path}/disk`;
    Deno.mkdirSync(disk);
    await using target = await startTarget(
      ["--capability", "postcopy-ram=on", "--once", "--out", `${disk}/guest.mig`],
      {},
      [...OWN_MOUNTS, "sh", "-c", `mount -t tmpfs -o size=4m none ${disk} && exec "$@"`, "sh"],
    );
    await using qemu = await startQemu();
    const capabilities = [{ capability: "postcopy-ram", state: true }];
    await qemu.qmp.execute("migrate-set-capabilities", { capabilities });
    // Too slow for the memory to fill the disk before the refusal.
    await qemu.qmp.execute("migrate-set-parameters", { "max-bandwidth": 2 ** 20 });
    await qemu.qmp.execute("migrate", { uri: target.uri });
    assertEquals((await migrationEnd(qemu.qmp)).status, "failed");
    await runState(qemu.qmp, "running");
    assertEquals(await target.exit, 1);
    assertMatch(target.stderr(), /^error: .*may not find room: 4 MiB are free/m);
    assertMatch(target.stderr(), /^hint: make room where --out is, or /m);
  },
);
