/** A matrix for programs: one JSON object per ordered pair. */

import type { Matrix, PairOutcome } from "../creds/mod.ts";

/** Prints every pair; the pairs of one source are one write. */
export function printMatrixJson({ hosts, pair }: Matrix): void {
  const known = new Map<PairOutcome, string>();
  const tailOf = (outcome: PairOutcome): string => {
    let tail = known.get(outcome);
    if (tail === undefined) known.set(outcome, tail = JSON.stringify(outcome).slice(1));
    return tail;
  };
  const names = hosts.map(({ name }) => JSON.stringify(name));
  for (const [from, source] of names.entries()) {
    const lines = names.flatMap((destination, to) =>
      from === to
        ? []
        : [`{"source":${source},"destination":${destination},${tailOf(pair(from, to))}`]
    );
    console.log(lines.join("\n"));
  }
}
