/** When a client dials again: later each time, and never all of them at once. */

/** How often the pause is doubled at most. */
const MAX_DOUBLINGS = 3;
/** Longest pause in ms, where the first one is not longer. */
const LONGEST = 60_000;

/** The pauses of one client. */
export interface Backoff {
  /** Gives the next pause in ms. */
  next(): number;
  /** The connection was good: the next pause is a first one. */
  reset(): void;
}

/**
 * Makes the pauses around `reconnect`: QEMU waits exactly as long each time, and all the clients of
 * a server that was started anew come at once. Here a pause is between half and one and a half of
 * `reconnect`, and it is doubled for each failure after the first, up to eight times or a minute.
 *
 * @param pause The value of `reconnect` in ms.
 * @param random Gives a number from 0 to below 1.
 *
 * @example The first two pauses of a client, in the middle of their range
 * ```ts
 * import { backoff } from "@virtcreds/virtcreds/chardev";
 * import { assertEquals } from "@std/assert";
 *
 * const pauses = backoff(5000, () => 0.5);
 * assertEquals([pauses.next(), pauses.next()], [5000, 10_000]);
 * ```
 */
export function backoff(pause: number, random: () => number = Math.random): Backoff {
  let failures = 0;
  return {
    next() {
      const doubled = pause * 2 ** Math.min(failures++, MAX_DOUBLINGS);
      return Math.round(Math.min(doubled, Math.max(pause, LONGEST)) * (0.5 + random()));
    },
    reset() {
      failures = 0;
    },
  };
}
