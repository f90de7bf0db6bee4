import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import fc from "fast-check";
import { MigrationError } from "../../migration/error.ts";
import { readStream } from "../../migration/stream_reader.ts";
import { buffersInUse, watchBuffers } from "../support/memory.ts";
import { soakCount, soakRow } from "../support/soak.ts";
import { StreamWriter } from "../../migration/stream_writer.ts";
import { hex, joined, RAM, randomFrom, records } from "./streams.ts";

const WHOLE = joined(records());
/** MiB of buffers that reading one small stream stays below, whatever it announces. */
const TAKEN = 4;
/** MiB of buffers that hundreds of readers stay below which were promised gigabytes. */
const PROMISED = 8;

const MiB = 2 ** 20;
const head = () => new StreamWriter().header("pc");

type Mutation = (bytes: Uint8Array<ArrayBuffer>, random: () => number) => Uint8Array<ArrayBuffer>;

const MUTATIONS: readonly Mutation[] = [
  (bytes, random) => {
    for (let i = 0; i < 1 + 8 * random(); i++) {
      bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
    }
    return bytes;
  },
  // Lengths are what hurts: four bytes at once.
  (bytes, random) => {
    const at = Math.floor(random() * (bytes.length - 4));
    new DataView(bytes.buffer).setUint32(at, random() < 0.5 ? 0xffffffff : 0x7fffffff);
    return bytes;
  },
  (bytes, random) => bytes.slice(0, Math.floor(random() * bytes.length)),
  (bytes, random) => {
    const at = Math.floor(random() * bytes.length);
    const length = Math.floor(random() * 64);
    return joined([bytes.subarray(0, at), bytes.subarray(at + length)]);
  },
  (bytes, random) => {
    const at = Math.floor(random() * bytes.length);
    const from = Math.floor(random() * bytes.length);
    return joined([bytes.subarray(0, at), bytes.subarray(from, from + 300), bytes.subarray(at)]);
  },
  (bytes, random) => {
    // Records in another order.
    const parts = records();
    const [a, b] = [Math.floor(random() * parts.length), Math.floor(random() * parts.length)];
    [parts[a], parts[b]] = [parts[b]!, parts[a]!];
    return random() < 0.5 ? joined(parts) : joined(parts).slice(0, bytes.length - 1);
  },
];

Deno.test("readStream() survives mutated streams: an exact error or a summary, little memory", () => {
  const count = soakCount(10_000);
  const seed = Date.now() | 0;
  const before = buffersInUse();
  const buffers = watchBuffers();
  let refused = 0;
  for (let run = 0; run < count; run++) {
    const random = randomFrom(seed + run);
    let bytes = WHOLE.slice();
    for (let i = 0; i < 1 + 2 * random() && bytes.length >= 8; i++) {
      bytes = MUTATIONS[Math.floor(random() * MUTATIONS.length)]!(bytes, random);
    }
    buffers.turn();
    const reader = readStream({ postcopy: run % 2 === 1 });
    const step = 1 + Math.floor(random() * 5000);
    try {
      for (let at = 0; at < bytes.length; at += step) reader.push(bytes.subarray(at, at + step));
      assert(reader.end().bytes <= bytes.length);
    } catch (error) {
      refused++;
      const what = `seed ${seed + run}: ${error}`;
      assertInstanceOf(error, MigrationError, what);
      assert(/at byte \d+/.test(error.message) || error.code === "STREAM_END_UNKNOWN", what);
      assert((error.facts.offset ?? 0) <= bytes.length, what);
    }
  }
  buffers.turn();
  assert(buffers.most < TAKEN, `${buffers.most} MiB taken by one stream`);
  const grown = buffersInUse() - before;
  assert(grown < TAKEN, `${grown} MiB more in use after ${count} streams`);
  soakRow("mutated migration streams", count, `${refused} refused, no crash, no hang`);
});

Deno.test("readStream() survives random bytes behind a good header", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 400 }),
      fc.integer({ min: 1, max: 50 }),
      (junk, step) => {
        const bytes = joined([records()[0]!, junk]);
        const reader = readStream();
        try {
          for (let at = 0; at < bytes.length; at += step) {
            reader.push(
              bytes.subarray(at, at + step),
            );
          }
          reader.end();
          throw new Error("junk was taken for a stream");
        } catch (error) {
          assertInstanceOf(error, MigrationError);
        }
      },
    ),
    { numRuns: soakCount(10_000) },
  );
  soakRow("readStream(): random bytes", soakCount(10_000), "refused or read, no crash");
});

/** What announces as much as is not refused at once, and says no more. */
const ANNOUNCED: readonly [what: string, bytes: Uint8Array<ArrayBuffer>][] = [
  ["a description of 16 MiB", head().u8(0).u8(6).u32(16 * MiB).finish()],
  [
    "a description of 16 MiB that has begun",
    head().sectionHead(1, { sectionId: 1, idstr: "x" })
      .u8(0).u8(6).u32(16 * MiB).bytes(hex("7b22")).finish(),
  ],
  ["a list of discarded pages", head().u8(8).u16(6).u16(0xffff).finish()],
  ["a package of 256 MiB", head().command("PACKAGED", hex("10000000")).finish()],
  [
    "a block of memory of 1 TiB",
    head().ramStart(RAM, [{ name: "r", usedLength: 2 ** 40 }]).finish(),
  ],
];

Deno.test("readStream() does not believe a length: announced bytes cost nothing", () => {
  const before = buffersInUse();
  const buffers = watchBuffers();
  const readers = [];
  for (let i = 0; i < 300; i++) {
    buffers.turn();
    const reader = readStream({ postcopy: true });
    reader.push(ANNOUNCED[i % ANNOUNCED.length]![1]);
    readers.push(reader);
  }
  buffers.turn();
  assert(buffers.most < TAKEN, `${buffers.most} MiB taken by one stream`);
  const grown = buffersInUse() - before;
  assert(grown < PROMISED, `${grown} MiB held by ${readers.length} readers`);
  for (const [i, reader] of readers.entries()) {
    const [what] = ANNOUNCED[i % ANNOUNCED.length]!;
    assertThrows(() => reader.end(), MigrationError, "the stream is not complete", what);
  }
});

Deno.test("readStream() refuses 4 GiB where they are announced, and takes no memory for them", () => {
  const at = head().finish().length;
  const refused: readonly [string, Uint8Array<ArrayBuffer>, number][] = [
    [
      "it announces a package of 4294967295 bytes",
      head().command("PACKAGED", hex("ffffffff")).finish(),
      at,
    ],
    [
      "it announces a description of 4294967295 bytes",
      head().u8(0).u8(6).u32(0xffffffff).finish(),
      at + 1,
    ],
  ];
  const buffers = watchBuffers();
  for (const [cause, bytes, offset] of refused) {
    buffers.turn();
    const error = assertThrows(
      () => readStream({ postcopy: true }).push(bytes),
      MigrationError,
    );
    assertEquals([error.code, error.facts.cause, error.facts.offset], [
      "STREAM_LIMIT",
      cause,
      offset,
    ]);
  }
  buffers.turn();
  assert(buffers.most < TAKEN, `${buffers.most} MiB taken by one stream`);
});
