/** The search for a path from a certificate to an anchor: all ways, most promising first. */

import { sameBytes } from "../base/mod.ts";
import { Exhausted, type Purse } from "./_validate_budget.ts";
import { type CertificateRules, checkCertificate, type Place } from "./_validate_certificate.ts";
import type { ConstraintReader } from "./_validate_constraints.ts";
import { fault, type PathFault } from "./_validate_fault.ts";
import { isSelfIssued, nameKey } from "./_validate_names.ts";
import { nameOf } from "./_words.ts";
import type { Certificate } from "./certificate.ts";
import { sameKey, type Signed } from "./signature.ts";

/** What a search works with; all searches of a validation share it. */
export interface SearchContext {
  readonly rules: CertificateRules;
  /** Most authorities between leaf and anchor, self-issued ones not counted. */
  readonly maxDepth: number;
  readonly purse: Purse;
  readonly constraints: ConstraintReader;
  /** Possible issuers by the key of their subject's name. */
  readonly issuers: ReadonlyMap<string, readonly Candidate[]>;
  /** Whether a signature is an issuer's; `undefined` where the engine cannot tell. */
  isSignedBy(signed: Signed, issuer: Certificate): boolean | undefined;
}

/** A certificate that may be an issuer's. */
export interface Candidate {
  readonly certificate: Certificate;
  readonly isAnchor: boolean;
}

/** A path, leaf first and anchor last, or why there is none. */
export type Search =
  | { readonly ok: true; readonly path: readonly Certificate[] }
  | { readonly ok: false; readonly fault: PathFault };

/**
 * Searches depth first. A path that is complete is shown to `accept`, and the search goes on where
 * that finds a fault.
 *
 * @returns Of all faults the one that the search came farthest with.
 */
export function searchPath(
  target: Certificate,
  place: "leaf" | "signer",
  context: SearchContext,
  accept: (path: readonly Certificate[]) => PathFault | undefined,
): Search {
  const own = checkOnce(context, target, place);
  if (own !== undefined) return { ok: false, fault: own };
  let best: { readonly rank: number; readonly fault: PathFault } | undefined;
  const note = (rank: number, found: PathFault) => {
    if (best === undefined || rank > best.rank) best = { rank, fault: found };
  };
  const extend = (path: readonly Certificate[]): readonly Certificate[] | undefined => {
    const child = path.at(-1)!;
    const candidates = issuersOf(child, context);
    if (candidates.length === 0) note(2 * path.length, noIssuer(child));
    for (const { certificate, isAnchor } of candidates) {
      context.purse.spend("steps");
      const next = [...path, certificate];
      const broken = checkLink(path, certificate, isAnchor, context);
      if (broken !== undefined) {
        note(broken.code === "loop" ? 1 : 2 * path.length + (isAnchor ? 1 : 0), broken);
        continue;
      }
      if (!isAnchor) {
        const found = extend(next);
        if (found !== undefined) return found;
        continue;
      }
      const refused = accept(next);
      if (refused === undefined) return next;
      note(Infinity, refused);
    }
    return undefined;
  };
  const isTrusted = anchorsOf(target, context).length > 0;
  const refused = isTrusted ? accept([target]) : undefined;
  if (isTrusted && refused === undefined) return { ok: true, path: [target] };
  const path = extend([target]);
  if (path !== undefined) return { ok: true, path };
  return { ok: false, fault: refused ?? best?.fault ?? noIssuer(target) };
}

/** Turns a budget that was exceeded into a fault. */
export function withinBudget<T>(
  work: () => T,
): { readonly ok: true; readonly value: T } | { readonly ok: false; readonly fault: PathFault } {
  try {
    return { ok: true, value: work() };
  } catch (error) {
    if (!(error instanceof Exhausted)) throw error;
    return { ok: false, fault: fault("budget", `the search was given up: ${error.message}`) };
  }
}

/** The anchors that are this very certificate. */
function anchorsOf(certificate: Certificate, { issuers }: SearchContext): Candidate[] {
  return (issuers.get(nameKey(certificate.subject)) ?? []).filter((candidate) =>
    candidate.isAnchor && sameBytes(candidate.certificate.raw, certificate.raw)
  );
}

function noIssuer(certificate: Certificate): PathFault {
  const words = `the issuer of ${nameOf(certificate)}, ${
    certificate.issuer.text || "an empty name"
  }, is not there`;
  return fault("no-issuer", words, "6.1.3", certificate);
}

/** Anchors first, then by identifiers, then those that end last. */
function issuersOf(child: Certificate, context: SearchContext): readonly Candidate[] {
  const all = context.issuers.get(nameKey(child.issuer)) ?? [];
  if (all.length < 2) return all;
  const rank = ({ certificate, isAnchor }: Candidate) =>
    (isAnchor ? 4 : 0) + 2 * fits(child, certificate);
  return [...all].sort((a, b) =>
    rank(b) - rank(a) || b.certificate.notAfter.getTime() - a.certificate.notAfter.getTime()
  );
}

/** How well key identifiers go together: 1 they do, 0 nothing is said, -2 they do not. */
function fits({ authorityKeyId }: Certificate, { subjectKeyId, serial }: Certificate): number {
  const wanted = authorityKeyId?.id;
  if (wanted !== undefined && subjectKeyId !== undefined) {
    return sameBytes(wanted, subjectKeyId.id) ? 1 : -2;
  }
  if (authorityKeyId?.serial === undefined) return 0;
  return sameBytes(authorityKeyId.serial, serial) ? 1 : -2;
}

/** Whether an issuer may stand above a path; what costs most comes last. */
function checkLink(
  path: readonly Certificate[],
  issuer: Certificate,
  isAnchor: boolean,
  context: SearchContext,
): PathFault | undefined {
  const child = path.at(-1)!;
  // A certificate of the same name and key leads nowhere that the first did not lead to.
  if (!isAnchor && path.some((c) => sameKey(c, issuer) || sameBytes(c.raw, issuer.raw))) {
    return fault("loop", `${nameOf(issuer)} certifies itself only`, "RFC 4158 2.4.2", issuer);
  }
  const between = path.slice(1).filter((c) => !isSelfIssued(c)).length;
  const depth = between + (isAnchor || isSelfIssued(issuer) ? 0 : 1);
  if (depth > context.maxDepth) {
    return fault("depth", `there are more than ${context.maxDepth} authorities in between`);
  }
  const own = checkOnce(context, issuer, isAnchor ? "anchor" : "authority");
  if (own !== undefined) return own;
  if (between > (issuer.basicConstraints?.pathLength ?? Infinity)) {
    const words = `the path length of ${
      nameOf(issuer)
    } does not allow ${between} authorities below it`;
    return fault("path-length", words, "4.2.1.9", issuer);
  }
  for (const [i, certificate] of path.entries()) {
    if (i > 0 && isSelfIssued(certificate)) continue;
    const outside = context.constraints.check(certificate, issuer);
    if (outside !== undefined) return outside;
  }
  const isSigned = context.isSignedBy(child, issuer);
  if (isSigned) return undefined;
  return isSigned === undefined
    ? fault(
      "unsupported-algorithm",
      `the signature on ${
        nameOf(child)
      } cannot be checked: algorithm ${child.signatureAlgorithm.oid}, key of ${nameOf(issuer)}`,
      "6.1.3",
      child,
    )
    : fault(
      "signature",
      `the signature on ${nameOf(child)} is not that of ${nameOf(issuer)}`,
      "6.1.3",
      child,
    );
}

const outcomes = new WeakMap<SearchContext, Map<string, Map<Certificate, PathFault | undefined>>>();

/** A certificate is met on many ways, and judged once for each place. */
function checkOnce(
  context: SearchContext,
  certificate: Certificate,
  place: Place,
): PathFault | undefined {
  let places = outcomes.get(context);
  if (places === undefined) outcomes.set(context, places = new Map());
  let known = places.get(place);
  if (known === undefined) places.set(place, known = new Map());
  if (!known.has(certificate)) {
    known.set(certificate, checkCertificate(certificate, place, context.rules));
  }
  return known.get(certificate);
}
