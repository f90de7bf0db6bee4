/** Reads that can be given up: what comes afterwards waits for the next caller. */

import { abortableWait } from "../base/mod.ts";
import type { LocalEnd } from "./local.ts";

/** Most bytes that are taken at once, and how many at first: most consoles never say more. */
const CHUNK = 64 * 1024;
const FIRST_CHUNK = 2 * 1024;

/**
 * Makes the `read` of a local end from a source that cannot take a read back.
 *
 * @param read Fills a buffer and gives how many bytes that is, `null` at the end.
 */
export function pullReader(
  read: (into: Uint8Array<ArrayBuffer>) => Promise<number | null>,
): LocalEnd["read"] {
  let buffer = new Uint8Array(FIRST_CHUNK);
  let pending: Promise<number | null> | undefined;
  let ended = false;
  const wait = abortableWait();
  return async (signal) => {
    if (ended) return null;
    signal.throwIfAborted();
    pending ??= read(buffer);
    let count: number | null;
    try {
      count = await wait(pending, signal);
    } catch (error) {
      if (!signal.aborted) pending = undefined;
      throw error;
    }
    pending = undefined;
    ended = count === null;
    if (count === null) return null;
    const bytes = buffer.subarray(0, count);
    if (count === buffer.length && count < CHUNK) buffer = new Uint8Array(CHUNK);
    return bytes;
  };
}

/** The `read` of an end that never says anything. */
export function silence(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) return reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
