/** What a running program takes, by what the kernel says of it (proc(5)). */

/** What a program has taken so far. */
export interface Cost {
  /** Seconds of the processor. */
  readonly cpu: number;
  /** MiB of memory at most. */
  readonly peak: number;
}

/** ms between two looks: what comes after the last one is missed. */
const PERIOD = 20;

/** Looks at a program until it is disposed of; what was seen stays. */
export interface Meter extends Disposable {
  /** As of now, or of the last look at a program that has ended. */
  read(): Cost;
}

/** Watches a program of this machine. */
export function meter(pid: number): Meter {
  let cost: Cost = { cpu: 0, peak: 0 };
  const look = () => {
    try {
      const stat = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]!.split(" ");
      const status = Deno.readTextFileSync(`/proc/${pid}/status`);
      const peak = Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
      // Clock ticks of 10 ms: user and system (fields 14 and 15). A program at its end has no memory.
      cost = {
        cpu: (Number(stat[11]) + Number(stat[12])) / 100,
        peak: Math.max(cost.peak, peak),
      };
    } catch { /* it has just ended */ }
  };
  const timer = setInterval(look, PERIOD);
  return {
    read() {
      look();
      return cost;
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}
