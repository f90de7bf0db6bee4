import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import type { ByteChannel } from "../../engine/mod.ts";
import { MultifdGathering } from "../../migration/_multifd_gather.ts";
import { multifdDecoder, multifdEncoder } from "../../migration/_multifd_codec.ts";
import { MigrationError } from "../../migration/error.ts";
import { builtInGuest, GUEST_BLOCK } from "../../migration/guest.ts";
import { guestMemory } from "../../migration/guest_memory.ts";
import {
  MULTIFD_HEADER_BYTES,
  multifdInit,
  readMultifdHeader,
  readMultifdInit,
  writeMultifdHeader,
} from "../../migration/multifd_packet.ts";
import { type MultifdSettings, MultifdWriter } from "../../migration/multifd_writer.ts";
import { flushesByWord } from "../../migration/multifd_writer.ts";
import { defaultParameters } from "../../migration/parameters.ts";
import { plainStream } from "../../migration/page_sink.ts";
import { receivePages } from "../../migration/receive_pages.ts";
import { sendStream } from "../../migration/send.ts";
import { initialState } from "../../migration/state.ts";
import { StreamWriter } from "../../migration/stream_writer.ts";
import { pair } from "../support/channels.ts";
import { soakCount, soakRow } from "../support/soak.ts";
import { RAM, randomFrom, readWhole } from "./streams.ts";

const MiB = 2 ** 20;
const UUID = "12345678-9abc-def0-1122-334455667788";

Deno.test("multifd's packets are read as they are written", () => {
  assertEquals(readMultifdInit(multifdInit({ uuid: UUID, channel: 7 })), {
    uuid: UUID,
    channel: 7,
  });
  const bytes = new Uint8Array(MULTIFD_HEADER_BYTES);
  const header = {
    flags: 5,
    slots: 128,
    normalPages: 100,
    zeroPages: 28,
    dataBytes: 409_600,
    packet: 2 ** 33 + 1,
    block: "pc.ram",
  };
  writeMultifdHeader(bytes, header);
  assertEquals(readMultifdHeader(bytes, 4096, 0), header);
  // QEMU 7.2 repeats the length of the packet before in one that has no pages, and sends no data.
  writeMultifdHeader(bytes, { ...header, normalPages: 0, zeroPages: 0 });
  assertEquals(readMultifdHeader(bytes, 4096, 0).dataBytes, 0);
});

/** What a packet's header must not say, and what QEMU says to it. */
const BAD: readonly [at: number, value: number, text: string][] = [
  [0, 0x5145564d, "multifd: received packet magic 5145564d expected 11223344"],
  [4, 2, "multifd: received packet version 2 expected 1"],
  [8, 64, "the state of devices over multifd"],
  [12, 129, "multifd: received packet with size 129 and expected a size of 128"],
  [16, 129, "received packet with 129 normal pages and expected maximum pages are 128"],
  [20, 0xffffffff, "next packet size 4294967295 is too large"],
  [32, 200, "received packet with 200 zero pages"],
];

Deno.test("readMultifdHeader() refuses what a packet cannot have, in QEMU's words", () => {
  for (const [at, value, text] of BAD) {
    const bytes = new Uint8Array(MULTIFD_HEADER_BYTES);
    writeMultifdHeader(bytes, {
      flags: 0,
      slots: 128,
      normalPages: 1,
      zeroPages: 0,
      dataBytes: 4096,
      packet: 0,
      block: "x",
    });
    new DataView(bytes.buffer).setUint32(at, value);
    assertThrows(() => readMultifdHeader(bytes, 4096, 96), MigrationError, text);
  }
});

/** What the second packet of a channel must not say of its pages, and what is said to it. */
const BAD_PAGES: readonly [block: string, offsets: readonly number[], zeroPages: number, string][] =
  [
    ["vga.vram", [0], 0, "unknown ram block vga.vram"],
    ["", [0], 0, "unknown ram block "],
    ["vga.vram", [0], 1, "unknown ram block vga.vram"],
    [
      "\x1b[2J\x1b]0;owned\x07\r\n",
      [0],
      0,
      String
        .raw`unknown ram block \u{1b}[2J\u{1b}]0;owned\u{7}\u{d}\u{a}`,
    ],
    ["\x9b31m", [0], 0, "unknown ram block \u00c2\u203a31m"],
    ["b".repeat(192), [0], 0, `unknown ram block ${"b".repeat(192)}`],
    [GUEST_BLOCK, [0, 2048], 0, "offset too long 2048 (max 61440)"],
    [GUEST_BLOCK, [4097], 1, "offset too long 4097 (max 61440)"],
    [GUEST_BLOCK, [61_440, 65_536], 0, "offset too long 65536 (max 61440)"],
    [GUEST_BLOCK, [65_536], 1, "offset too long 65536 (max 61440)"],
    [GUEST_BLOCK, [61_441], 0, "offset too long 61441 (max 61440)"],
    [GUEST_BLOCK, [2 ** 32], 0, "offset too long 4294967296 (max 61440)"],
    [GUEST_BLOCK, [2 ** 62], 0, "offset too long 4611686018427387904 (max 61440)"],
  ];

/** A packet of pages, or of zeros, at these offsets. */
function packet(block: string, offsets: readonly number[], zeroPages: number): Uint8Array {
  const normalPages = offsets.length - zeroPages;
  const bytes = new Uint8Array(MULTIFD_HEADER_BYTES + 8 * 128 + 4096 * normalPages);
  writeMultifdHeader(bytes, {
    ...{ flags: 0, slots: 128, normalPages, zeroPages, packet: 0, block },
    dataBytes: 4096 * normalPages,
  });
  const view = new DataView(bytes.buffer, MULTIFD_HEADER_BYTES);
  for (const [i, offset] of offsets.entries()) view.setBigUint64(8 * i, BigInt(offset));
  return bytes;
}

Deno.test("receivePages() refuses a packet's unknown block and bad offsets, and says where", async () => {
  const usedLength = 16 * 4096;
  const head = new StreamWriter().header("pc").ramStart(RAM, [{ name: GUEST_BLOCK, usedLength }]);
  const good = packet(GUEST_BLOCK, [0, 61_440], 0);
  for (const [block, offsets, zeroPages, text] of BAD_PAGES) {
    const [[source, main], [theirs, ours]] = [pair(), pair()];
    const receiving = receivePages(main, {
      begin: () => guestMemory(usedLength),
      channels: [ours],
      idleTimeout: 5_000,
    });
    receiving.catch(() => {});
    await source.write(head.finish().slice());
    await theirs.write(good);
    await theirs.write(packet(block, offsets, zeroPages));
    const error = await assertRejects(() => receiving, MigrationError);
    assertEquals(
      [error.code, error.message],
      ["STREAM", `failed to receive packet via multifd channel 0: multifd: ${text} at byte 9536`],
    );
    assertEquals(error.facts.offset, good.length);
    // Whoever prints it, nothing in it moves a cursor.
    assert(!/\p{Cc}/u.test(error.message + error.facts.text), JSON.stringify(error.message));
  }
});

Deno.test("MultifdGathering takes each source's channels for itself, and no number twice", async () => {
  using gathering = new MultifdGathering(2);
  const channels = [pair()[0], pair()[0], pair()[0]];
  gathering.join("a", { uuid: UUID, channel: 1 }, channels[0]!);
  gathering.join("b", { uuid: UUID, channel: 1 }, channels[2]!);
  const again = () => gathering.join("a", { uuid: UUID, channel: 1 }, channels[1]!);
  assertThrows(again, MigrationError, "multifd: received id '1' already setup'");
  const high = () => gathering.join("a", { uuid: UUID, channel: 2 }, channels[1]!);
  assertThrows(high, MigrationError, "channel id 2 is greater than number of channels 2");
  const other = () =>
    gathering.join("a", { uuid: UUID.replace("1", "0"), channel: 0 }, channels[1]!);
  assertThrows(other, MigrationError, "and expected uuid");
  const taken = gathering.take("a");
  gathering.join("a", { uuid: UUID, channel: 0 }, channels[1]!);
  assertEquals(await taken, [channels[1]!, channels[0]!]);
});

Deno.test("flushesByWord() knows the machine types whose QEMU halts at a word", () => {
  for (const machine of ["pc-i440fx-7.2", "pc-q35-8.0", "microvm", undefined]) {
    assertEquals(flushesByWord(machine), false);
  }
  for (const machine of ["pc-i440fx-8.1", "virt-9.2", "pc-q35-10.0"]) {
    assertEquals(flushesByWord(machine), true);
  }
});

Deno.test("multifd's compression is one stream a channel, and data that lies is refused", async () => {
  for (const kind of ["zlib", "zstd"] as const) {
    using encoder = multifdEncoder(kind, 1)!;
    using decoder = multifdDecoder(kind, 0)!;
    for (const pages of [1, 128, 3]) {
      const data = new Uint8Array(pages * 4096).map((_, i) => i * 7 + pages);
      const packed = await encoder.run(data, data.length);
      assert(packed.length < data.length);
      assertEquals(new Uint8Array(await decoder.run(packed, data.length)), data);
    }
    using bomb = multifdEncoder(kind, 1)!;
    const zeros = await bomb.run(new Uint8Array(64 * MiB), 64 * MiB);
    using victim = multifdDecoder(kind, 3)!;
    await assertRejects(() => victim.run(zeros, 4096), MigrationError, "multifd 3: ");
    using few = multifdDecoder(kind, 3)!;
    const small = await multifdEncoder(kind, 1)!.run(new Uint8Array(4096), 4096);
    await assertRejects(() => few.run(small, 8192), MigrationError, "too few output");
    using junk = multifdDecoder(kind, 3)!;
    await assertRejects(() => junk.run(new Uint8Array(64).fill(0xee), 4096), MigrationError);
  }
});

/** Sends a guest over channels in memory; gives both ends of each, the target's bytes mended. */
async function carried(
  settings: Partial<MultifdSettings>,
  mend: (channel: ByteChannel, id: number) => ByteChannel = (channel) => channel,
  ram = 4 * MiB,
  idleTimeout = 60_000,
): Promise<{ guest: string; memory: string | undefined }> {
  const full = { channels: 2, compression: "none", level: 1, zeroPages: false, flushWord: false };
  const multifd = { ...full, ...settings } as MultifdSettings;
  const [source, target] = pair();
  const pairs = Array.from({ length: multifd.channels }, () => pair());
  const writer = new MultifdWriter(pairs.map(([end]) => end), multifd);
  const guest = builtInGuest({ ram, dirtyRate: 5 * MiB });
  const memory = guestMemory(ram);
  const parameters = { ...defaultParameters(), "max-bandwidth": 0, "downtime-limit": 1 };
  const receiving = receivePages(mend(target, -1), {
    begin: () => memory,
    channels: pairs.map(([, end], id) => mend(end, id)),
    compression: multifd.compression,
    idleTimeout,
  });
  receiving.catch(() => {});
  const sending = sendStream(source, guest, {
    context: { multifd: writer, parameters, state: initialState() },
  });
  const [sent, received] = await Promise.allSettled([sending, receiving]);
  if (received.status === "rejected") throw received.reason;
  if (sent.status === "rejected") throw sent.reason;
  return { guest: await guest.digest(), memory: (await memory.digests()).get(GUEST_BLOCK) };
}

const FORMS: readonly Partial<MultifdSettings>[] = [
  {},
  { channels: 1, zeroPages: true },
  { channels: 5, compression: "zlib" },
  { channels: 3, compression: "zstd", zeroPages: true, flushWord: true },
  { flushWord: true },
];

for (const form of FORMS) {
  Deno.test(`a guest that writes comes whole over multifd: ${JSON.stringify(form)}`, async () => {
    const { guest, memory } = await carried(form);
    assertEquals(memory, guest);
  });
}

/** A channel whose incoming bytes are changed at one place, or end there. */
function damaged(
  channel: ByteChannel,
  at: number,
  change: "cut" | ((byte: number) => number),
): ByteChannel {
  let seen = 0;
  return {
    peer: channel.peer,
    async read(into) {
      if (change === "cut" && seen >= at) return null;
      const most = change === "cut" ? Math.min(into.length, at - seen) : into.length;
      const count = await channel.read(into.subarray(0, most));
      if (count === null) return null;
      if (change !== "cut" && at >= seen && at < seen + count) {
        into[at - seen] = change(into[at - seen]!);
      }
      seen += count;
      return count;
    },
    write: (bytes) => channel.write(bytes),
    closeWrite: () => channel.closeWrite(),
    close: () => channel.close(),
    [Symbol.asyncDispose]: () => channel[Symbol.asyncDispose](),
  };
}

Deno.test("a multifd migration that is cut anywhere fails, and neither end hangs", async () => {
  const count = soakCount(500);
  let refused = 0;
  for (let run = 0; run < count; run++) {
    const random = randomFrom(run);
    const id = Math.floor(random() * 3) - 1;
    const at = Math.floor(random() * (id < 0 ? 60 : 200_000));
    const cut = (channel: ByteChannel, own: number) =>
      own === id ? damaged(channel, at, "cut") : channel;
    try {
      const { guest, memory } = await carried({}, cut, MiB / 2, 1000);
      // It was cut behind all that the channel had to say.
      assertEquals(memory, guest, `run ${run}: cut at ${at} of ${id}`);
    } catch (error) {
      assertInstanceOf(error, MigrationError, `run ${run}: ${error}`);
      refused++;
    }
  }
  assert(refused > count / 4, `${refused} of ${count}`);
  soakRow("multifd migrations that were cut", count, `${refused} refused, the others whole`);
});

Deno.test("plainStream() keeps a multifd migration as a stream that reads as one", async () => {
  const parts: Uint8Array[] = [];
  const [source, target] = pair();
  const pairs = [pair(), pair(), pair()];
  const settings: MultifdSettings = {
    channels: 3,
    compression: "none",
    level: 1,
    zeroPages: true,
    flushWord: false,
  };
  const writer = new MultifdWriter(pairs.map(([end]) => end), settings);
  const guest = builtInGuest({ ram: 9 * MiB });
  const sending = sendStream(source, guest, { context: { multifd: writer } });
  await receivePages(target, {
    channels: pairs.map(([, end]) => end),
    begin: () =>
      plainStream({
        write: (bytes) => Promise.resolve(void parts.push(bytes.slice())),
        commit: () => Promise.resolve(),
        discard: () => {},
      }),
  });
  await sending;
  const whole = new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer());
  const memory = guestMemory(9 * MiB);
  const summary = readWhole(whole, 70_000, { visitor: memory });
  assertEquals(summary.bytes, whole.length);
  assertEquals(summary.validation, { kind: "sections", devices: 0 });
  assertEquals((await memory.digests()).get(GUEST_BLOCK), await guest.digest());
});
