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
/** Most MiB of buffers that one repetition may take, given back or not, filled or not. */
const TAKEN_LIMIT = 8;

/** Watches what is taken at once: memory that is promised and never filled is in no other number. */
export interface BufferWatch {
  /** To be called before each repetition and after the last. */
  turn(): void;
  /** The most MiB of buffers that one took. */
  readonly most: number;
}

/** Starts to watch what each repetition takes. A collection between two turns can only hide some. */
export function watchBuffers(): BufferWatch {
  let before = Infinity;
  let most = 0;
  return {
    turn() {
      const now = Deno.memoryUsage().external / 2 ** 20;
      most = Math.max(most, now - before);
      before = now;
    },
    get most() {
      return most;
    },
  };
}

/** Collects, and gives how many MiB of buffers there are, filled or not. */
export function buffersInUse(): number {
  collect();
  return Deno.memoryUsage().external / 2 ** 20;
}

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
  const buffers = watchBuffers();
  return {
    turn() {
      buffers.turn();
      if (++turns === Math.ceil(runs / 4)) before = measure();
    },
    flat() {
      assert(turns >= runs, `${turns} of ${runs} repetitions`);
      buffers.turn();
      assert(buffers.most < TAKEN_LIMIT, `${buffers.most} MiB taken by one repetition`);
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
  collect();
  const { heapUsed, external, rss } = Deno.memoryUsage();
  return { used: (heapUsed + external) / 2 ** 20, resident: rss / 2 ** 20 };
}

function collect(): void {
  v8.setFlagsFromString("--expose-gc");
  vm.runInNewContext("gc")();
}
