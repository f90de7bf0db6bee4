/** The keys of a terminal while nobody is connected: no guest gets them later. */

import type { Attachment, LocalEnd } from "./local.ts";
import { ESCAPE } from "./terminal.ts";

/** A terminal while a client dials. */
export interface DialKeys extends Disposable {
  /** Aborts at the escape key. */
  readonly quit: AbortSignal;
  /** Makes the terminal raw and drops what is typed; other local ends are left alone. */
  start(): void;
  /** Gives the terminal back: keys wait for the next reader from now on. */
  stop(): void;
}

/**
 * Makes the watch over a local end.
 *
 * @param onStart Hears that keys are dropped from now on.
 */
export function dialKeys(local: LocalEnd, onStart: () => void): DialKeys {
  const quit = new AbortController();
  let held: { readonly terminal: Attachment; readonly reading: AbortController } | undefined;

  async function drop(signal: AbortSignal): Promise<void> {
    for (;;) {
      const typed = await local.read(signal);
      if (typed === null) return;
      if (!typed.includes(ESCAPE)) continue;
      quit.abort(new DOMException("a key has ended it", "AbortError"));
      return;
    }
  }

  function stop(): void {
    held?.reading.abort(new DOMException("somebody else reads the keys", "AbortError"));
    held?.terminal[Symbol.dispose]();
    held = undefined;
  }

  return {
    quit: quit.signal,
    start() {
      if (held !== undefined) return;
      const terminal = local.attach?.();
      if (terminal?.raw !== true) return terminal?.[Symbol.dispose]();
      const reading = new AbortController();
      held = { terminal, reading };
      onStart();
      drop(reading.signal).catch(() => {});
    },
    stop,
    [Symbol.dispose]: stop,
  };
}
