/**
 * Path validation as GnuTLS does it for QEMU: not RFC 5280's search for any path, but one chain in
 * the order given, whose last member must have its issuer (or itself) among the trust anchors. An
 * intermediate may be an anchor; nothing above an anchor is looked at but its own dates.
 */

import type { Engine } from "../engine/mod.ts";
import { EngineError } from "../engine/mod.ts";
import type { Certificate } from "./certificate.ts";
import { revocation, type RevocationList } from "./crl.ts";
import type { Name } from "./dn.ts";
import { OID } from "./extensions.ts";
import { violatesNameConstraints } from "./name_constraints.ts";

/** What is wrong with a chain, in GnuTLS's terms (`GNUTLS_CERT_*`). */
export type ChainFlag =
  | "invalid"
  | "signerNotFound"
  | "revoked"
  | "insecureAlgorithm"
  | "expired"
  | "notActivated";

/** The outcome of a validation: no flag is success. */
export interface ChainStatus {
  readonly flags: ReadonlySet<ChainFlag>;
  /** Why, in our words, most telling first. */
  readonly causes: readonly string[];
}

/** What carries a signature: a certificate or a CRL. */
export type Signed = Pick<Certificate, "tbs" | "signature" | "signatureAlgorithm">;

/** Tells whether a signature is an issuer's; `undefined` for an algorithm the engine has not. */
export type SignatureCheck = (signed: Signed, issuer: Certificate) => boolean | undefined;

/** What a validation works with. */
export interface ChainContext {
  readonly now: Date;
  /** Whether the signature on a certificate or CRL is the issuer's. */
  readonly isSignedBy: SignatureCheck;
  /**
   * Take signatures for good that the engine cannot check; never for a peer, but right where the
   * question is what QEMU will say, whose GnuTLS can.
   */
  readonly trustsUnchecked?: boolean;
  /** Smallest RSA key in bits that counts as secure; any when absent. */
  readonly minRsaBits?: number;
}

/** Longest chain that a peer may send, as in GnuTLS. */
export const MAX_CHAIN = 16;

const checks = new WeakMap<Engine, SignatureCheck>();

/** Checks signatures with an engine, and remembers the answers as long as the certificates live. */
export function signatureCheck(engine: Engine): SignatureCheck {
  let check = checks.get(engine);
  if (check === undefined) checks.set(engine, check = rememberedCheck(engine));
  return check;
}

function rememberedCheck(engine: Engine): SignatureCheck {
  const known = new WeakMap<Signed, WeakMap<Certificate, boolean | undefined>>();
  return (signed, issuer) => {
    let answers = known.get(signed);
    if (answers === undefined) known.set(signed, answers = new WeakMap());
    if (!answers.has(issuer)) answers.set(issuer, checkSignature(engine, signed, issuer));
    return answers.get(issuer);
  };
}

/** Whether the names and the key identifiers say that one certificate issued the other. */
export function isIssuedBy(certificate: Certificate, issuer: Certificate): boolean {
  if (!sameBytes(certificate.issuer.raw, issuer.subject.raw)) return false;
  const wanted = certificate.authorityKeyId?.id;
  const given = issuer.subjectKeyId?.id;
  return wanted === undefined || given === undefined || sameBytes(wanted, given);
}

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
    report.add("revoked", `${subject(certificate)} was revoked on ${day(since)}`);
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

interface PathState {
  /** Certificates that may still follow below, by the path lengths seen. */
  remaining: number;
  readonly issuers: Certificate[];
}

class Report implements ChainStatus {
  readonly flags = new Set<ChainFlag>();
  readonly causes: string[] = [];
  add(flag: ChainFlag, cause: string): void {
    this.flags.add("invalid").add(flag);
    this.causes.push(cause);
  }
}

function checkLink(
  certificate: Certificate,
  candidates: readonly Certificate[],
  isLeaf: boolean,
  path: PathState,
  context: ChainContext,
  report: Report,
): void {
  if (path.remaining <= 0) {
    return report.add(
      "invalid",
      `the path length of an authority does not allow ${subject(certificate)}`,
    );
  }
  path.remaining--;
  const issuer = findIssuer(certificate, candidates, context.now);
  if (issuer === undefined) {
    report.add("signerNotFound", `its issuer ${certificate.issuer.text} is not there`);
  } else {
    checkIssuer(certificate, issuer, path, context, report);
    path.issuers.push(issuer);
    const violation = isLeaf ? violatesNameConstraints(certificate, path.issuers) : undefined;
    if (violation !== undefined) report.add("invalid", violation);
    checkExtensions(issuer, report);
    checkStrength(issuer, context, report);
    checkDates(issuer, context.now, report);
  }
  if (isLeaf) checkExtensions(certificate, report);
  checkStrength(certificate, context, report);
  checkDates(certificate, context.now, report);
  if (INSECURE[certificate.signatureAlgorithm.oid] && !isIssuedBy(certificate, certificate)) {
    const name = INSECURE[certificate.signatureAlgorithm.oid];
    report.add("insecureAlgorithm", `${subject(certificate)} is signed with ${name}`);
  }
}

function checkIssuer(
  certificate: Certificate,
  issuer: Certificate,
  path: PathState,
  context: ChainContext,
  report: Report,
): void {
  const constraints = issuer.basicConstraints;
  if (issuer.version > 1 && !sameBytes(certificate.raw, issuer.raw)) {
    // A root older than basicConstraints passes for an authority.
    const isOldRoot = constraints === undefined &&
      !issuer.malformed.includes(OID.basicConstraints) &&
      isIssuedBy(issuer, issuer) && path.issuers.length === 0;
    if (!constraints?.ca && !isOldRoot) {
      report.add("invalid", `its issuer ${issuer.subject.text} is no certificate authority`);
    }
    if (constraints?.ca && constraints.pathLength !== undefined) {
      path.remaining = Math.min(path.remaining, constraints.pathLength);
    }
  }
  const isUsageBad = issuer.malformed.includes(OID.keyUsage) ||
    issuer.keyUsage?.usages.includes("keyCertSign") === false;
  if (issuer.version > 1 && isUsageBad) {
    report.add("invalid", `the key usage of its issuer ${issuer.subject.text} lacks keyCertSign`);
  }
  const isSigned = context.isSignedBy(certificate, issuer) ?? context.trustsUnchecked ?? false;
  if (!isSigned) {
    report.add("invalid", `the signature on it is not the one of ${issuer.subject.text}`);
  }
}

/** The first issuer by name, or the last of them that is within its dates. */
function findIssuer(certificate: Certificate, candidates: readonly Certificate[], now: Date) {
  const issuers = candidates.filter((candidate) => isIssuedBy(certificate, candidate));
  return issuers.findLast((c, i) => i > 0 && now < c.notAfter && now >= c.notBefore) ?? issuers[0];
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

function checkDates(certificate: Certificate, now: Date, report: Report): void {
  const { notBefore, notAfter } = certificate;
  const seconds = Math.floor(now.getTime() / 1000) * 1000;
  if (seconds < notBefore.getTime()) {
    report.add("notActivated", `${subject(certificate)} is not valid before ${day(notBefore)}`);
  } else if (seconds > notAfter.getTime()) {
    report.add("expired", `${subject(certificate)} expired on ${day(notAfter)}`);
  }
}

function checkStrength(certificate: Certificate, context: ChainContext, report: Report): void {
  const { bits } = certificate.publicKey;
  if (bits !== undefined && bits < (context.minRsaBits ?? 0)) {
    report.add("insecureAlgorithm", `${subject(certificate)} has a key of ${bits} bits`);
  }
}

function checkExtensions(certificate: Certificate, report: Report): void {
  for (const { oid, critical } of certificate.extensions) {
    if (critical && !UNDERSTOOD.has(oid)) {
      report.add("invalid", `${subject(certificate)} has an unknown critical extension ${oid}`);
    }
  }
}

/** Extensions that GnuTLS takes when they are critical. */
const UNDERSTOOD: ReadonlySet<string> = new Set([
  OID.subjectKeyIdentifier,
  OID.keyUsage,
  OID.subjectAltName,
  OID.issuerAltName,
  OID.basicConstraints,
  OID.nameConstraints,
  "2.5.29.31",
  "2.5.29.32",
  OID.authorityKeyIdentifier,
  OID.extendedKeyUsage,
  "2.5.29.54",
  "1.3.6.1.5.5.7.1.1",
  "1.3.6.1.5.5.7.1.14",
  "1.3.6.1.5.5.7.1.24",
]);

const INSECURE: Readonly<Record<string, string>> = {
  "1.2.840.113549.1.1.2": "MD2",
  "1.2.840.113549.1.1.4": "MD5",
  "1.2.840.113549.1.1.5": "SHA-1",
  "1.2.840.10040.4.3": "SHA-1",
  "1.2.840.10045.4.1": "SHA-1",
  "1.3.14.3.2.25": "MD5",
  "1.3.14.3.2.27": "SHA-1",
  "1.3.14.3.2.29": "SHA-1",
  "1.3.36.3.3.1.2": "RIPEMD-160",
};

function checkSignature(engine: Engine, signed: Signed, issuer: Certificate): boolean | undefined {
  try {
    return engine.verify({
      publicKey: issuer.spki,
      algorithm: signed.signatureAlgorithm.raw,
      data: signed.tbs,
      signature: signed.signature,
    });
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    // Of RSA-PSS GnuTLS refuses the parameters that it has no name for.
    return signed.signatureAlgorithm.oid === RSA_PSS ? false : undefined;
  }
}

const RSA_PSS = "1.2.840.113549.1.1.10";

/** The same authority, though perhaps in another certificate. */
function sameKey(a: Certificate, b: Certificate): boolean {
  return sameBytes(a.subject.raw, b.subject.raw) && sameBytes(a.spki, b.spki);
}

/** Whether two runs of bytes are equal. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((octet, i) => octet === b[i]);
}

const subject = (certificate: Certificate): string =>
  certificate.subject.text || "a certificate without subject";
const day = (date: Date): string => date.toISOString().slice(0, 10);
