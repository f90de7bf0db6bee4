/**
 * The `ram` section: lists of 64-bit words, an address with flags in its low bits, each followed
 * by what its flags say, up to the word that has EOS (QEMU migration/ram.c, version 4).
 */

import type { Parser, StreamInput } from "./_stream_input.ts";
import { MigrationError } from "./error.ts";
import { ENCODING_FLAG_XBZRLE, RamSaveFlag, StreamLimits } from "./stream_constants.ts";

const {
  RAM_SAVE_FLAG_ZERO,
  RAM_SAVE_FLAG_MEM_SIZE,
  RAM_SAVE_FLAG_PAGE,
  RAM_SAVE_FLAG_EOS,
  RAM_SAVE_FLAG_CONTINUE,
  RAM_SAVE_FLAG_XBZRLE,
  RAM_SAVE_FLAG_HOOK,
  RAM_SAVE_FLAG_COMPRESS_PAGE,
  RAM_SAVE_FLAG_MULTIFD_FLUSH,
} = RamSaveFlag;

const NEXT_PAGE = RAM_SAVE_FLAG_PAGE | RAM_SAVE_FLAG_CONTINUE;
const NEXT_ZERO = RAM_SAVE_FLAG_ZERO | RAM_SAVE_FLAG_CONTINUE;

/** A piece of guest memory. */
export interface RamBlock {
  readonly name: string;
  /** Bytes. */
  readonly usedLength: number;
  /** Bytes, where it differs from the target's page size and post-copy may come. */
  readonly pageSize?: number;
}

/** How many pages came in which form; a page sent again counts again. */
export interface RamPages {
  /** Sent whole. */
  readonly normal: number;
  /** Sent as one byte that fills the page. */
  readonly zero: number;
  /** Sent as a delta. */
  readonly xbzrle: number;
  /** Sent compressed. */
  readonly compressed: number;
}

/** Is shown the pages; bytes belong to the reader again when a call returns. */
export interface RamVisitor {
  /** The list of blocks, up to the section's footer; a page has so many bytes. */
  blocks(blocks: readonly RamBlock[], sectionId: number, pageSize: number): void;
  /** A page sent whole; `offset` in bytes is within the block. */
  page(block: RamBlock, offset: number, bytes: Uint8Array): void;
  /** A page that is one byte all over. */
  zero(block: RamBlock, offset: number, fill: number): void;
  /** The last round is over, with its footer. */
  end(): void;
}

/** How the section is read. */
export interface RamOptions {
  /** Each entry of the list carries an address (capability `x-ignore-shared`). */
  readonly ignoreShared: boolean;
  /** Shown every page; delta and compressed pages are refused then. */
  readonly visitor?: RamVisitor;
  /** Stops where all channels must have caught up; without it such words are refused. */
  readonly multifd?: boolean;
  /** Told of a word, by its place in the stream, that means something to multifd alone. */
  readonly onFlushWord?: ((offset: number) => void) | undefined;
}

/** What a reader knows of the guest's memory. */
export class RamState {
  readonly blocks: RamBlock[] = [];
  readonly pages = { normal: 0, zero: 0, xbzrle: 0, compressed: 0 };
  /** Rounds: sections of type PART. */
  parts = 0;
  readonly #byName = new Map<string, RamBlock>();
  /** The block that a CONTINUE means; none before the first page. */
  #current: RamBlock | undefined;
  #flushesByWord = false;

  constructor(
    /** Bytes of a page of the target; also one more than the mask of the flags. */
    readonly pageSize: number,
    readonly options: RamOptions,
    /** What is known of the memory already, where another connection has listed it. */
    known: readonly RamBlock[] = [],
  ) {
    for (const block of known) this.#add(block);
  }

  /** Whether words of their own say when channels must have caught up, not each section's end. */
  get flushesByWord(): boolean {
    return this.#flushesByWord;
  }

  /** Reads a section's payload; `first` is the one that lists the blocks. */
  *payload(input: StreamInput, first: boolean, postcopy: boolean): Parser<void> {
    const flagMask = this.pageSize - 1;
    for (;;) {
      this.#walk(input);
      const start = input.offset;
      yield* input.need(8);
      const low = input.view.getUint32(input.pos + 4);
      const flags = low & flagMask;
      const address = input.view.getUint32(input.pos) * 2 ** 32 + (low - flags);
      input.pos += 8;
      if (flags === RAM_SAVE_FLAG_EOS) return;
      if (flags === RAM_SAVE_FLAG_MULTIFD_FLUSH && this.options.multifd) {
        this.options.onFlushWord?.(start);
        // The section's end comes at once, and the channels may wait for that.
        if (first) this.#flushesByWord = true;
        else yield* input.hold();
      } else if (flags === RAM_SAVE_FLAG_MEM_SIZE && first && this.blocks.length === 0) {
        yield* this.#blockList(input, address, postcopy, start);
      } else if ((flags & ~RAM_SAVE_FLAG_CONTINUE) === 0) throw unknownFlags(0, start);
      else yield* this.#page(input, address, flags, start);
    }
  }

  /**
   * The hot loop: passes over page records of the current block as long as they are whole, and
   * stops before anything else without an opinion. A page's bytes may end beyond the window.
   */
  #walk(input: StreamInput): void {
    const { view, end } = input;
    const { visitor } = this.options;
    const block = this.#current;
    const limit = block?.usedLength ?? 0;
    const pageSize = this.pageSize;
    const flagMask = pageSize - 1;
    let { pos } = input;
    let normal = 0;
    let zero = 0;
    while (end - pos > 8) {
      const low = view.getUint32(pos + 4);
      const flags = low & flagMask;
      const offset = view.getUint32(pos) * 2 ** 32 + (low - flags);
      if (offset >= limit) break;
      if (flags === NEXT_PAGE) {
        if (end - pos < 8 + pageSize) break;
        visitor?.page(block!, offset, input.bytes.subarray(pos + 8, pos + 8 + pageSize));
        pos += 8 + pageSize;
        normal++;
      } else if (flags === NEXT_ZERO) {
        visitor?.zero(block!, offset, input.bytes[pos + 8]!);
        pos += 9;
        zero++;
      } else break;
    }
    input.pos = pos;
    this.pages.normal += normal;
    this.pages.zero += zero;
  }

  *#page(input: StreamInput, address: number, flags: number, start: number): Parser<void> {
    const kind = flags & ~RAM_SAVE_FLAG_CONTINUE;
    switch (kind) {
      case RAM_SAVE_FLAG_ZERO:
      case RAM_SAVE_FLAG_PAGE:
      case RAM_SAVE_FLAG_XBZRLE:
      case RAM_SAVE_FLAG_COMPRESS_PAGE:
        break;
      case RAM_SAVE_FLAG_HOOK:
        throw unsupported("it was recorded over RDMA, which has no TLS", start);
      case RAM_SAVE_FLAG_MULTIFD_FLUSH:
        throw new MigrationError("STREAM_UNSUPPORTED", {
          cause: "it belongs to a multifd migration, whose pages are elsewhere",
          offset: start,
          hint: "set the capability multifd here too: --capability multifd=on",
        });
      default:
        throw unknownFlags(kind, start);
    }
    yield* this.#selectBlock(input, flags, start);
    if (address >= this.#current!.usedLength) {
      throw bad(`Illegal RAM offset ${address.toString(16)}`, start);
    }
    const { visitor } = this.options;
    if (kind === RAM_SAVE_FLAG_PAGE) {
      if (visitor === undefined) yield* input.skip(this.pageSize);
      else {
        yield* input.need(this.pageSize);
        const { pos } = input;
        visitor.page(this.#current!, address, input.bytes.subarray(pos, pos + this.pageSize));
        input.pos += this.pageSize;
      }
      this.pages.normal++;
    } else if (kind === RAM_SAVE_FLAG_ZERO) {
      const fill = yield* input.u8();
      visitor?.zero(this.#current!, address, fill);
      this.pages.zero++;
    } else if (visitor !== undefined) {
      throw unsupported("its pages are sent as deltas, or compressed one by one", start);
    } else if (kind === RAM_SAVE_FLAG_XBZRLE) yield* this.#delta(input, start);
    else yield* this.#compressed(input, start);
  }

  *#selectBlock(input: StreamInput, flags: number, start: number): Parser<void> {
    if (flags & RAM_SAVE_FLAG_CONTINUE) {
      if (this.#current === undefined) throw bad("Ack, bad migration stream!", start);
      return;
    }
    const name = yield* input.countedString("the name of a RAM block");
    const block = this.#byName.get(name);
    if (block === undefined) throw bad(`Can't find block ${name}`, start);
    this.#current = block;
  }

  *#delta(input: StreamInput, start: number): Parser<void> {
    if ((yield* input.u8()) !== ENCODING_FLAG_XBZRLE) {
      throw bad("Failed to load XBZRLE page - wrong compression!", start);
    }
    const length = yield* input.u16();
    if (length > this.pageSize) throw bad("Failed to load XBZRLE page - len overflow!", start);
    yield* input.skip(length);
    this.pages.xbzrle++;
  }

  *#compressed(input: StreamInput, start: number): Parser<void> {
    const length = yield* input.u32();
    if (length > compressBound(this.pageSize)) {
      throw bad(`Invalid compressed data length: ${length | 0}`, start);
    }
    yield* input.skip(length);
    this.pages.compressed++;
  }

  *#blockList(
    input: StreamInput,
    total: number,
    postcopy: boolean,
    start: number,
  ): Parser<void> {
    if (total > StreamLimits.ramSize) throw tooMuch("more than 4 PiB of guest memory", start);
    let sum = 0;
    while (sum < total) {
      const at = input.offset;
      if (this.blocks.length === StreamLimits.ramBlocks) {
        throw tooMuch(`more than ${StreamLimits.ramBlocks} RAM blocks`, at);
      }
      const name = yield* input.countedString("the name of a RAM block");
      if (this.#byName.has(name)) throw bad(`RAM block "${name}" is listed twice`, at);
      const usedLength = yield* input.u64();
      sum += usedLength;
      if (sum > total) throw bad(`RAM block lengths exceed the ${total} bytes announced`, at);
      const pageSize = postcopy ? yield* this.#hugePageSize(input) : undefined;
      if (this.options.ignoreShared) yield* input.skip(8);
      const block = { name, usedLength, ...(pageSize === undefined ? {} : { pageSize }) };
      this.#add(block);
    }
  }

  #add(block: RamBlock): void {
    this.blocks.push(block);
    this.#byName.set(block.name, block);
  }

  /**
   * Where post-copy may come, a block on huge pages says their size, and nothing announces that
   * it does. What could stand there instead begins otherwise: a counted string with a length that
   * is not 0, a word of the section with a flag.
   */
  *#hugePageSize(input: StreamInput): Parser<number | undefined> {
    yield* input.need(8);
    const size = input.view.getUint32(input.pos) * 2 ** 32 + input.view.getUint32(input.pos + 4);
    if (size < this.pageSize || size > 2 ** 40 || !Number.isInteger(Math.log2(size))) {
      return undefined;
    }
    input.pos += 8;
    return size;
  }
}

/** The most that zlib makes of so many bytes (`compressBound`). */
function compressBound(size: number): number {
  return size + (size >>> 12) + (size >>> 14) + (size >>> 25) + 13;
}

function bad(text: string, offset: number): MigrationError {
  return new MigrationError("STREAM", { text, offset });
}

function unknownFlags(flags: number, offset: number): MigrationError {
  return bad(`Unknown combination of migration flags: 0x${flags.toString(16)}`, offset);
}

function unsupported(cause: string, offset: number): MigrationError {
  return new MigrationError("STREAM_UNSUPPORTED", { cause, offset });
}

function tooMuch(what: string, offset: number): MigrationError {
  return new MigrationError("STREAM_LIMIT", { cause: `it announces ${what}`, offset });
}
