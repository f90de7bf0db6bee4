/**
 * The built-in guest: memory that can be made again from its size alone and no devices, for a
 * rehearsal without a virtual machine. No QEMU takes it, its machine type is its own.
 */

import { MigrationError } from "./error.ts";
import type { StreamSource } from "./stream_file.ts";
import { DEFAULT_PAGE_SIZE, RamSaveFlag, SectionType } from "./stream_constants.ts";
import { StreamWriter } from "./stream_writer.ts";

/** The machine type that the built-in guest gives itself. */
export const GUEST_MACHINE = "virtcreds-guest-1";
/** Its only RAM block. */
export const GUEST_BLOCK = "guest.ram";
/** Largest size in bytes. */
export const MAX_GUEST_RAM = 2 ** 44;

const RAM_SECTION = 2;
/** Records written at a time: 1 MiB of pages. */
const BATCH = 256;
/** Pages in one round's section, as a source that looks at its bandwidth cuts them. */
const PAGES_PER_PART = 4096;
/** One page in so many is zero. */
const ZERO_EVERY = 16;
/** Pages that are sent again in the last round, as if the guest had written to them. */
const DIRTY_PAGES = 64;
const RECORD = 8 + DEFAULT_PAGE_SIZE;

type Chunk = Uint8Array<ArrayBuffer>;

/**
 * Reads a size as QEMU's `-m` takes it: a number with `K`, `M`, `G` or `T`, megabytes without.
 *
 * @returns Bytes.
 * @throws {MigrationError} `GUEST` if it is no size, not whole pages, or too much.
 */
export function parseGuestRam(text: string): number {
  const match = /^(\d{1,12})([KMGT]?)(i?B)?$/i.exec(text);
  const unit = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };
  const size = match === null
    ? NaN
    : Number(match[1]) * (unit[match[2]!.toUpperCase() as keyof typeof unit] ?? unit.M);
  if (size >= DEFAULT_PAGE_SIZE && size <= MAX_GUEST_RAM && size % DEFAULT_PAGE_SIZE === 0) {
    return size;
  }
  throw new MigrationError("GUEST", {
    cause: `'${text.slice(0, 40)}' is not a size in whole pages from 4K to 16T`,
    hint: "give it as QEMU's -m: 64M, 4G",
  });
}

/**
 * Makes a guest that can be sent.
 *
 * @param ramSize Bytes of memory, whole pages.
 */
export function builtInGuest(ramSize: number): StreamSource {
  return {
    length: guestStreamLength(ramSize),
    returnPath: true,
    machine: GUEST_MACHINE,
    chunks: () => guestStream(ramSize),
  };
}

/** Bytes of the stream that {@linkcode guestStream} makes. */
export function guestStreamLength(ramSize: number): number {
  let length = 0;
  const pages = ramSize / DEFAULT_PAGE_SIZE;
  const zero = Math.floor(pages / ZERO_EVERY);
  const parts = Math.ceil(pages / PAGES_PER_PART);
  const dirty = dirtyPages(pages);
  length += head(ramSize).length + tail().length;
  length += parts * (5 + 8 + 5) + (5 + 8 + 5);
  length += (pages - zero) * RECORD + zero * 9 + dirty * RECORD;
  // The name of the block, once.
  return length + 1 + GUEST_BLOCK.length;
}

/**
 * Makes the stream of a guest, chunk by chunk. A chunk is valid until the next one is asked for.
 *
 * @param ramSize Bytes of memory, whole pages.
 */
export function* guestStream(ramSize: number): Generator<Chunk, void, void> {
  const pages = ramSize / DEFAULT_PAGE_SIZE;
  yield head(ramSize);
  const fill = batch();
  for (let page = 0; page < pages;) {
    const until = Math.min(pages, page + BATCH);
    const opens = page % PAGES_PER_PART === 0;
    const closes = until % PAGES_PER_PART === 0 || until === pages;
    yield fill(page, until, opens, closes);
    page = until;
  }
  const last = new StreamWriter().ramPart(SectionType.QEMU_VM_SECTION_END, RAM_SECTION);
  const content = randomPage();
  for (let i = 0; i < dirtyPages(pages); i++) {
    // 11 pages apart, so that none is a zero page turned otherwise twice.
    const page = (i * 11) % pages;
    new DataView(content.buffer).setUint32(0, page);
    last.page(page * DEFAULT_PAGE_SIZE, content);
  }
  last.endOfRam(RAM_SECTION);
  yield last.finish();
  yield tail();
}

function dirtyPages(pages: number): number {
  return Math.min(DIRTY_PAGES, pages);
}

function head(ramSize: number): Chunk {
  return new StreamWriter().header(GUEST_MACHINE).command("OPEN_RETURN_PATH")
    .ramStart(RAM_SECTION, [{ name: GUEST_BLOCK, usedLength: ramSize }]).finish();
}

function tail(): Chunk {
  return new StreamWriter().end({ page_size: DEFAULT_PAGE_SIZE, devices: [] }).finish();
}

/** A buffer of page records that is laid out once and stamped anew for each batch. */
function batch(): (from: number, until: number, opens: boolean, closes: boolean) => Chunk {
  const bytes = new Uint8Array(5 + GUEST_BLOCK.length + 1 + BATCH * RECORD + 8 + 5);
  const view = new DataView(bytes.buffer);
  const random = randomPage();

  return (from, until, opens, closes) => {
    let pos = 0;
    if (opens) {
      view.setUint8(0, SectionType.QEMU_VM_SECTION_PART);
      view.setUint32(1, RAM_SECTION);
      pos = 5;
    }
    for (let page = from; page < until; page++) {
      const zero = page % ZERO_EVERY === ZERO_EVERY - 1;
      const flags = (zero ? RamSaveFlag.RAM_SAVE_FLAG_ZERO : RamSaveFlag.RAM_SAVE_FLAG_PAGE) |
        (page === 0 ? 0 : RamSaveFlag.RAM_SAVE_FLAG_CONTINUE);
      const offset = page * DEFAULT_PAGE_SIZE;
      view.setUint32(pos, Math.floor(offset / 2 ** 32));
      view.setUint32(pos + 4, (offset % 2 ** 32) + flags);
      pos += 8;
      if (page === 0) {
        const name = new TextEncoder().encode(GUEST_BLOCK);
        view.setUint8(pos, name.length);
        bytes.set(name, pos + 1);
        pos += 1 + name.length;
      }
      if (zero) {
        view.setUint8(pos++, 0);
        continue;
      }
      bytes.set(random, pos);
      view.setUint32(pos, page);
      pos += DEFAULT_PAGE_SIZE;
    }
    if (closes) {
      bytes.set(new StreamWriter().endOfRam(RAM_SECTION).finish(), pos);
      pos += 8 + 5;
    }
    return bytes.subarray(0, pos);
  };
}

/** A page of bytes that no cipher or disk can shorten, the same on every run (xorshift32). */
function randomPage(): Chunk {
  const words = new Uint32Array(DEFAULT_PAGE_SIZE / 4);
  let x = 0x9e3779b9;
  for (let i = 0; i < words.length; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    words[i] = x;
  }
  return new Uint8Array(words.buffer);
}
