/** A guest's memory at a target: what came, at its place, and a digest to compare it by. */

import { createHash } from "node:crypto";
import { MigrationError } from "./error.ts";
import type { PageSink } from "./page_sink.ts";
import { DEFAULT_PAGE_SIZE } from "./stream_constants.ts";
import type { RamBlock } from "./stream_ram.ts";

/** Bytes of the pieces that memory is made of; whole pages of any size lie in one. */
const BANK = 64 * 1024 * 1024;

/** One block of memory. */
interface Memory {
  readonly banks: (Uint8Array | undefined)[];
  readonly usedLength: number;
}

/** Memory that pages go to. */
export interface GuestMemory extends PageSink {
  /** SHA-256 of each block, in hexadecimal, by its name. */
  digests(): Promise<ReadonlyMap<string, string>>;
}

/**
 * Makes memory; the source's list of blocks says of which sizes. Pages of zeros take none.
 *
 * @param limit Bytes that all blocks together may have.
 */
export function guestMemory(limit: number): GuestMemory {
  const all = new Map<RamBlock, Memory>();
  let pageSize = DEFAULT_PAGE_SIZE;
  return {
    blocks(blocks, _, size) {
      pageSize = size;
      const total = blocks.reduce((sum, { usedLength }) => sum + usedLength, 0);
      if (total > limit) {
        throw new MigrationError("GUEST", {
          cause: `the source's has ${total} bytes of memory, this one may have ${limit}`,
          hint: `give it as much: --guest-ram ${Math.ceil(total / 2 ** 20)}M`,
        });
      }
      for (const block of blocks) {
        if (block.usedLength % pageSize !== 0) {
          const text =
            `Length mismatch: ${block.name}: ${block.usedLength} bytes are no whole pages`;
          throw new MigrationError("STREAM", { text });
        }
        const banks = new Array(Math.ceil(block.usedLength / BANK)).fill(undefined);
        all.set(block, { banks, usedLength: block.usedLength });
      }
    },
    page(block, offset, bytes) {
      bankOf(all.get(block)!, offset).set(bytes, offset % BANK);
    },
    zero(block, offset, fill) {
      const memory = all.get(block)!;
      const isMade = memory.banks[Math.floor(offset / BANK)] !== undefined;
      if (!isMade && fill === 0) return;
      const at = offset % BANK;
      bankOf(memory, offset).fill(fill, at, at + pageSize);
    },
    end: () => {},
    records: () => {},
    drain: () => Promise.resolve(),
    commit: () => Promise.resolve(),
    discard: () => all.clear(),
    async digests() {
      const digests = new Map<string, string>();
      for (const [{ name }, memory] of all) digests.set(name, await digest(memory));
      return digests;
    },
  };
}

function bankOf(memory: Memory, offset: number): Uint8Array {
  const number = Math.floor(offset / BANK);
  const size = Math.min(BANK, memory.usedLength - number * BANK);
  return memory.banks[number] ??= new Uint8Array(size);
}

/** As `sha256sum` gives it of a file with the same bytes. */
async function digest({ banks, usedLength }: Memory): Promise<string> {
  const hash = createHash("sha256");
  const empty = new Uint8Array(Math.min(BANK, usedLength));
  for (const [number, bank] of banks.entries()) {
    hash.update(bank ?? empty.subarray(0, Math.min(BANK, usedLength - number * BANK)));
    // Others have their turn between two pieces.
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  return hash.digest("hex");
}
