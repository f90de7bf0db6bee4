/** Streams made by hand, record by record, and readers of them in any cut. */

import { SectionType } from "../../migration/stream_constants.ts";
import type { StreamSource } from "../../migration/stream_file.ts";
import { readStream, type StreamReaderOptions } from "../../migration/stream_reader.ts";
import type { StreamSummary } from "../../migration/stream_summary.ts";
import { StreamWriter } from "../../migration/stream_writer.ts";

export const RAM = 2;
export const PAGE = new Uint8Array(4096).fill(0x5a);
const BLOCKS = [{ name: "pc.ram", usedLength: 16 * 4096 }, { name: "vga", usedLength: 4096 }];
/** A device whose bytes hold what looks like its own footer, and more of the kind. */
const TRICKY = Uint8Array.of(0x7e, 0, 0, 0, 3, 0x55, 0x7e, 0, 0, 0, 3, 0, 0, 0x7e, 0, 0, 0);

/** Bytes given as hex, blanks ignored. */
export function hex(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text.replace(/\s/g, "").match(/../g) ?? [], (b) => parseInt(b, 16));
}

/** A stream that has one of each record, as a list of records. */
export function records(): Uint8Array<ArrayBuffer>[] {
  const write = (f: (w: StreamWriter) => StreamWriter) => f(new StreamWriter()).finish();
  return [
    write((w) => w.header("pc-i440fx-7.2")),
    write((w) => w.command("OPEN_RETURN_PATH")),
    write((w) => w.command("PING", hex("00000001"))),
    write((w) => w.device({ sectionId: 1, idstr: "early", instanceId: 7 }, hex("aabb"))),
    write((w) => w.ramStart(RAM, BLOCKS)),
    write((w) =>
      w.ramPart(SectionType.QEMU_VM_SECTION_PART, RAM)
        .page(0, PAGE, "pc.ram").page(4096, PAGE).zeroPage(8192).zeroPage(0, "vga").endOfRam(RAM)
    ),
    write((w) =>
      w.ramPart(SectionType.QEMU_VM_SECTION_PART, RAM)
        .zeroPage(0).page(12288, PAGE, "pc.ram")
        .pageWord(4096, 0x40).u8(1).u16(3).bytes(hex("010203"))
        .pageWord(8192, 0x100).u32(5).bytes(hex("789c030000")).endOfRam(RAM)
    ),
    write((w) => w.ramPart(SectionType.QEMU_VM_SECTION_END, RAM).endOfRam(RAM)),
    write((w) => w.device({ sectionId: 3, idstr: "cpu", versionId: 12 }, TRICKY)),
    write((w) => w.device({ sectionId: 4, idstr: "empty" }, new Uint8Array(0))),
    write((w) => w.end(DESCRIPTION)),
  ];
}

/** The description of the devices in {@linkcode records}, each shape of a field once. */
export const DESCRIPTION = {
  page_size: 4096,
  devices: [
    { name: "early", instance_id: 7, vmsd_name: "early", version: 1, fields: [{ size: 2 }] },
    {
      name: "cpu",
      instance_id: 0,
      vmsd_name: "cpu",
      version: 12,
      fields: [{ name: "a", size: 2, array_len: 3 }],
      subsections: [{ vmsd_name: "c/s", fields: [{ name: "b", index: 0, size: 2 }] }],
    },
    { name: "empty", instance_id: 0, vmsd_name: "empty", version: 1, fields: [] },
  ],
};

/** Puts records together. */
export function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const writer = new StreamWriter();
  for (const part of parts) writer.bytes(part);
  return writer.finish();
}

/** Reads a stream to its end in chunks of so many bytes. */
export function readWhole(
  bytes: Uint8Array,
  step = bytes.length,
  options: StreamReaderOptions = {},
): StreamSummary {
  const reader = readStream(options);
  // One buffer for all chunks, overwritten: what a reader still needs it must have copied.
  const buffer = new Uint8Array(step);
  for (let at = 0; at < bytes.length; at += step) {
    const part = bytes.subarray(at, at + step);
    buffer.set(part);
    reader.push(buffer.subarray(0, part.length));
    buffer.fill(0xee);
  }
  return reader.end();
}

/** A whole stream of chunks that are only valid one at a time. */
export function collected(chunks: Iterable<Uint8Array>): Uint8Array<ArrayBuffer> {
  const writer = new StreamWriter();
  for (const chunk of chunks) writer.bytes(chunk);
  return writer.finish();
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32): a failure can be run again. */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

const MACHINE = "virtcreds-guest-1";

/** The stream of a guest of so many bytes that stands still, one page in 16 zero; 1 MiB a chunk. */
export function* guestStream(size: number): Generator<Uint8Array<ArrayBuffer>, void, void> {
  const pages = size / 4096;
  yield new StreamWriter().header(MACHINE).command("OPEN_RETURN_PATH")
    .ramStart(RAM, [{ name: "guest.ram", usedLength: size }]).finish();
  for (let page = 0; page < pages;) {
    const part = new StreamWriter().ramPart(SectionType.QEMU_VM_SECTION_PART, RAM);
    for (const until = Math.min(pages, page + 256); page < until; page++) {
      const block = page === 0 ? "guest.ram" : undefined;
      const noise = randomFrom(page);
      if (page % 16 === 15) part.zeroPage(page * 4096, block);
      else {
        const content = new Uint32Array(1024).map(() => noise() * 2 ** 32);
        part.page(page * 4096, new Uint8Array(content.buffer), block);
      }
    }
    yield part.endOfRam(RAM).finish();
  }
  yield new StreamWriter().ramPart(SectionType.QEMU_VM_SECTION_END, RAM).endOfRam(RAM)
    .end({ page_size: 4096, devices: [] }).finish();
}

/** The same as what can be sent. */
export function stillGuest(size: number): StreamSource & { readonly length: number } {
  let length = 0;
  for (const chunk of guestStream(size)) length += chunk.length;
  return { length, returnPath: true, machine: MACHINE, chunks: () => guestStream(size) };
}
