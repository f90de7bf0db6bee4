/** Counts of tests that repeat: all of them in a soak, a fiftieth otherwise. */

/** True where every count runs in full. */
export const SOAK = Deno.env.get("VIRTCREDS_SOAK") === "1";

/**
 * How often a test repeats here: `full` in a soak (`deno task soak`, `VIRTCREDS_SOAK=1`), else a
 * fiftieth of it, at least `least`.
 */
export function soakCount(full: number, least = 1): number {
  return SOAK ? full : Math.max(least, Math.ceil(full / 50));
}

/** Notes what a counted test did, for the table that `deno task soak` prints. */
export function soakRow(test: string, count: number, result: string): void {
  const file = Deno.env.get("VIRTCREDS_SOAK_TABLE");
  if (file === undefined) return;
  Deno.writeTextFileSync(file, JSON.stringify({ test, count, result }) + "\n", { append: true });
}
