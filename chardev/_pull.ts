/** Reads that can be given up: what comes afterwards waits for the next caller. */

import { unlessAborted } from "../base/mod.ts";
import type { LocalEnd } from "./local.ts";

/** Most bytes that are taken at once. */
const CHUNK = 64 * 1024;

/**
 * Makes the `read` of a local end from a source that cannot take a read back.
 *
 * @param read Fills a buffer and gives how many bytes that is, `null` at the end.
 */
export function pullReader(
  read: (into: Uint8Array<ArrayBuffer>) => Promise<number | null>,
): LocalEnd["read"] {
  const buffer = new Uint8Array(CHUNK);
  let pending: Promise<number | null> | undefined;
  let ended = false;
  return async (signal) => {
    if (ended) return null;
    const reading = pending ??= read(buffer);
    reading.catch(() => {});
    let count: number | null;
    try {
      count = await unlessAborted(reading, signal);
    } catch (error) {
      if (!signal.aborted) pending = undefined;
      throw error;
    }
    pending = undefined;
    ended = count === null;
    return count === null ? null : buffer.subarray(0, count);
  };
}

/** The `read` of an end that never says anything. */
export function silence(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) return reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
