/** A matrix for programs: one JSON object per ordered pair. */

import { asInvoked } from "../base/mod.ts";
import type { Matrix, PairOutcome } from "../creds/mod.ts";

function typed({ state, refusals, names }: PairOutcome): PairOutcome {
  const mended = refusals.map((one) => ({ ...one, mend: asInvoked(one.mend) }));
  return { state, refusals: mended, names };
}

/** Prints every pair; the pairs of one source are one write. */
export function printMatrixJson({ hosts, pair }: Matrix): void {
  const known = new Map<PairOutcome, string>();
  const tailOf = (outcome: PairOutcome): string => {
    let tail = known.get(outcome);
    if (tail === undefined) known.set(outcome, tail = JSON.stringify(typed(outcome)).slice(1));
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
