/** A recorded stream sent anew over multifd: its pages beside it, all other records with it. */

import { StreamRecords } from "./_stream_records.ts";
import { type MultifdWriter, PAGES_PER_PACKET } from "./multifd_writer.ts";
import { PageBitmap } from "./page_bitmap.ts";
import { DEFAULT_PAGE_SIZE, SectionType } from "./stream_constants.ts";
import type { RamBlock } from "./stream_ram.ts";
import { readStream } from "./stream_reader.ts";
import { StreamWriter } from "./stream_writer.ts";

/** Bytes of records of pages of zeros that one round may have. */
const MOST_ZEROS = 2 ** 20;

/** A page, its bytes still where the reader found them. */
interface Page {
  readonly block: RamBlock;
  readonly offset: number;
  /** The bytes; none for a page of zeros. */
  readonly bytes?: Uint8Array;
}

/**
 * Gives what goes over the main connection; pages go to the channels meanwhile. A page that comes
 * again waits until all channels have the one before.
 */
export async function* splitStream(
  chunks: AsyncIterable<Uint8Array>,
  multifd: MultifdWriter,
): AsyncGenerator<Uint8Array, void, void> {
  yield* new Splitter(multifd).run(chunks);
}

class Splitter {
  /** What the reader has found in a chunk, in its order. */
  #found: (Page | { readonly records: Uint8Array } | "list" | "end")[] = [];
  #chunk: Uint8Array | undefined;
  #sectionId = 0;
  readonly #seen = new Map<RamBlock, PageBitmap>();
  /** The pages of one packet. */
  #pages: Page[] = [];
  readonly #records = new StreamRecords((bytes) => this.#found.push({ records: bytes.slice() }));
  /** Whether pages were sent that no sync has followed. */
  #open = false;

  constructor(readonly multifd: MultifdWriter) {}

  async *run(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
    const reader = readStream({
      visitor: {
        blocks: (blocks, sectionId) => {
          this.#sectionId = sectionId;
          for (const block of blocks) {
            const pages = Math.ceil(block.usedLength / DEFAULT_PAGE_SIZE);
            this.#seen.set(block, new PageBitmap(pages));
          }
          // The word that ends the list is written anew, for another one may have to precede it.
          const last = this.#found.pop() as { readonly records: Uint8Array };
          this.#found.push({ records: last.records.subarray(0, -8) }, "list");
        },
        // A page across a border lies in a buffer of the reader's that is its own again at once.
        page: (block, offset, bytes) =>
          this.#found.push({
            block,
            offset,
            bytes: bytes.buffer === this.#chunk?.buffer ? bytes : bytes.slice(),
          }),
        zero: (block, offset) => this.#found.push({ block, offset }),
        end: () => this.#found.push("end"),
      },
      onCommand: ({ name, value }) => {
        const data = value === undefined ? undefined : new StreamWriter().u32(value).finish();
        this.#found.push({ records: new StreamWriter().command(name, data).finish() });
      },
      onBorder: (kind, offset) => this.#records.border(kind, offset),
    });
    for await (const chunk of chunks) {
      this.#chunk = chunk;
      this.#records.feed(chunk);
      reader.push(chunk);
      this.#records.settle(reader.bytes);
      yield* this.#send();
    }
    reader.end();
  }

  async *#send(): AsyncGenerator<Uint8Array, void, void> {
    const found = this.#found;
    this.#found = [];
    for (const one of found) {
      if (typeof one === "object" && "block" in one) {
        const page = one.offset / DEFAULT_PAGE_SIZE;
        const seen = this.#seen.get(one.block)!;
        if (seen.has(page) || this.#zeros.length > MOST_ZEROS) yield* this.#sync();
        seen.add(page);
        await this.#add(one);
        continue;
      }
      if (one === "list") {
        yield* this.#endRound();
        continue;
      }
      yield* this.#sync();
      if (one !== "end") {
        yield one.records;
        continue;
      }
      yield new StreamWriter().ramPart(SectionType.QEMU_VM_SECTION_END, this.#sectionId).finish();
      yield* this.#endRound();
    }
    // Their bytes are the reader's again.
    await this.#flush();
  }

  async #add(page: Page): Promise<void> {
    const [first] = this.#pages;
    if (first !== undefined && first.block !== page.block) await this.#flush();
    this.#pages.push(page);
    this.#open = true;
    if (this.#pages.length === PAGES_PER_PACKET) await this.#flush();
  }

  async #flush(): Promise<void> {
    const pages = this.#pages;
    if (pages.length === 0) return;
    this.#pages = [];
    const normal = new Map<number, Uint8Array>();
    const zeros: number[] = [];
    for (const { offset, bytes } of pages) {
      if (bytes === undefined) zeros.push(offset);
      else normal.set(offset, bytes);
    }
    const { name } = pages[0]!.block;
    const copy = (offset: number, into: Uint8Array, _: DataView, at: number) =>
      into.set(normal.get(offset)!, at);
    if (this.multifd.settings.zeroPages) {
      await this.multifd.send(name, [...normal.keys()], zeros, copy);
      return;
    }
    if (normal.size > 0) await this.multifd.send(name, [...normal.keys()], [], copy);
    for (const offset of zeros) this.#zeros.zeroPage(offset, name);
  }

  /** Pages of zeros that the main connection has to tell of. */
  #zeros = new StreamWriter();

  /** Ends a round, if there is one. */
  async *#sync(): AsyncGenerator<Uint8Array, void, void> {
    await this.#flush();
    if (!this.#open) return;
    this.#open = false;
    for (const seen of this.#seen.values()) seen.clear();
    yield new StreamWriter().ramPart(SectionType.QEMU_VM_SECTION_PART, this.#sectionId)
      .bytes(this.#zeros.finish()).finish();
    this.#zeros = new StreamWriter();
    yield* this.#endRound();
  }

  async *#endRound(): AsyncGenerator<Uint8Array, void, void> {
    await this.multifd.sync();
    yield new StreamWriter().endOfRound(this.#sectionId, this.multifd.settings).finish();
  }
}
