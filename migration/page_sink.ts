/** Where the pages of a migration go, and the other records of its stream. */

import { MigrationError } from "./error.ts";
import { RamSaveFlag, SectionType } from "./stream_constants.ts";
import type { RamBlock, RamVisitor } from "./stream_ram.ts";
import type { StreamSink } from "./sink.ts";
import { StreamWriter } from "./stream_writer.ts";

/**
 * Takes pages and records in the order in which they must have effect. Bytes belong to the caller
 * again when a call returns. Either `commit` or `discard` ends it.
 */
export interface PageSink extends RamVisitor {
  /** Takes bytes of the main stream that are no pages. */
  records(bytes: Uint8Array): void;
  /** Settles when there is room for more. */
  drain(): Promise<void>;
  /** Makes all of it durable: after this the source may be let go. */
  commit(): Promise<void>;
  /** Leaves nothing behind; does nothing after a commit. */
  discard(): void;
  /** Bytes of pages that it has room for, where that is known. */
  room?(): number | undefined;
}

/** Counts as a place for a migration that is only to be verified. */
export function discardingPages(): PageSink {
  return {
    blocks: () => {},
    page: () => {},
    zero: () => {},
    end: () => {},
    records: () => {},
    drain: () => Promise.resolve(),
    commit: () => Promise.resolve(),
    discard: () => {},
  };
}

/** Bytes that are gathered before they are written. */
const MERGE = 4 * 1024 * 1024;

/**
 * Makes one plain stream of what came on several channels: pages stand in rounds of their own
 * between the records, so that any QEMU takes it, with multifd or without.
 */
export function plainStream(sink: StreamSink): PageSink {
  return new PlainStream(sink);
}

class PlainStream implements PageSink {
  #bytes = new Uint8Array(MERGE + MERGE / 4);
  #spare: Uint8Array<ArrayBuffer> | undefined;
  #view = new DataView(this.#bytes.buffer);
  #length = 0;
  #sectionId = 0;
  #ended = false;
  /** The block of the round that is open; none where none is. */
  #open: RamBlock | undefined;
  #writing: Promise<void> = Promise.resolve();
  #draining: Promise<void> | undefined;

  constructor(readonly sink: StreamSink) {}

  blocks(_: readonly RamBlock[], sectionId: number): void {
    this.#sectionId = sectionId;
    this.records(new StreamWriter().footer(sectionId).finish());
  }

  end(): void {
    this.records(
      new StreamWriter().ramPart(SectionType.QEMU_VM_SECTION_END, this.#sectionId)
        .endOfRam(this.#sectionId).finish(),
    );
    this.#ended = true;
  }

  page(block: RamBlock, offset: number, bytes: Uint8Array): void {
    this.#word(block, offset, RamSaveFlag.RAM_SAVE_FLAG_PAGE, bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  zero(block: RamBlock, offset: number, fill: number): void {
    this.#word(block, offset, RamSaveFlag.RAM_SAVE_FLAG_ZERO, 1);
    this.#bytes[this.#length++] = fill;
  }

  records(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#close();
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  drain(): Promise<void> {
    if (this.#length < MERGE) return Promise.resolve();
    return this.#draining ??= this.#flush().finally(() => {
      this.#draining = undefined;
    });
  }

  async commit(): Promise<void> {
    this.#close();
    await this.#draining;
    await this.#flush();
    await this.#writing;
    await this.sink.commit();
  }

  discard(): void {
    this.sink.discard();
  }

  room(): number | undefined {
    return this.sink.room?.();
  }

  async #flush(): Promise<void> {
    await this.#writing;
    const [full, length] = [this.#bytes, this.#length];
    this.#bytes = this.#spare ?? new Uint8Array(full.length);
    this.#view = new DataView(this.#bytes.buffer);
    this.#length = 0;
    this.#spare = undefined;
    this.#writing = this.sink.write(full.subarray(0, length)).then(() => {
      this.#spare = full;
    });
    // Seen at the next flush; until then it is nobody's.
    this.#writing.catch(() => {});
  }

  /** Opens a round where none is, and names the block where it is another one. */
  #word(block: RamBlock, offset: number, flags: number, more: number): void {
    if (this.#ended) {
      throw new MigrationError("STREAM", { text: "a page comes behind the end of the memory" });
    }
    this.#reserve(5 + 8 + 1 + 255 + more);
    if (this.#open === undefined) {
      this.#bytes[this.#length] = SectionType.QEMU_VM_SECTION_PART;
      this.#view.setUint32(this.#length + 1, this.#sectionId);
      this.#length += 5;
    }
    const same = this.#open === block;
    const low = offset % 2 ** 32 + flags + (same ? RamSaveFlag.RAM_SAVE_FLAG_CONTINUE : 0);
    this.#view.setUint32(this.#length, Math.floor(offset / 2 ** 32));
    this.#view.setUint32(this.#length + 4, low);
    this.#length += 8;
    if (same) return;
    this.#open = block;
    const name = new TextEncoder().encode(block.name);
    this.#bytes[this.#length++] = name.length;
    this.#bytes.set(name, this.#length);
    this.#length += name.length;
  }

  #close(): void {
    if (this.#open === undefined) return;
    this.#open = undefined;
    const end = new StreamWriter().endOfRam(this.#sectionId).finish();
    this.#reserve(end.length);
    this.#bytes.set(end, this.#length);
    this.#length += end.length;
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }
}
