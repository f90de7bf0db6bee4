/**
 * What RFC 5280 and good practice want of each certificate, beside QEMU's checks: one table.
 *
 * An error is what a validator by the book refuses, a warning what some programs or auditors do,
 * an info what is only to be known. What `ca issue` makes by default gets infos at most.
 */

import { sameBytes } from "../base/mod.ts";
import type { Endpoint } from "../engine/mod.ts";
import { type MendContext, newAuthority, reissue } from "./_mend.ts";
import { isSelfIssued } from "./_validate_names.ts";
import { alternativeNames, asciiText, GeneralName, isHostName } from "./_validate_names.ts";
import { weakKey, weakSignature } from "./_weak.ts";
import { day, days, nameOf } from "./_words.ts";
import type { Certificate } from "./certificate.ts";
import { attributeValues } from "./dn.ts";
import { OID } from "./extensions.ts";
import type { Severity } from "./finding.ts";
import { parseIpAddress } from "./ip.ts";

/** Longest life of a host's certificate in days, as Apple's platforms take it for private CAs. */
export const MAX_LEAF_DAYS = 825;

/** Longest life of an authority in days: twenty years, and a day for each leap year in them. */
export const MAX_AUTHORITY_DAYS = 7_305;

/** Fewest octets of a serial that cannot be guessed (64 bits, CA/Browser Forum 7.1). */
export const MIN_SERIAL_OCTETS = 8;

/** A certificate in its place. */
export interface StrictSubject {
  readonly certificate: Certificate;
  readonly role: "leaf" | "authority";
  readonly endpoint: Endpoint;
  /** Who issued it, where that is in the directory. */
  readonly issuer: Certificate | undefined;
  readonly mending: MendContext;
}

/** What a standard, or practice, does to what was found. */
export type StrictVerb = "forbidden by" | "advised against by" | "against";

/** A rule; `cause` says what is wrong, if it is. */
export interface StrictRule {
  readonly code: string;
  readonly severity: Severity | ((subject: StrictSubject) => Severity);
  /** Who says so. */
  readonly reference: string;
  /** How strongly; `forbidden by` when absent. */
  readonly verb?: StrictVerb;
  /** Both roles when absent. */
  readonly role?: StrictSubject["role"];
  cause(subject: StrictSubject): string | undefined;
  mend?(subject: StrictSubject): string;
}

/** What mends a certificate: a new one. */
export function mendOf(rule: StrictRule, subject: StrictSubject): string {
  if (rule.mend !== undefined) return rule.mend(subject);
  return subject.role === "leaf" ? reissue(subject.mending) : newAuthority(subject.mending);
}

/** All of them. */
export const STRICT_RULES: readonly StrictRule[] = [
  {
    code: "KEY_WEAK",
    severity: "error",
    reference: "NIST SP 800-131A",
    cause: ({ certificate }) => {
      const weak = weakKey(certificate);
      return weak && `${nameOf(certificate)} has a weak key (${weak})`;
    },
  },
  {
    code: "SIGNATURE_WEAK",
    severity: "error",
    reference: "NIST SP 800-131A",
    cause: ({ certificate }) => {
      // The signature of a root proves nothing, whatever its algorithm.
      const weak = isSelfIssued(certificate) ? undefined : weakSignature(certificate);
      return weak && `${nameOf(certificate)} is signed with ${weak}`;
    },
  },
  {
    code: "VERSION_OLD",
    severity: "warning",
    reference: "RFC 5280 4.1.2.1",
    verb: "advised against by",
    cause: ({ certificate }) =>
      certificate.version < 3
        ? `${nameOf(certificate)} is of version ${certificate.version}, which has no extensions`
        : undefined,
  },
  {
    code: "SERIAL_INVALID",
    severity: "error",
    reference: "RFC 5280 4.1.2.2",
    cause: ({ certificate }) => {
      const { serial } = certificate;
      const wrong = serial[0]! >= 0x80
        ? "negative"
        : serial.every((octet) => octet === 0)
        ? "zero"
        : serial.length > 20
        ? `${serial.length} octets long, and 20 are the limit`
        : undefined;
      return wrong && `the serial number of ${nameOf(certificate)} is ${wrong}`;
    },
  },
  {
    code: "SERIAL_SHORT",
    severity: ({ role }) => role === "leaf" ? "warning" : "info",
    reference: "practice (CA/Browser Forum 7.1)",
    verb: "against",
    cause: ({ certificate }) =>
      // The first octet of a random number is zero once in a while.
      magnitude(certificate.serial) < MIN_SERIAL_OCTETS - 1
        ? `the serial number of ${
          nameOf(certificate)
        } has less than 64 bits: it can be guessed, and be given twice`
        : undefined,
  },
  {
    code: "VALIDITY_REVERSED",
    severity: "error",
    reference: "RFC 5280 4.1.2.5",
    cause: ({ certificate }) =>
      certificate.notBefore > certificate.notAfter
        ? `${nameOf(certificate)} ends (${day(certificate.notAfter)}) before it begins (${
          day(certificate.notBefore)
        })`
        : undefined,
  },
  {
    code: "LIFE_TOO_LONG",
    severity: "warning",
    reference: `practice (${MAX_LEAF_DAYS} days for a host, 20 years for an authority)`,
    verb: "against",
    cause: ({ certificate, role }) => {
      const life = Math.floor(
        (certificate.notAfter.getTime() - certificate.notBefore.getTime()) / 86_400_000,
      );
      const most = role === "leaf" ? MAX_LEAF_DAYS : MAX_AUTHORITY_DAYS;
      return life > most
        ? `${nameOf(certificate)} is valid for ${days(life)}, more than ${days(most)}`
        : undefined;
    },
  },
  {
    code: "OUTLIVES_ISSUER",
    severity: "warning",
    reference: "practice (the path ends with its issuer, RFC 5280 6.1.3)",
    verb: "against",
    cause: ({ certificate, issuer }) =>
      issuer !== undefined && certificate.notAfter > issuer.notAfter
        ? `it is valid until ${day(certificate.notAfter)}, its issuer ${nameOf(issuer)} until ${
          day(issuer.notAfter)
        } only`
        : undefined,
  },
  {
    code: "AKI_MISSING",
    severity: "warning",
    reference: "RFC 5280 4.2.1.1",
    cause: ({ certificate }) =>
      certificate.authorityKeyId?.id === undefined && !isSelfIssued(certificate)
        ? `${nameOf(certificate)} does not say by which key of its issuer it is signed`
        : undefined,
  },
  {
    code: "AKI_MISMATCH",
    severity: "error",
    reference: "RFC 5280 4.2.1.1",
    cause: ({ certificate, issuer }) => {
      const [wanted, given] = [certificate.authorityKeyId?.id, issuer?.subjectKeyId?.id];
      if (wanted === undefined || given === undefined || sameBytes(wanted, given)) return undefined;
      return `the authority key identifier of ${nameOf(certificate)} is not the key identifier of ${
        nameOf(issuer!)
      }, who signed it`;
    },
  },
  {
    code: "SKI_MISSING",
    severity: ({ role }) => role === "authority" ? "warning" : "info",
    reference: "RFC 5280 4.2.1.2",
    cause: ({ certificate }) =>
      certificate.subjectKeyId === undefined
        ? `${nameOf(certificate)} has no subject key identifier`
        : undefined,
  },
  {
    code: "KEY_USAGE_MISSING",
    severity: ({ role }) => role === "authority" ? "warning" : "info",
    reference: "RFC 5280 4.2.1.3",
    cause: ({ certificate, role }) =>
      certificate.keyUsage === undefined && !certificate.malformed.includes(OID.keyUsage)
        ? role === "authority"
          ? `the authority ${nameOf(certificate)} has no key usage`
          : "it has no key usage: its key may do anything"
        : undefined,
  },
  {
    code: "KEY_USAGE_NOT_CRITICAL",
    severity: ({ role }) => role === "authority" ? "warning" : "info",
    reference: "RFC 5280 4.2.1.3",
    verb: "advised against by",
    cause: ({ certificate, role }) =>
      certificate.keyUsage?.critical === false
        ? role === "authority"
          ? `the key usage of the authority ${nameOf(certificate)} is not critical`
          : certificate.keyUsage.usages.includes("keyEncipherment")
          ? "its key usage is not critical"
          : "its key usage is not critical, as it has to be for QEMU before 7.2.22 and 10.1.3 to take a key without keyEncipherment"
        : undefined,
    mend: (subject) =>
      subject.role === "authority"
        ? newAuthority(subject.mending)
        : `${reissue(subject.mending, " --profile strict")} # once no older QEMU is left`,
  },
  {
    code: "KEY_ENCIPHERMENT_USELESS",
    severity: "warning",
    reference: "RFC 8813 3, RFC 8410 5",
    role: "leaf",
    cause: ({ certificate }) =>
      ENCRYPTING.includes(certificate.publicKey.oid) ||
        !certificate.keyUsage?.usages.includes("keyEncipherment")
        ? undefined
        : "its key usage has keyEncipherment, which a key that cannot encrypt must not have",
  },
  {
    code: "CA_CONSTRAINTS_NOT_CRITICAL",
    severity: "warning",
    reference: "RFC 5280 4.2.1.9",
    role: "authority",
    cause: ({ certificate }) =>
      certificate.basicConstraints?.ca === true && !certificate.basicConstraints.critical
        ? `the basic constraints of the authority ${nameOf(certificate)} are not critical`
        : undefined,
  },
  {
    code: "CA_CANNOT_REVOKE",
    severity: "warning",
    reference: "RFC 5280 4.2.1.3",
    role: "authority",
    cause: ({ certificate }) =>
      certificate.keyUsage?.usages.includes("cRLSign") === false
        ? `the key usage of the authority ${
          nameOf(certificate)
        } lacks cRLSign: nobody takes its lists`
        : undefined,
  },
  {
    code: "CERT_ANY_PURPOSE",
    severity: "info",
    reference: "RFC 5280 4.2.1.12",
    verb: "advised against by",
    role: "leaf",
    cause: ({ certificate: { extendedKeyUsage } }) =>
      extendedKeyUsage === undefined ||
        extendedKeyUsage.purposes.includes(OID.anyExtendedKeyUsage)
        ? "it is for any purpose: whoever has a server's key can be a client with it, and sign code"
        : undefined,
  },
  {
    code: "SAN_MISSING",
    severity: ({ endpoint }) => endpoint === "server" ? "warning" : "info",
    reference: "RFC 9525 2",
    role: "leaf",
    cause: ({ certificate, endpoint }) =>
      alternativeNames(certificate).length === 0
        ? endpoint === "server"
          ? "it has no alternative name: GnuTLS falls back to the common name, others do not"
          : "it has no alternative name"
        : undefined,
  },
  {
    code: "CN_NOT_IN_SAN",
    severity: ({ endpoint }) => endpoint === "server" ? "warning" : "info",
    reference: "practice (CA/Browser Forum 7.1.4.3)",
    verb: "against",
    role: "leaf",
    cause: ({ certificate }) => {
      const names = hostNames(certificate);
      const missing = attributeValues(certificate.subject, OID.commonName).find((name) =>
        looksLikeHost(name) && !names.has(parseIpAddress(name)?.toHex() ?? name.toLowerCase())
      );
      return names.size === 0 || missing === undefined
        ? undefined
        : `its common name ${missing} is not among its alternative names, and counts for nothing`;
    },
  },
  {
    code: "SAN_MISFORMED",
    severity: "warning",
    reference: "RFC 5280 4.2.1.6",
    role: "leaf",
    cause: ({ certificate }) => {
      const wrong = alternativeNames(certificate).find(({ tag, content }) =>
        tag === GeneralName.ip
          ? content.length !== 4 && content.length !== 16
          : tag === GeneralName.dns && !isHostName(asciiText(content).replace(/^\*\./, ""))
      );
      return wrong &&
        (wrong.tag === GeneralName.ip
          ? `its address ${wrong.content.toHex()} is neither 4 nor 16 octets long`
          : `its name '${asciiText(wrong.content)}' is no host name`);
    },
  },
];

/** Kinds of key that encrypt. */
const ENCRYPTING: readonly string[] = ["1.2.840.113549.1.1.1"];

/** Octets of the value, without the one that keeps it positive. */
function magnitude(serial: Uint8Array): number {
  const start = serial.findIndex((octet) => octet !== 0);
  return start < 0 ? 0 : serial.length - start;
}

/** Dotted names and addresses; a bare word may be anything. */
function looksLikeHost(name: string): boolean {
  return parseIpAddress(name) !== undefined || (name.includes(".") && isHostName(name));
}

function hostNames(certificate: Certificate): ReadonlySet<string> {
  return new Set(
    alternativeNames(certificate).flatMap(({ tag, content }) =>
      tag === GeneralName.dns
        ? [asciiText(content).toLowerCase()]
        : tag === GeneralName.ip
        ? [content.toHex()]
        : []
    ),
  );
}
