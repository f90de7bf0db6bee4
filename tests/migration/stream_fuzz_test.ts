import { assert, assertInstanceOf, assertThrows } from "@std/assert";
import fc from "fast-check";
import { MigrationError } from "../../migration/error.ts";
import { readStream } from "../../migration/stream_reader.ts";
import { soakCount, soakRow } from "../support/soak.ts";
import { StreamWriter } from "../../migration/stream_writer.ts";
import { hex, joined, randomFrom, records } from "./streams.ts";

const WHOLE = joined(records());
/** Bytes that the garbage of any number of small streams stays below. */
const GARBAGE = 256 * 1024 * 1024;
/** Bytes that hundreds of readers stay below which were promised gigabytes. */
const PROMISED = 64 * 1024 * 1024;

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
  const before = Deno.memoryUsage().rss;
  let refused = 0;
  for (let run = 0; run < count; run++) {
    const random = randomFrom(seed + run);
    let bytes = WHOLE.slice();
    for (let i = 0; i < 1 + 2 * random() && bytes.length >= 8; i++) {
      bytes = MUTATIONS[Math.floor(random() * MUTATIONS.length)]!(bytes, random);
    }
    const reader = readStream();
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
  const grown = Deno.memoryUsage().rss - before;
  assert(grown < GARBAGE, `${grown} bytes more after ${count} streams`);
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

Deno.test("readStream() does not believe a length: announced bytes cost nothing", () => {
  const before = Deno.memoryUsage().rss;
  const readers = [];
  const head = () => new StreamWriter().header("pc");
  // The largest that is not refused at once: a description of 16 MiB, a name, a discard list.
  const announced = [
    head().u8(0).u8(6).u32(16 * 1024 * 1024).finish(),
    head().sectionHead(1, { sectionId: 1, idstr: "x" })
      .u8(0).u8(6).u32(16 * 1024 * 1024).bytes(hex("7b22")).finish(),
    head().u8(8).u16(6).u16(0xffff).finish(),
  ];
  for (let i = 0; i < 300; i++) {
    const reader = readStream();
    reader.push(announced[i % announced.length]!);
    readers.push(reader);
  }
  assert(Deno.memoryUsage().rss - before < PROMISED);
  for (const reader of readers) assertThrows(() => reader.end(), MigrationError);
});
