import { assert, assertInstanceOf, assertRejects } from "@std/assert";
import type { ByteChannel } from "../../engine/mod.ts";
import { MigrationError } from "../../migration/error.ts";
import { builtInGuest } from "../../migration/guest.ts";
import { guestMemory } from "../../migration/guest_memory.ts";
import {
  MULTIFD_HEADER_BYTES,
  type MultifdCompression,
  writeMultifdHeader,
} from "../../migration/multifd_packet.ts";
import { MultifdWriter } from "../../migration/multifd_writer.ts";
import { defaultParameters } from "../../migration/parameters.ts";
import { receivePages } from "../../migration/receive_pages.ts";
import { sendStream } from "../../migration/send.ts";
import { initialState } from "../../migration/state.ts";
import { StreamWriter } from "../../migration/stream_writer.ts";
import { pair } from "../support/channels.ts";
import { buffersInUse, watchBuffers } from "../support/memory.ts";
import { soakCount, soakRow } from "../support/soak.ts";
import { joined, RAM, randomFrom } from "./streams.ts";

const MiB = 2 ** 20;
const GUEST = MiB / 4;
/** MiB of buffers that one small migration over two channels stays below. */
const TAKEN = 16;
/** MiB of buffers that are left in use after any number of them. */
const LEFT = 8;

type Bytes = Uint8Array<ArrayBuffer>;

/** A channel whose other end has said so much and hung up. */
function playback(name: string, bytes: Uint8Array): ByteChannel {
  let at = 0;
  const channel: ByteChannel = {
    peer: name,
    read(into) {
      if (at === bytes.length) return Promise.resolve(null);
      const part = bytes.subarray(at, at + into.length);
      into.set(part);
      at += part.length;
      return Promise.resolve(part.length);
    },
    write: () => Promise.resolve(),
    closeWrite: () => Promise.resolve(),
    close: () => {
      at = bytes.length;
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  return channel;
}

/** The channel, and what has been read from it. */
function tapped(channel: ByteChannel): { readonly channel: ByteChannel; bytes(): Bytes } {
  const parts: Uint8Array[] = [];
  return {
    channel: {
      ...channel,
      async read(into) {
        const count = await channel.read(into);
        if (count !== null) parts.push(into.slice(0, count));
        return count;
      },
    },
    bytes: () => joined(parts),
  };
}

/** What each connection of a guest's migration carries, the main one first. */
async function recorded(compression: MultifdCompression, zeroPages: boolean): Promise<Bytes[]> {
  const settings = { channels: 2, compression, level: 1, zeroPages, flushWord: false };
  const [source, main] = pair();
  const pairs = [pair(), pair()];
  const taps = [main, ...pairs.map(([, end]) => end)].map(tapped);
  const sending = sendStream(source, builtInGuest({ ram: GUEST, dirtyRate: 5 * MiB }), {
    context: {
      multifd: new MultifdWriter(pairs.map(([end]) => end), settings),
      parameters: { ...defaultParameters(), "max-bandwidth": 0, "downtime-limit": 1 },
      state: initialState(),
    },
  });
  await receivePages(taps[0]!.channel, {
    begin: () => guestMemory(GUEST),
    channels: taps.slice(1).map(({ channel }) => channel),
    compression,
  });
  await sending;
  return taps.map((tap) => tap.bytes());
}

/** Plays a migration to a target. */
async function play(all: readonly Uint8Array[], compression: MultifdCompression): Promise<void> {
  const [main, ...channels] = all.map((bytes, i) => playback(`${i}`, bytes));
  await receivePages(main!, {
    begin: () => guestMemory(GUEST),
    channels,
    compression,
    idleTimeout: 5_000,
  });
}

type Mutation = (bytes: Bytes, random: () => number) => Bytes;

/** Headers and lists are where it hurts: the first ones, or any place. */
function place(bytes: Bytes, random: () => number, size: number): number {
  const most = Math.max(1, bytes.length - size);
  return Math.floor(random() * (random() < 0.7 ? Math.min(1344 * 2, most) : most));
}

const MUTATIONS: readonly Mutation[] = [
  (bytes, random) => {
    for (let i = 0; i < 1 + 4 * random(); i++) {
      bytes[place(bytes, random, 1)]! ^= 1 + Math.floor(random() * 255);
    }
    return bytes;
  },
  // Lengths and counts are four bytes wide and stand at multiples of four.
  (bytes, random) => {
    const at = place(bytes, random, 4) & ~3;
    const values = [0xffffffff, 0x7fffffff, 0x100000, 0];
    new DataView(bytes.buffer).setUint32(at, values[Math.floor(random() * values.length)]!);
    return bytes;
  },
  (bytes, random) => bytes.slice(0, Math.floor(random() * bytes.length)),
  (bytes, random) => {
    const at = place(bytes, random, 64);
    return joined([bytes.subarray(0, at), bytes.subarray(at + 1 + Math.floor(random() * 64))]);
  },
  // A packet, or some other part, twice.
  (bytes, random) => {
    const at = place(bytes, random, 1344);
    return joined([bytes.subarray(0, at + 1344), bytes.subarray(at)]);
  },
];

Deno.test("mutated multifd packets are refused with their offset, or change a page; little memory", async () => {
  const count = soakCount(10_000);
  const seed = Date.now() | 0;
  const recordings: (readonly [MultifdCompression, Bytes[]])[] = [];
  for (const compression of ["none", "zlib", "zstd"] as const) {
    for (const zeroPages of [false, true]) {
      const all = await recorded(compression, zeroPages);
      await play(all, compression);
      recordings.push([compression, all]);
    }
  }
  const before = buffersInUse();
  const buffers = watchBuffers();
  let refused = 0;
  for (let run = 0; run < count; run++) {
    const random = randomFrom(seed + run);
    const [compression, whole] = recordings[run % recordings.length]!;
    // The main connection is one of three.
    const hurt = Math.floor(random() * whole.length);
    const mutation = MUTATIONS[Math.floor(random() * MUTATIONS.length)]!;
    const all = whole.map((bytes, i) => i === hurt ? mutation(bytes.slice(), random) : bytes);
    buffers.turn();
    try {
      await play(all, compression);
    } catch (error) {
      refused++;
      const what = `seed ${seed + run}: ${error}`;
      assertInstanceOf(error, MigrationError, what);
      // Too much memory is told by how much it is, a stream without an end has no place.
      if (error.code === "GUEST" || error.code === "STREAM_END_UNKNOWN") continue;
      assert(/at byte \d+/.test(error.message), what);
      assert(error.facts.offset! <= Math.max(...all.map(({ length }) => length)), what);
    }
  }
  buffers.turn();
  assert(buffers.most < TAKEN, `${buffers.most} MiB taken by one migration`);
  const grown = buffersInUse() - before;
  assert(grown < LEFT, `${grown} MiB more in use after ${count} migrations`);
  assert(refused > count / 4, `${refused} of ${count}`);
  soakRow("mutated multifd packets", count, `${refused} refused, no crash, no hang`);
});

Deno.test("channels that halt more often than the main connection are not waited for", async () => {
  const [main, ...channels] = await recorded("none", false);
  // The last round of the memory, and the halt that belongs to it.
  const section = new StreamWriter().u8(2).u32(RAM).u64(0x10).u8(0x7e).u32(RAM).finish().toHex();
  const [head, ...tail] = main!.toHex().split(section);
  const fewer = Uint8Array.fromHex(head! + tail.join(section));
  // It depends on who is first whether the halt that is too many is seen.
  const error = await play([fewer, ...channels], "none").catch((error) => error);
  if (error === undefined) return;
  assertInstanceOf(error, MigrationError);
  assert(error.message.includes(`more often than the main connection at byte ${fewer.length}`));
});

Deno.test("a multifd packet's announced bytes cost nothing: 4 GiB are refused, the most stays unread", async () => {
  const header = (dataBytes: number) => {
    const bytes = new Uint8Array(MULTIFD_HEADER_BYTES);
    writeMultifdHeader(bytes, {
      ...{ flags: 0, slots: 128, normalPages: 128, zeroPages: 0, packet: 0, block: "r" },
      dataBytes,
    });
    return bytes;
  };
  const main = new StreamWriter().header("pc").ramStart(RAM, [{ name: "r", usedLength: GUEST }])
    .finish();
  const refused: readonly [dataBytes: number, text: string, each: number][] = [
    // A channel has room for one packet of pages from the start, and at most for one of 1 MiB.
    [0xffffffff, "is too large at byte 0", 0.6],
    [MiB, "ends at byte 320", 1.8],
  ];
  for (const [bytes, text, each] of refused) {
    const channels = new Array<Uint8Array>(128).fill(header(bytes));
    buffersInUse();
    const buffers = watchBuffers();
    buffers.turn();
    await assertRejects(() => play([main, ...channels], "none"), MigrationError, text);
    buffers.turn();
    assert(buffers.most < 4 + 128 * each, `${buffers.most} MiB for 128 channels of ${bytes} bytes`);
  }
});
