/** What a validation may cost at most: hostile chains end with an error, not with a hang. */

/** Upper bounds of one validation. */
export interface PathBudget {
  /** Signatures checked; each pair of certificate and key counts once. */
  readonly signatures: number;
  /** Steps from a certificate to a possible issuer. */
  readonly steps: number;
  /** Comparisons of a name with a name constraint. */
  readonly comparisons: number;
  /** Nodes of policy graphs. */
  readonly policies: number;
  /** Bytes of all certificates and CRLs given. */
  readonly bytes: number;
}

/** Bounds that no honest chain comes near: 128 signatures are 50 ms in the slower engine. */
export const PATH_BUDGET: PathBudget = {
  signatures: 128,
  steps: 2_048,
  comparisons: 100_000,
  policies: 4_096,
  bytes: 8 * 1024 * 1024,
};

/** What is left of a budget. */
export interface Purse {
  /**
   * Takes an amount.
   *
   * @throws {Exhausted} If less is left.
   */
  spend(kind: keyof PathBudget, amount?: number): void;
}

/** A bound was reached; never leaves the validation. */
export class Exhausted extends Error {
  constructor(readonly kind: keyof PathBudget, readonly limit: number) {
    super(`more than ${limit} ${WORDS[kind]}`);
  }
}

const WORDS: Readonly<Record<keyof PathBudget, string>> = {
  signatures: "signatures would have to be checked",
  steps: "steps from certificate to issuer would have to be tried",
  comparisons: "names would have to be compared with name constraints",
  policies: "policies would have to be followed",
  bytes: "bytes of certificates and CRLs are given",
};

/** Opens a budget. */
export function openPurse(budget: PathBudget): Purse {
  const left = { ...budget };
  return {
    spend(kind, amount = 1) {
      left[kind] -= amount;
      if (left[kind] < 0) throw new Exhausted(kind, budget[kind]);
    },
  };
}
