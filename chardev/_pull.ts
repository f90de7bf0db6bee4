/** Reads that can be given up: what comes afterwards waits for the next caller. */

import { signalWatch } from "../base/mod.ts";
import { grown } from "./_receive_buffer.ts";
import type { LocalEnd } from "./local.ts";

/** How many bytes are taken at once at first: most consoles never say more. */
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
  let reading = false;
  let ended = false;
  /** What came while nobody waited for it: the end of a read that was given up. */
  let arrived: Promise<Uint8Array | null> | undefined;
  let waiter: PromiseWithResolvers<Uint8Array | null> | undefined;
  const watch = signalWatch((reason) => {
    waiter?.reject(reason);
    waiter = undefined;
  });

  // One promise for each read, and no function made for it: this is the way of every key.
  function arrive(count: number | null): void {
    reading = false;
    ended = count === null;
    const bytes = count === null ? null : buffer.subarray(0, count);
    buffer = grown(buffer, count);
    if (waiter === undefined) arrived = Promise.resolve(bytes);
    else waiter.resolve(bytes);
    waiter = undefined;
  }

  function fail(error: unknown): void {
    reading = false;
    if (waiter === undefined) {
      arrived = Promise.reject(error);
      arrived.catch(() => {});
    } else waiter.reject(error);
    waiter = undefined;
  }

  return (signal) => {
    if (signal.aborted) return Promise.reject(signal.reason);
    if (arrived !== undefined) {
      const given = arrived;
      arrived = undefined;
      return given;
    }
    if (ended) return Promise.resolve(null);
    watch(signal);
    const { promise } = waiter = Promise.withResolvers();
    if (!reading) {
      reading = true;
      read(buffer).then(arrive, fail);
    }
    return promise;
  };
}

/** The `read` of an end that never says anything. */
export function silence(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) return reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
