/** The copies of an authority's CRL that hosts have: they tell when its own was lost. */

import { BaseError, decodePem, readTextLimited } from "../base/mod.ts";
import { type Certificate, parseCrl, signatureCheck } from "../creds/mod.ts";
import type { Engine } from "../engine/mod.ts";
import { CaError } from "./error.ts";
import { heldHosts } from "./held.ts";
import { CA_CRL_FILE, isThere, type PkiPaths } from "./pki.ts";
import { CRL_LABEL, crlNumberOf, readRevoked } from "./revoked.ts";

/** A host's copy of the CRL. */
interface CrlCopy {
  readonly file: string;
  readonly number: bigint;
  readonly count: number;
}

/**
 * Refuses an authority whose CRL is missing or older than a copy that it has signed: the next one
 * would take revocations back, with a higher number.
 *
 * @throws {CaError} `CRL`.
 */
export function refuseLostCrl(paths: PkiPaths, issuer: Certificate, engine: Engine): void {
  const newest = newestCopy(paths, issuer, engine);
  if (newest === undefined) return;
  const refuse = (cause: string) =>
    new CaError("CRL", {
      file: paths.caCrl,
      cause,
      hint: `put the newest one back: cp ${newest.file} ${paths.caCrl}`,
    });
  if (!isThere(paths.caCrl)) {
    throw refuse("it is missing, and one made anew would revoke nothing that it has revoked");
  }
  const { number } = readRevoked(paths, issuer.subject.raw);
  if (number >= newest.number) return;
  throw refuse(`its number ${number} is lower than the ${newest.number} of ${newest.file}`);
}

function newestCopy(paths: PkiPaths, issuer: Certificate, engine: Engine): CrlCopy | undefined {
  const isSignedBy = signatureCheck(engine);
  // Most hosts have the same one.
  const seen = new Set<string>();
  let newest: CrlCopy | undefined;
  for (const host of heldHosts(paths)) {
    const file = `${paths.hosts}/${host}/${CA_CRL_FILE}`;
    for (const der of readNew(file, seen)) {
      const crl = tryParse(der);
      if (crl === undefined || crl.issuer.raw.toHex() !== issuer.subject.raw.toHex()) continue;
      const copy = { file, number: crlNumberOf(crl), count: crl.revoked.size };
      if (newest !== undefined && !isNewer(copy, newest)) continue;
      if (isSignedBy(crl, issuer)) newest = copy;
    }
  }
  return newest;
}

/** Lists of tools that number none are told apart by their length. */
function isNewer(a: CrlCopy, b: CrlCopy): boolean {
  return a.number > b.number || a.number === b.number && a.count > b.count;
}

function readNew(file: string, seen: Set<string>): Uint8Array[] {
  try {
    if (!isThere(file)) return [];
    const text = readTextLimited(file);
    if (seen.has(text)) return [];
    seen.add(text);
    return decodePem(text).filter((block) => block.label === CRL_LABEL).map((block) => block.der);
  } catch (error) {
    return unreadable(error, []);
  }
}

function tryParse(der: Uint8Array): ReturnType<typeof parseCrl> | undefined {
  try {
    return parseCrl(der);
  } catch (error) {
    return unreadable(error, undefined);
  }
}

/** A host's file that cannot be read proves nothing. */
function unreadable<T>(error: unknown, value: T): T {
  if (error instanceof BaseError) return value;
  throw error;
}
