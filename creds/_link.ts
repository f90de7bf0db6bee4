/** One link of a chain: a certificate and its issuer, looked at as GnuTLS looks at them. */

import { sameBytes } from "../base/mod.ts";
import { day, nameOf } from "./_words.ts";
import type { Certificate } from "./certificate.ts";
import { OID } from "./extensions.ts";
import { violatesNameConstraints } from "./name_constraints.ts";
import { isIssuedBy, type SignatureCheck } from "./signature.ts";

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

/** What the certificates above a link leave for it. */
export interface PathState {
  /** Certificates that may still follow below, by the path lengths seen. */
  remaining: number;
  readonly issuers: Certificate[];
}

/** A status in the making. */
export class Report implements ChainStatus {
  readonly flags = new Set<ChainFlag>();
  readonly causes: string[] = [];
  add(flag: ChainFlag, cause: string): void {
    this.flags.add("invalid").add(flag);
    this.causes.push(cause);
  }
}

/** Checks a certificate against whoever of the candidates issued it. */
export function checkLink(
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
      `the path length of an authority does not allow ${nameOf(certificate)}`,
    );
  }
  path.remaining--;
  const issuer = findIssuer(certificate, candidates, context.now);
  if (issuer === undefined) {
    const { raw, text } = certificate.issuer;
    // Authorities of one name are told apart by their keys alone.
    const isNamesake = candidates.some(({ subject }) => sameBytes(subject.raw, raw));
    const only = isNamesake ? ", only another authority of that name, with another key" : "";
    report.add("signerNotFound", `its issuer ${text} is not there${only}`);
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
    report.add("insecureAlgorithm", `${nameOf(certificate)} is signed with ${name}`);
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

/** Checks the dates of a certificate, to the second. */
export function checkDates(certificate: Certificate, now: Date, report: Report): void {
  const { notBefore, notAfter } = certificate;
  const seconds = Math.floor(now.getTime() / 1000) * 1000;
  if (seconds < notBefore.getTime()) {
    report.add("notActivated", `${nameOf(certificate)} is not valid before ${day(notBefore)}`);
  } else if (seconds > notAfter.getTime()) {
    report.add("expired", `${nameOf(certificate)} expired on ${day(notAfter)}`);
  }
}

/** Checks the size of a key. */
export function checkStrength(
  certificate: Certificate,
  context: ChainContext,
  report: Report,
): void {
  const { bits } = certificate.publicKey;
  if (bits !== undefined && bits < (context.minRsaBits ?? 0)) {
    report.add("insecureAlgorithm", `${nameOf(certificate)} has a key of ${bits} bits`);
  }
}

function checkExtensions(certificate: Certificate, report: Report): void {
  for (const { oid, critical } of certificate.extensions) {
    if (critical && !UNDERSTOOD.has(oid)) {
      report.add("invalid", `${nameOf(certificate)} has an unknown critical extension ${oid}`);
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
