/**
 * Path validation as GnuTLS does it for QEMU: not RFC 5280's search for any path, but one chain in
 * the order given, whose last member must have its issuer (or itself) among the trust anchors. An
 * intermediate may be an anchor; nothing above an anchor is looked at but its own dates.
 */

import { sameBytes } from "../base/mod.ts";
import {
  type ChainContext,
  type ChainFlag,
  type ChainStatus,
  checkDates,
  checkLink,
  checkStrength,
  type PathState,
  Report,
} from "./_link.ts";
import { day, nameOf } from "./_words.ts";
import type { Certificate } from "./certificate.ts";
import { revocation, type RevocationList } from "./crl.ts";
import type { Name } from "./dn.ts";
import { isIssuedBy, sameKey } from "./signature.ts";

export type { ChainContext, ChainFlag, ChainStatus } from "./_link.ts";

/** Longest chain that a peer may send, as in GnuTLS. */
export const MAX_CHAIN = 16;

/** Validates a chain, leaf first, against trust anchors. */
export function verifyChain(
  chain: readonly Certificate[],
  anchors: readonly Certificate[],
  context: ChainContext,
): ChainStatus {
  const report = new Report();
  let length = chain.length;
  // A root that was sent along proves nothing: it must be among the anchors.
  if (length > 1 && isIssuedBy(chain[length - 1]!, chain[length - 1]!)) length--;
  for (let i = 0; i < length; i++) {
    const anchor = anchors.find((a) =>
      i === 0 ? sameBytes(a.raw, chain[0]!.raw) : sameKey(a, chain[i]!)
    );
    if (anchor === undefined) continue;
    checkDates(anchor, context.now, report);
    checkStrength(anchor, context, report);
    if (report.flags.size > 0) return report;
    length = i;
  }
  const path: PathState = { remaining: Infinity, issuers: [] };
  for (let i = length - 1; i >= 0; i--) {
    const candidates = i === length - 1 ? anchors : [chain[i + 1]!];
    checkLink(chain[i]!, candidates, i === 0, path, context, report);
    if (report.flags.size > 0) break;
  }
  return report;
}

/**
 * Validates what a peer sent: its certificates in any order, with CRLs. As in GnuTLS only anchors
 * by the name of the chain's end are looked at: first its issuers', then its own.
 */
export function verifyPeerChain(
  sent: readonly Certificate[],
  anchors: readonly Certificate[],
  crls: readonly RevocationList[],
  context: ChainContext,
): ChainStatus {
  const chain = orderChain(sent, anchors);
  const last = chain.at(-1);
  if (last === undefined) return verifyChain(chain, anchors, context);
  const named = ({ raw }: Name) => anchors.filter(({ subject }) => sameBytes(subject.raw, raw));
  const status = verifyChain(chain, named(last.issuer), context);
  if (status.flags.size === 0) return checkRevocation(chain, crls);
  const isSelfIssued = sameBytes(last.subject.raw, last.issuer.raw);
  if (isSelfIssued || !RETRIED.some((flag) => status.flags.has(flag))) return status;
  const retried = verifyChain(chain, named(last.subject), context);
  if (retried.flags.size === 0) return checkRevocation(chain, crls);
  return status.flags.has("signerNotFound") ? retried : status;
}

/** What may be better with an anchor in the place of the chain's last certificate. */
const RETRIED: readonly ChainFlag[] = ["signerNotFound", "expired", "insecureAlgorithm"];

function checkRevocation(
  chain: readonly Certificate[],
  crls: readonly RevocationList[],
): ChainStatus {
  const report = new Report();
  for (const certificate of chain) {
    const since = revokedSince(certificate, crls);
    if (since === undefined) continue;
    report.add("revoked", `${nameOf(certificate)} was revoked on ${day(since)}`);
  }
  return report;
}

/** When a certificate was revoked; of several lists of an issuer the newest counts. */
export function revokedSince(
  certificate: Certificate,
  crls: readonly RevocationList[],
): Date | undefined {
  const lists = crls.filter((list) => sameBytes(list.issuer.raw, certificate.issuer.raw));
  const newest = lists.reduce<RevocationList | undefined>(
    (a, b) => a !== undefined && a.thisUpdate > b.thisUpdate ? a : b,
    undefined,
  );
  return newest && revocation(newest, certificate.serial);
}

/**
 * From the leaf along its issuers; where these lead to no anchor, what else was sent follows, each
 * run of it in its own order. A root ends the chain, for it must be an anchor to count.
 */
function orderChain(sent: readonly Certificate[], anchors: readonly Certificate[]): Certificate[] {
  const rest = sent.filter((c, i) => !sent.slice(0, i).some((d) => sameBytes(c.raw, d.raw)));
  const chain: Certificate[] = [];
  while (rest.length > 0) {
    const run = takeRun(rest);
    chain.push(...run);
    if (anchors.some((anchor) => isIssuedBy(run.at(-1)!, anchor))) break;
  }
  const last = chain.at(-1);
  return chain.length > 1 && isIssuedBy(last!, last!) ? chain.slice(0, -1) : chain;
}

/** Takes the first certificate out of a list, and its issuers one after the other. */
function takeRun(rest: Certificate[]): Certificate[] {
  const run = rest.splice(0, 1);
  for (let at = run[0]!; !isIssuedBy(at, at);) {
    const next = rest.findIndex((candidate) => isIssuedBy(at, candidate));
    if (next < 0) break;
    [at] = rest.splice(next, 1) as [Certificate];
    run.push(at);
  }
  return run;
}
