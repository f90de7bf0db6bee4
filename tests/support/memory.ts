/** Memory of a test that repeats something: flat, however often. */

import { assert } from "@std/assert";
import v8 from "node:v8";
import vm from "node:vm";

/**
 * Most MiB that repetitions may leave in use after a collection: 10,000 of them may leave 2.4 KiB
 * each, of which `deno test` itself keeps some for each connection.
 */
const LIMIT = 24;
/** Most MiB by which the process may grow, libraries and what is not collected yet included. */
const PROCESS_LIMIT = 192;

/** Watches the memory of this process. */
export interface MemoryWatch {
  /** To be called with each repetition. */
  turn(): void;
  /** Asserts that it stayed flat, and gives what the table of a soak says of it. */
  flat(): string;
}

/** Starts to watch; the first quarter of the repetitions warms up. */
export function watchMemory(runs: number): MemoryWatch {
  let turns = 0;
  let before = { used: Infinity, resident: Infinity };
  return {
    turn() {
      if (++turns === Math.ceil(runs / 4)) before = measure();
    },
    flat() {
      assert(turns >= runs, `${turns} of ${runs} repetitions`);
      const now = measure();
      const [used, resident] = [now.used - before.used, now.resident - before.resident];
      assert(used < LIMIT, `${used} MiB more in use after ${turns} repetitions`);
      assert(resident < PROCESS_LIMIT, `${resident} MiB more after ${turns} repetitions`);
      return `${Math.max(0, used).toFixed(1)} MiB more in use`;
    },
  };
}

/** Collects, and gives what is in use and what the process has, in MiB. */
function measure(): { used: number; resident: number } {
  v8.setFlagsFromString("--expose-gc");
  vm.runInNewContext("gc")();
  const { heapUsed, external, rss } = Deno.memoryUsage();
  return { used: (heapUsed + external) / 2 ** 20, resident: rss / 2 ** 20 };
}
