/** For how long what is renewed was asked for, though the end of a CA may have cut that short. */

import { type Certificate, isIssuedBy, parseCertificate } from "../creds/mod.ts";
import { daysOf, type HeldSet, trustOf } from "./held.ts";
import { readAuthority } from "./issuer.ts";
import { readLedger } from "./ledger.ts";
import type { PkiPaths } from "./pki.ts";
import type { Store } from "./store.ts";
import { CA_DAYS, HOST_DAYS, isWholeLife, LONGEST_DAYS, wholeDays } from "./validity.ts";

/** Tells the days that hosts were issued for. */
export interface Lives extends AsyncDisposable {
  /**
   * The days of what a host holds; where its CA's end cut them, those that it had before, else
   * {@linkcode HOST_DAYS}. `undefined` for a set without a certificate.
   */
  daysFor(held: HeldSet): Promise<number | undefined>;
}

/** Opens what an authority knows of its hosts' lives; the store only when a life was cut. */
export function openLives(paths: PkiPaths): Lives {
  const own = readAuthority(paths).certificates;
  let store: Store | undefined;
  return {
    async daysFor(held) {
      const first = held.certificates[0]?.certificate;
      if (first === undefined) return undefined;
      const ends = new Set([...own, ...trustOf(held)].map((one) => one.notAfter.getTime()));
      if (!ends.has(first.notAfter.getTime())) return Math.max(1, daysOf(first));
      store ??= await readLedger(paths);
      const before = (await store.certificatesOf(held.host)).toReversed();
      for (const { certificate } of before) {
        const one = parseCertificate(certificate);
        if (!ends.has(one.notAfter.getTime()) && isWholeLife(one)) return daysOf(one);
      }
      return HOST_DAYS;
    },
    async [Symbol.asyncDispose]() {
      await store?.[Symbol.asyncDispose]();
    },
  };
}

/**
 * The days that a CA was made for, its back-dated one left out; {@linkcode CA_DAYS} where the end of
 * the CA above cut them.
 *
 * @param known The certificates beside it, in which the one above is found.
 */
export function authorityDays(ca: Certificate, known: readonly Certificate[]): number {
  const isCut = !isIssuedBy(ca, ca) &&
    known.some((one) => isIssuedBy(ca, one) && one.notAfter.getTime() === ca.notAfter.getTime());
  return isCut
    ? CA_DAYS
    : Math.min(LONGEST_DAYS, Math.max(1, wholeDays(ca.notBefore, ca.notAfter) - 1));
}
