/** Work that a key at a local end ends. */

import type { LocalEnd } from "./local.ts";

/**
 * Does work under a signal that aborts when the caller's does, and when a key at one of the ends
 * ends it all; then it gives nothing.
 *
 * @throws What the work throws, and the reason of the caller's signal if that aborts.
 */
export async function untilQuit<T>(
  ends: readonly Pick<LocalEnd, "quit">[],
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal | undefined) => Promise<T>,
): Promise<T | undefined> {
  const quits = ends.map(({ quit }) => quit).filter((quit) => quit !== undefined);
  if (quits.length === 0) return await work(signal);
  try {
    return await work(AbortSignal.any(signal === undefined ? quits : [signal, ...quits]));
  } catch (error) {
    if (!signal?.aborted && quits.some((quit) => quit.aborted)) return undefined;
    throw error;
  }
}
