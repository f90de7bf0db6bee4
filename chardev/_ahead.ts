/** A local end whose end is noticed while nobody reads it. */

import { signalWatch } from "../base/mod.ts";
import type { LocalEnd } from "./local.ts";

/** A local end that is read one piece ahead. */
export interface ReadAhead extends Disposable {
  readonly local: LocalEnd;
  /** Waits for its end; it comes only after all that it gave was read, and that was something. */
  ended(): Promise<void>;
}

/** Reads a local end ahead while its end is waited for; what comes is kept for the next reader. */
export function readAhead(below: LocalEnd): ReadAhead {
  const stop = new AbortController();
  let ahead: Promise<Uint8Array | null> | undefined;
  let hasGiven = false;
  let giveUp: ((reason: unknown) => void) | undefined;
  const watch = signalWatch((reason) => giveUp?.(reason));
  const next = () => ahead ??= below.read(stop.signal);
  const local: LocalEnd = Object.create(below, {
    read: {
      async value(signal: AbortSignal) {
        signal.throwIfAborted();
        watch(signal);
        const chunk = await new Promise<Uint8Array | null>((resolve, reject) => {
          giveUp = reject;
          next().then(resolve, reject);
        });
        if (chunk !== null) {
          ahead = undefined;
          hasGiven = true;
        }
        return chunk;
      },
    },
    onBreak: {
      get: () => below.onBreak,
      set: (handler: () => void) => void (below.onBreak = handler),
    },
  });
  return {
    local,
    async ended() {
      if (await next() !== null || !hasGiven) await new Promise<never>(() => {});
    },
    [Symbol.dispose]: () => stop.abort(new DOMException("it is not read any more", "AbortError")),
  };
}
