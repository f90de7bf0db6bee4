/** Two local ends joined until either ends. */

import { pause, unlessAborted } from "../base/mod.ts";
import type { Backend } from "./local.ts";
import { QUIET } from "./splice.ts";
import { ESCAPE } from "./terminal.ts";
import { untilQuit } from "./until_quit.ts";

/** How they are joined. */
export interface JoinOptions {
  readonly signal?: AbortSignal;
  /** ms that one end may be silent after the other has ended before both are left. */
  readonly quiet?: number;
}

/** What went through, in bytes. */
export interface Joined {
  /** From the first to the second, and back. */
  readonly there: number;
  readonly back: number;
}

/**
 * Passes bytes and breaks between two ends, both ways, until one of them ends; what the other one
 * still says is passed on until it has been silent for `quiet`. The escape key of a raw terminal
 * and `Ctrl-A x` of a mux end it too. The ends stay the caller's.
 *
 * @throws What an end throws, and the reason of the signal if it aborts.
 */
export async function joinEnds(
  first: Backend,
  second: Backend,
  options: JoinOptions = {},
): Promise<Joined> {
  const { signal, quiet = QUIET } = options;
  const stop = new AbortController();
  const counts = { there: 0, back: 0 };
  let heard = 0;
  first.onBreak = () => void second.sendBreak?.();
  second.onBreak = () => void first.sendBreak?.();
  using one = first.attach?.() ?? NOT_ATTACHED;
  using other = second.attach?.() ?? NOT_ATTACHED;

  async function copy(
    from: Backend,
    to: Backend,
    raw: boolean,
    count: (bytes: number) => void,
  ): Promise<"end" | "escape"> {
    for (;;) {
      const chunk = await from.read(stop.signal);
      if (chunk === null) return "end";
      const end = raw ? chunk.indexOf(ESCAPE) : -1;
      const bytes = end < 0 ? chunk : chunk.subarray(0, end);
      heard = performance.now();
      try {
        await to.write(bytes);
      } catch (error) {
        if (error instanceof Deno.errors.BrokenPipe) return "end";
        throw error;
      }
      count(bytes.length);
      if (end >= 0) return "escape";
    }
  }

  async function both(): Promise<void> {
    const there = copy(first, second, one.raw, (bytes) => counts.there += bytes);
    const back = copy(second, first, other.raw, (bytes) => counts.back += bytes);
    for (const promise of [there, back]) promise.catch(() => {});
    const ended = await Promise.race([
      there.then((why) => ({ why, rest: back, to: second })),
      back.then((why) => ({ why, rest: there, to: first })),
    ]);
    if (ended.why === "escape") return;
    await settle(ended.rest);
    await ended.to.endWrite?.();
    await settle(ended.rest);
  }

  /**
   * Waits for the end of the other direction, or until it has been silent long enough.
   *
   * @throws What ended it: what was on its way is lost.
   */
  async function settle(rest: Promise<unknown>): Promise<void> {
    let over = false;
    rest.then(() => over = true, () => over = true);
    heard = performance.now();
    for (;;) {
      const left = heard + quiet - performance.now();
      if (over) return void await rest;
      if (left <= 0) return;
      const timer = new AbortController();
      const waiting = pause(left, timer.signal).catch(() => {});
      await Promise.race([rest.catch(() => {}), waiting]);
      timer.abort();
    }
  }

  try {
    await untilQuit([first, second], signal, (either) => unlessAborted(both(), either));
    return counts;
  } finally {
    stop.abort(new DOMException("the join is over", "AbortError"));
  }
}

const NOT_ATTACHED = { raw: false, [Symbol.dispose]() {} };
