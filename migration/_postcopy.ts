/** What a destination of post-copy knows: which pages are there, and which it asks for. */

import { MigrationError } from "./error.ts";
import { PageBitmap } from "./page_bitmap.ts";
import type { PageSink } from "./page_sink.ts";
import { requestPagesMessage } from "./return_path.ts";
import type { Discard } from "./stream_command.ts";
import type { RamBlock } from "./stream_ram.ts";

/** The pages of a guest whose rest comes after it has been switched over. */
export class PostcopyPages {
  readonly #blocks = new Map<RamBlock, PageBitmap>();
  #pageSize = 0;
  #running = false;
  #advised = false;
  /** The page that was asked for and has not come. */
  #asked: { readonly block: RamBlock; readonly page: number } | undefined;
  #lastBlock: RamBlock | undefined;
  /** How many pages were asked for. */
  requests = 0;

  /** @param send Sends a message on the way back. */
  constructor(readonly send: (message: Uint8Array) => void) {}

  /** Takes note that the source may switch: from now on the memory must find room. */
  advise(): void {
    this.#advised = true;
  }

  /** A sink that notes what comes, and passes it on. */
  through(sink: PageSink): PageSink {
    return {
      ...sinkMethods(sink),
      blocks: (blocks, sectionId, pageSize) => {
        this.#pageSize = pageSize;
        if (this.#advised) checkRoom(sink, blocks);
        for (const block of blocks) {
          this.#blocks.set(block, new PageBitmap(Math.ceil(block.usedLength / pageSize)));
        }
        sink.blocks(blocks, sectionId, pageSize);
      },
      page: (block, offset, bytes) => {
        sink.page(block, offset, bytes);
        this.#came(block, offset);
      },
      zero: (block, offset, fill) => {
        sink.zero(block, offset, fill);
        this.#came(block, offset);
      },
    };
  }

  /**
   * Takes pages back, which come again.
   *
   * @throws {MigrationError} `STREAM` If there are none such.
   */
  discard({ block: name, ranges }: Discard): void {
    const found = [...this.#blocks].find(([block]) => block.name === name);
    if (found === undefined) {
      throw new MigrationError("STREAM", {
        text: `ram_discard_range: Failed to find block '${name}'`,
      });
    }
    const [block, seen] = found;
    for (const [start, length] of ranges) {
      if (start + length > block.usedLength || start % this.#pageSize !== 0) {
        throw new MigrationError("STREAM", {
          text: `ram_discard_range: Overrun block '${name}' (0x${start.toString(16)}/0x${
            length.toString(16)
          }/0x${block.usedLength.toString(16)})`,
        });
      }
      const end = (start + length) / this.#pageSize;
      for (let page = start / this.#pageSize; page < end; page++) seen.delete(page);
    }
  }

  /** The guest runs here: from now on what is not there is asked for. */
  run(): void {
    this.#running = true;
  }

  /**
   * Asks for the next page, where none is asked for: what lies farthest from where the source
   * sends of itself. To be called when all that has come is looked at.
   */
  ask(): void {
    if (!this.#running || this.#asked !== undefined) return;
    for (const [block, seen] of this.#blocks) {
      const page = seen.lastUnset();
      if (page < 0) continue;
      this.#asked = { block, page };
      const name = block === this.#lastBlock ? undefined : block.name;
      this.#lastBlock = block;
      this.requests++;
      this.send(requestPagesMessage(page * this.#pageSize, this.#pageSize, name));
      return;
    }
  }

  /** Pages that have not come, once the guest runs here. */
  get missing(): number {
    if (!this.#running) return 0;
    let missing = 0;
    for (const seen of this.#blocks.values()) missing += seen.pages - seen.count;
    return missing;
  }

  /**
   * Checks that nothing is missing at the end.
   *
   * @param offset Where the end is, for messages.
   * @throws {MigrationError} `STREAM`.
   */
  finish(offset: number): void {
    const { missing } = this;
    if (missing === 0) return;
    throw new MigrationError("STREAM", {
      text: `${missing} pages of the guest never came`,
      offset,
    });
  }

  #came(block: RamBlock, offset: number): void {
    const page = offset / this.#pageSize;
    this.#blocks.get(block)?.add(page);
    if (this.#asked?.page === page && this.#asked.block === block) this.#asked = undefined;
  }
}

/** Adds to a lost connection what it means once the guest was switched over. */
export function lostAfterSwitch(error: unknown): unknown {
  if (!(error instanceof MigrationError) || !LOSSES.has(error.code)) return error;
  return new MigrationError(error.code, { ...error.facts, hint: LOST_HINTS }, { cause: error });
}

/**
 * Refuses a guest whose memory may not fit while it still runs at the source: a disk that is full
 * after the switch would lose it.
 *
 * @throws {MigrationError} `STREAM`.
 */
function checkRoom(sink: PageSink, blocks: readonly RamBlock[]): void {
  const room = sink.room?.();
  const memory = blocks.reduce((sum, { usedLength }) => sum + usedLength, 0);
  if (room === undefined || room >= memory) return;
  const mib = (bytes: number) => `${Math.ceil(bytes / 2 ** 20)} MiB`;
  throw new MigrationError("STREAM", {
    text: `the guest's memory of ${mib(memory)} may not find room: ${mib(room)} are free`,
    hint: "make room where --out is, or switch the capability postcopy-ram off at the source: " +
      "before a switch a full disk loses nothing",
  });
}

const LOSSES: ReadonlySet<string> = new Set(["PEER_CLOSED", "PEER_SILENT", "STREAM_TRUNCATED"]);

const LOST_HINTS: readonly string[] = [
  "it was lost after the switch to post-copy, and recovery is not supported here: the guest stays " +
  "stopped at the source (postcopy-paused), and nothing of it was kept",
  "where a connection may break, migrate without post-copy: the guest goes on at the source then",
];

function sinkMethods(sink: PageSink): PageSink {
  return {
    blocks: (...list) => sink.blocks(...list),
    page: (...page) => sink.page(...page),
    zero: (...page) => sink.zero(...page),
    end: () => sink.end(),
    records: (bytes) => sink.records(bytes),
    drain: () => sink.drain(),
    commit: () => sink.commit(),
    discard: () => sink.discard(),
  };
}
