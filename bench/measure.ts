/** Side-by-side measuring: the contestants take turns, the median counts. */

/** One contestant. */
export interface Contestant {
  readonly name: string;
  /** One run; gives what was measured, in the unit of the table. */
  run(): Promise<number>;
}

/** What a contestant came to. */
export interface Result {
  readonly name: string;
  readonly median: number;
  readonly all: readonly number[];
}

/** Runs the contestants in turn, `rounds` times each, after one round that does not count. */
export async function compare(
  contestants: readonly Contestant[],
  rounds: number,
  warmUp = true,
): Promise<Result[]> {
  const all = contestants.map((): number[] => []);
  for (let round = warmUp ? -1 : 0; round < rounds; round++) {
    for (const [i, contestant] of contestants.entries()) {
      const value = await contestant.run();
      if (round >= 0) all[i]!.push(value);
    }
  }
  return contestants.map(({ name }, i) => ({ name, median: median(all[i]!), all: all[i]! }));
}

/** The middle value. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Milliseconds that some work takes. */
export async function milliseconds(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** Runs a program to its end, which must be a good one. */
export async function mustRun(
  program: string,
  args: readonly string[],
  options: { cwd?: string; env?: Record<string, string> } = {},
): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    ...options,
    stdin: "null",
  }).output();
  if (!success) throw new Error(`${program}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}

/**
 * Prints a table; the first row is ours and the ratio says how each row stands to it.
 *
 * @param better Whether more or less of the unit is better.
 */
export function printTable(
  title: string,
  unit: string,
  better: "more" | "less",
  results: readonly Result[],
): void {
  const ours = results[0]!.median;
  const width = Math.max(...results.map((r) => r.name.length));
  console.log(`\n${title} (${unit}, median of ${results[0]!.all.length}, ${better} is better)`);
  for (const { name, median, all } of results) {
    const ratio = better === "more" ? ours / median : median / ours;
    const spread = `${format(Math.min(...all))}–${format(Math.max(...all))}`;
    console.log(
      `  ${name.padEnd(width)}  ${format(median).padStart(9)}  ${spread.padStart(17)}` +
        (name === results[0]!.name ? "" : `  ours is ${ratio.toFixed(2)} times as good`),
    );
  }
}

function format(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(1);
}
