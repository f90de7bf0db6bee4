import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { formatAddress } from "../../channel/mod.ts";
import { MigrationError } from "../../migration/error.ts";
import { migrationEnd, runState } from "../../migration/qmp_client.ts";
import { readStream } from "../../migration/stream_reader.ts";
import { startProgram, startTarget } from "../migration/programs.ts";
import { readWhole } from "../migration/streams.ts";
import { programTest } from "../support/programs.ts";
import { incomingAddress, type QemuOptions, startQemu } from "../support/qemu.ts";
import { temporaryDirectory } from "../support/temp.ts";

/** Guests whose streams differ: what they are, capabilities, what must be found. */
interface Recorded extends QemuOptions {
  readonly what: string;
  readonly capabilities?: readonly string[];
  readonly expect: (summary: ReturnType<typeof readWhole>) => void;
}

const RECORDED: readonly Recorded[] = [
  {
    what: "a stopped pc",
    args: ["-S"],
    expect: (s) => {
      assertMatch(s.machine ?? "", /^pc-i440fx-\d+\.\d+$/);
      assert(s.devices.length >= 30);
      assertEquals(s.blocks[0], { name: "pc.ram", usedLength: 0x2000000 });
      assertEquals(s.pages.normal + s.pages.zero, 8322);
    },
  },
  { what: "microvm", machine: "microvm", expect: (s) => assertEquals(s.machine, "microvm") },
  {
    what: "a q35 with two processors, USB and virtio",
    machine: "q35",
    // deno-fmt-ignore
    args: [
      "-device", "VGA", "-device", "virtio-net-pci", "-device", "virtio-rng-pci",
      "-device", "qemu-xhci,id=x", "-device", "usb-tablet", "-smp", "2",
    ],
    expect: (s) => assert(s.devices.length >= 37 && s.blocks.length >= 9),
  },
  { what: "xbzrle", capabilities: ["xbzrle"], expect: (s) => assert(s.pages.normal > 0) },
  { what: "compress", capabilities: ["compress"], expect: (s) => assert(s.pages.compressed > 0) },
  {
    what: "x-ignore-shared",
    capabilities: ["x-ignore-shared"],
    expect: (s) => assertEquals(s.capabilities, ["x-ignore-shared"]),
  },
  {
    what: "validate-uuid",
    capabilities: ["validate-uuid"],
    args: ["-uuid", "11111111-2222-3333-4444-555555555555"],
    expect: (s) => assertEquals(s.uuid, "11111111-2222-3333-4444-555555555555"),
  },
  {
    what: "a machine of 2.3, which has no footers",
    machine: "pc-i440fx-2.3",
    expect: (s) => {
      assertEquals([s.machine, s.validation?.kind], [undefined, "end"]);
      assert(s.pages.zero > 8000);
    },
  },
];

for (const recorded of RECORDED) {
  programTest(
    `readStream() verifies what QEMU writes: ${recorded.what}`,
    ["qemu-system-x86_64"],
    async () => {
      using temp = temporaryDirectory();
      const file = `${temp.path}/stream`;
      await using qemu = await startQemu(recorded);
      await qemu.qmp.execute("migrate-set-capabilities", {
        capabilities: (recorded.capabilities ?? []).map((capability) => ({
          capability,
          state: true,
        })),
      });
      await qemu.qmp.execute("migrate", { uri: `exec:cat >${file}` });
      assertEquals((await migrationEnd(qemu.qmp)).status, "completed");
      const bytes = Deno.readFileSync(file);
      const summary = readWhole(bytes);
      assertEquals(summary.bytes, bytes.length);
      if (summary.machine !== undefined) {
        assertEquals(summary.validation, { kind: "sections", devices: summary.devices.length });
      }
      recorded.expect(summary);
      for (const step of [7, 4103, 65536]) assertEquals(readWhole(bytes, step), summary);
      // The same stream cut at the borders of its devices, and in the middle of them.
      for (const { offset, length } of summary.devices) {
        for (const cut of [offset, offset + (length >> 1)]) {
          const reader = readStream();
          reader.push(bytes.subarray(0, cut));
          await assertRejects(
            async () => void await Promise.resolve(reader.end()),
            MigrationError,
            "the stream is not complete",
          );
        }
      }
    },
  );
}

programTest(
  "a machine of 2.2 cannot be judged, and is not kept",
  ["qemu-system-x86_64"],
  async () => {
    using temp = temporaryDirectory();
    await using target = await startTarget(["--out", `${temp.path}/guest`]);
    await using qemu = await startQemu({ machine: "pc-i440fx-2.2" });
    await qemu.qmp.execute("migrate", { uri: target.uri });
    await migrationEnd(qemu.qmp);
    await target.says(/^error: \S+: cannot tell whether the stream is complete: /m);
    assertEquals([...Deno.readDirSync(temp.path)], []);
  },
);

programTest(
  "a QEMU with return path completes only when the target has kept the stream",
  ["qemu-system-x86_64"],
  async () => {
    using temp = temporaryDirectory();
    await using qemu = await startQemu();
    const { qmp } = qemu;
    await qmp.execute("migrate-set-capabilities", {
      capabilities: [{ capability: "return-path", state: true }],
    });
    // The target dies with the stream half received: the guest lives on.
    await qmp.execute("migrate-set-parameters", { "max-bandwidth": 100_000 });
    {
      await using target = await startTarget(["--out", `${temp.path}/guest`]);
      await qmp.execute("migrate", { uri: target.uri });
      await target.says(/receiving/);
      target.signal("SIGKILL");
      await target.exit;
    }
    assertEquals((await migrationEnd(qmp)).status, "failed");
    await runState(qmp, "running");
    assertEquals([...Deno.readDirSync(temp.path)].map((e) => e.name), ["guest.partial"]);
    // What a crash has left is taken over.
    await qmp.execute("migrate-set-parameters", { "max-bandwidth": 2 ** 30 });
    await using target = await startTarget(["--out", `${temp.path}/guest`]);
    await qmp.execute("migrate", { uri: target.uri });
    assertEquals((await migrationEnd(qmp)).status, "completed");
    assertEquals(await target.exit, 0, target.stderr());
    assertEquals([...Deno.readDirSync(temp.path)].map((e) => e.name), ["guest"]);
  },
);

programTest(
  "a QEMU with postcopy-ram is refused before it can switch, and its guest lives on",
  ["qemu-system-x86_64"],
  async () => {
    await using target = await startTarget([]);
    await using qemu = await startQemu();
    const { qmp } = qemu;
    await qmp.execute("migrate-set-capabilities", {
      capabilities: [{ capability: "postcopy-ram", state: true }],
    });
    await qmp.execute("migrate", { uri: target.uri });
    assertEquals((await migrationEnd(qmp)).status, "failed");
    await target.says(
      /^error: \S+: RAM postcopy is disabled but have 16 byte advise at byte \d+\nhint: /m,
    );
    await runState(qmp, "running");
  },
);

programTest(
  "a QEMU with multifd is refused with a hint at the capability",
  ["qemu-system-x86_64"],
  async () => {
    // QEMU 7.2 itself may lock up over a channel that is refused while it makes the next: it answers
    // its monitor no more then, which says nothing about the target.
    for (let attempt = 1;; attempt++) {
      await using target = await startTarget([]);
      await using qemu = await startQemu();
      const { qmp } = qemu;
      await qmp.execute("migrate-set-capabilities", {
        // Without return path a QEMU takes a stream for arrived that its kernel has taken.
        capabilities: ["multifd", "return-path"].map((capability) => ({
          capability,
          state: true,
        })),
      });
      await qmp.execute("migrate", { uri: target.uri });
      await target.says(/^error: \S+: (Not a migration stream|another migration is running)/m);
      await target.says(/^hint: .*switch the capability multifd off at the source/m);
      try {
        assertEquals((await migrationEnd(qmp)).status, "failed");
        await runState(qmp, "running");
        return;
      } catch (error) {
        const locked = error instanceof MigrationError && error.code === "QMP_TIMEOUT";
        if (!locked || attempt === 3) throw error;
      }
    }
  },
);

programTest(
  "a QEMU of another machine type says so, and our source ends with 1",
  ["qemu-system-x86_64"],
  async () => {
    using temp = temporaryDirectory();
    const file = `${temp.path}/guest`;
    {
      await using qemu = await startQemu({ memory: "64M" });
      await qemu.qmp.execute("migrate", { uri: `exec:cat >${file}` });
      assertEquals((await migrationEnd(qemu.qmp)).status, "completed");
    }
    await using other = await startQemu({
      machine: "q35",
      args: ["-incoming", "tcp:127.0.0.1:0"],
    });
    const uri = formatAddress(await incomingAddress(other));
    await using source = startProgram("source", ["--migrate", uri, "--in", file]);
    assertEquals(await source.exit, 1, source.stderr());
    assertMatch(source.stderr(), /^error: the peer closed the connection /m);
    assertEquals(await other.exit, 1);
    assertMatch(other.stderr(), /Machine type received is 'pc-i440fx-\S+' and local is 'pc-q35-/);
  },
);
