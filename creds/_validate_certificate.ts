/** What each certificate of a path must be by itself (RFC 5280 4, 6.1.3, 6.1.4). */

import { fault, type PathFault, type PathProblem } from "./_validate_fault.ts";
import {
  alternativeNames,
  asciiText,
  GeneralName,
  isHostName,
  isMailbox,
  isSelfIssued,
} from "./_validate_names.ts";
import { nameOf } from "./_words.ts";
import type { Certificate } from "./certificate.ts";
import { type KeyUsage, OID } from "./extensions.ts";
import { weakKey, weakSignature } from "./_weak.ts";

/** Where in a path a certificate stands; `signer` is one that signed a CRL. */
export type Place = "leaf" | "authority" | "anchor" | "signer";

/** What holds for every certificate of a validation. */
export interface CertificateRules {
  /** Whole seconds, in ms. */
  readonly at: number;
  /** Whether what RFC 5280 section 4 forbids to issue is refused. */
  readonly strict: boolean;
  readonly allowWeak: boolean;
  /** The purpose that an extended key usage must have, dotted decimal. */
  readonly purpose?: string;
  /** Whether the extended key usages of authorities count as well. */
  readonly chainedPurposes: boolean;
  /** What the leaf's key must be for. */
  readonly keyUsage: readonly KeyUsage[];
}

interface Rule {
  readonly code: PathProblem;
  readonly section: string;
  /** All places when absent. */
  readonly places?: readonly Place[];
  readonly strict?: true;
  fails(certificate: Certificate, rules: CertificateRules, place: Place): boolean;
  says(certificate: Certificate): string;
}

/** Finds the first rule that a certificate breaks in a place. */
export function checkCertificate(
  certificate: Certificate,
  place: Place,
  rules: CertificateRules,
): PathFault | undefined {
  const broken = RULES.find((rule) =>
    (rule.strict === undefined || rules.strict) &&
    (rule.places === undefined || rule.places.includes(place)) &&
    rule.fails(certificate, rules, place)
  );
  if (broken === undefined) return undefined;
  const message = `${nameOf(certificate)} ${broken.says(certificate)}`;
  return fault(broken.code, message, broken.section, certificate);
}

const ISSUERS: readonly Place[] = ["authority", "anchor"];

/** Who issued an anchor, and under which number, is of no concern. */
const ISSUED: readonly Place[] = ["leaf", "authority", "signer"];

/** Extensions that this validation processes, and that may therefore be critical. */
const PROCESSED: ReadonlySet<string> = new Set([
  OID.basicConstraints,
  OID.keyUsage,
  OID.extendedKeyUsage,
  OID.subjectAltName,
  OID.nameConstraints,
  OID.authorityKeyIdentifier,
  OID.subjectKeyIdentifier,
  OID.certificatePolicies,
  OID.policyMappings,
  OID.policyConstraints,
  OID.inhibitAnyPolicy,
  OID.crlDistributionPoints,
]);

/** Extensions that RFC 5280 wants critical (`true`) or not. */
const CRITICALITY: ReadonlyMap<string, boolean> = new Map([
  [OID.authorityKeyIdentifier, false],
  [OID.subjectKeyIdentifier, false],
  [OID.policyConstraints, true],
  [OID.nameConstraints, true],
  [OID.inhibitAnyPolicy, true],
  [OID.authorityInfoAccess, false],
  [OID.freshestCrl, false],
]);

const RULES: readonly Rule[] = [
  {
    code: "expired",
    section: "4.1.2.5",
    // So put, a moment that is no date makes everything expire.
    fails: ({ notAfter }, { at }) => !(notAfter.getTime() >= at),
    says: ({ notAfter }) => `expired at ${instant(notAfter)}`,
  },
  {
    code: "not-yet-valid",
    section: "4.1.2.5",
    fails: ({ notBefore }, { at }) => notBefore.getTime() > at,
    says: ({ notBefore }) => `is not valid before ${instant(notBefore)}`,
  },
  {
    code: "malformed",
    section: "4.2",
    fails: ({ malformed, extendedKeyUsage }) =>
      malformed.length > 0 || extendedKeyUsage?.purposes.length === 0,
    says: ({ malformed }) =>
      `has an extension that cannot be decoded (${malformed[0] ?? OID.extendedKeyUsage})`,
  },
  {
    code: "critical-extension",
    section: "4.2",
    fails: ({ extensions }) => extensions.some((e) => e.critical && !PROCESSED.has(e.oid)),
    says: ({ extensions }) =>
      `has a critical extension that is not processed (${
        extensions.find((e) => e.critical && !PROCESSED.has(e.oid))?.oid
      })`,
  },
  {
    code: "not-an-authority",
    section: "4.2.1.9",
    places: ISSUERS,
    fails: ({ basicConstraints }) => basicConstraints?.ca !== true,
    says: ({ basicConstraints }) =>
      basicConstraints === undefined
        ? "is no authority: it has no basic constraints"
        : "is no authority: its basic constraints say so",
  },
  {
    code: "key-usage",
    section: "4.2.1.3",
    places: ISSUERS,
    fails: ({ keyUsage }) => keyUsage?.usages.includes("keyCertSign") === false,
    says: () => "may not sign certificates: its key usage lacks keyCertSign",
  },
  {
    code: "key-usage",
    section: "4.2.1.3",
    places: ["signer"],
    fails: ({ keyUsage }) => keyUsage?.usages.includes("cRLSign") === false,
    says: () => "may not sign CRLs: its key usage lacks cRLSign",
  },
  {
    code: "key-usage",
    section: "4.2.1.3",
    places: ["leaf"],
    fails: ({ keyUsage }, { keyUsage: wanted }) =>
      keyUsage !== undefined && wanted.some((usage) => !keyUsage.usages.includes(usage)),
    says: ({ keyUsage }) =>
      `may not be used so: its key usage is ${keyUsage?.usages.join(", ") || "empty"}`,
  },
  {
    code: "purpose",
    section: "4.2.1.12",
    places: ["leaf", "authority", "anchor"],
    fails: ({ extendedKeyUsage }, { purpose, chainedPurposes }, place) =>
      purpose !== undefined && extendedKeyUsage !== undefined &&
      (place === "leaf" || chainedPurposes) &&
      !extendedKeyUsage.purposes.includes(purpose) &&
      !extendedKeyUsage.purposes.includes(OID.anyExtendedKeyUsage),
    says: () => "is not for that purpose: its extended key usage does not have it",
  },
  {
    code: "weak",
    section: "NIST SP 800-131A",
    fails: (certificate, { allowWeak }) => !allowWeak && weakKey(certificate) !== undefined,
    says: (certificate) => `has a weak key: ${weakKey(certificate)}`,
  },
  {
    code: "weak",
    section: "NIST SP 800-131A",
    places: ["leaf", "authority", "signer"],
    fails: (certificate, { allowWeak }) => !allowWeak && weakSignature(certificate) !== undefined,
    says: (certificate) => `is signed with ${weakSignature(certificate)}`,
  },
  strict("4.2", "has an extension of the wrong criticality", isMiscritical),
  strict("4.1.2.2", "has a serial number that is not positive", isNotPositive, ISSUED),
  strict("4.1.2.2", "has a serial number of more than 20 octets", isLongSerial, ISSUED),
  strict("4.1.2.4", "has no issuer", ({ issuer }) => issuer.rdns.length === 0),
  strict(
    "4.1.2.6",
    "is an authority without a subject",
    (c) => isAuthority(c) && c.subject.rdns.length === 0,
  ),
  strict(
    "4.1.2.6",
    "has neither a subject nor a critical alternative name",
    (c) => c.subject.rdns.length === 0 && c.subjectAltName?.critical !== true,
  ),
  strict(
    "4.2.1.1",
    "has no authority key identifier",
    (c) => c.authorityKeyId?.id === undefined && !isSelfIssued(c),
    ISSUED,
  ),
  strict(
    "4.2.1.2",
    "is an authority without a subject key identifier",
    (c) => isAuthority(c) && c.subjectKeyId === undefined,
  ),
  strict(
    "4.2.1.9",
    "is an authority whose basic constraints are not critical",
    (c) => isAuthority(c) && c.basicConstraints?.critical !== true,
  ),
  strict(
    "4.2.1.9",
    "is no authority and may sign certificates",
    (c) => !isAuthority(c) && c.keyUsage?.usages.includes("keyCertSign") === true,
  ),
  strict(
    "4.2.1.10",
    "is no authority and has name constraints",
    (c) => !isAuthority(c) && c.extensions.some(({ oid }) => oid === OID.nameConstraints),
  ),
  strict("4.2.1.6", "has an alternative name of a wrong form", hasMisformedName),
];

function strict(
  section: string,
  words: string,
  fails: (certificate: Certificate) => boolean,
  places?: readonly Place[],
): Rule {
  const where = places === undefined ? {} : { places };
  return { code: "nonconforming", section, strict: true, ...where, fails, says: () => words };
}

function isAuthority({ basicConstraints }: Certificate): boolean {
  return basicConstraints?.ca === true;
}

function isNotPositive({ serial }: Certificate): boolean {
  return serial[0]! >= 0x80 || serial.every((octet) => octet === 0);
}

function isLongSerial({ serial }: Certificate): boolean {
  return serial.length > 20;
}

function isMiscritical({ extensions }: Certificate): boolean {
  return extensions.some(({ oid, critical }) => (CRITICALITY.get(oid) ?? critical) !== critical);
}

function hasMisformedName(certificate: Certificate): boolean {
  return alternativeNames(certificate).some(({ tag, content }) => {
    if (tag === GeneralName.ip) return content.length !== 4 && content.length !== 16;
    if (tag === GeneralName.email) return !isMailbox(asciiText(content));
    if (tag !== GeneralName.dns) return false;
    return !isHostName(asciiText(content).replace(/^\*\./, ""));
  });
}

function instant(date: Date): string {
  return date.toISOString().replace(".000Z", "Z");
}
