/**
 * The checks that QEMU makes of each certificate when it loads credentials, in its order: dates,
 * basic constraints, key usage, purpose. `message` is QEMU's text word for word, or libvirt's,
 * whose checks are the same but for a few.
 */

import type { Endpoint } from "../engine/mod.ts";
import {
  copyAuthority,
  type MendContext,
  newAuthority,
  reissue,
  renew,
  renewAuthority,
} from "./_mend.ts";
import { day, days, nameOf } from "./_words.ts";
import type { Certificate } from "./certificate.ts";
import { type KeyUsage, OID } from "./extensions.ts";
import type { Profile } from "./profiles.ts";

/** A certificate in the place where QEMU meets it. */
export interface Subject {
  readonly certificate: Certificate;
  /** Path of its file. */
  readonly file: string;
  readonly role: "leaf" | "authority";
  readonly endpoint: Endpoint;
  readonly now: Date;
  readonly profile: Profile;
  readonly mending: MendContext;
}

/** A check; what `fails` makes QEMU refuse the credentials. */
export interface Rule {
  readonly code: string;
  readonly role: Subject["role"];
  /** Absent where every line of QEMU makes the check. */
  readonly appliesTo?: (profile: Profile) => boolean;
  fails(subject: Subject): boolean;
  message(subject: Subject): string;
  cause(subject: Subject): string;
  mend(subject: Subject): string;
}

/** All of them, in the order in which QEMU makes them. */
export const RULES: readonly Rule[] = [
  {
    code: "CA_EXPIRED",
    role: "authority",
    fails: hasExpired,
    message: ({ file }) => `The CA certificate ${file} has expired`,
    cause: (subject) => `${nameOf(subject.certificate)} ${expiry(subject)}`,
    mend: ({ mending }) => renewAuthority(mending),
  },
  {
    code: "CERT_EXPIRED",
    role: "leaf",
    fails: hasExpired,
    message: ({ endpoint, file }) => `The ${endpoint} certificate ${file} has expired`,
    cause: (subject) => `it ${expiry(subject)}`,
    mend: ({ mending }) => renew(mending),
  },
  {
    code: "CA_NOT_ACTIVE",
    role: "authority",
    fails: isNotActive,
    message: ({ file }) => `The CA certificate ${file} is not yet active`,
    cause: ({ certificate }) =>
      `${nameOf(certificate)} is valid from ${certificate.notBefore.toISOString()} on`,
    mend: () => "date -u; wait until then, or set this machine's clock right",
  },
  {
    code: "CERT_NOT_ACTIVE",
    role: "leaf",
    fails: isNotActive,
    message: ({ endpoint, file }) => `The ${endpoint} certificate ${file} is not yet active`,
    cause: ({ certificate }) => `it is valid from ${certificate.notBefore.toISOString()} on`,
    mend: () => "date -u; wait until then, or set this machine's clock right",
  },
  {
    code: "CERT_IS_CA",
    role: "leaf",
    fails: ({ certificate }) => certificate.basicConstraints?.ca === true,
    message: ({ endpoint, file }) =>
      `The certificate ${file} basic constraints show a CA, but we need one for a ${endpoint}`,
    cause: ({ endpoint }) =>
      `the first certificate of the file is an authority's; the ${endpoint}'s own must come first`,
    mend: ({ mending }) => reissue(mending),
  },
  {
    code: "CA_NOT_CA",
    role: "authority",
    fails: ({ certificate }) => certificate.basicConstraints?.ca === false,
    message: ({ file }) => `The certificate ${file} basic constraints do not show a CA`,
    cause: ({ certificate }) => `${nameOf(certificate)} is no authority's certificate`,
    mend: ({ mending }) => copyAuthority(mending),
  },
  {
    code: "CA_NO_BASIC_CONSTRAINTS",
    role: "authority",
    fails: ({ certificate }) =>
      certificate.basicConstraints === undefined && !isMalformed(certificate, "basicConstraints"),
    message: ({ file }) => `The certificate ${file} is missing basic constraints for a CA`,
    cause: ({ certificate }) => `${nameOf(certificate)} does not say that it is an authority's`,
    mend: ({ mending }) => copyAuthority(mending),
  },
  ...damaged("BASIC_CONSTRAINTS_DAMAGED", "basicConstraints", "basic constraints"),
  ...damaged("KEY_USAGE_DAMAGED", "keyUsage", "key usage"),
  {
    code: "CA_KEY_USAGE",
    role: "authority",
    fails: ({ certificate }) => forbids(certificate, "keyCertSign"),
    message: ({ file }) => `Certificate ${file} usage does not permit certificate signing`,
    cause: ({ certificate }) =>
      `the critical key usage of ${nameOf(certificate)} lacks keyCertSign`,
    mend: ({ mending }) => newAuthority(mending),
  },
  {
    code: "CERT_KEY_USAGE",
    role: "leaf",
    fails: ({ certificate }) => forbids(certificate, "digitalSignature"),
    message: ({ file }) => `Certificate ${file} usage does not permit digital signature`,
    cause: () => "its critical key usage lacks digitalSignature",
    mend: ({ mending }) => reissue(mending),
  },
  {
    code: "CERT_KEY_ENCIPHERMENT",
    role: "leaf",
    appliesTo: (profile) => profile.wantsKeyEncipherment,
    fails: ({ certificate }) => forbids(certificate, "keyEncipherment"),
    message: ({ file }) => `Certificate ${file} usage does not permit key encipherment`,
    cause: ({ profile }) =>
      `its critical key usage lacks keyEncipherment, which ${
        profile.logic === "libvirt"
          ? "libvirt wanted up to 11.5"
          : "QEMU wanted up to 7.2.21 and 10.1.2"
      }`,
    mend: ({ mending }) => reissue(mending),
  },
  ...damaged("PURPOSE_DAMAGED", "extendedKeyUsage", "key purpose").filter((rule) =>
    rule.role === "leaf"
  ),
  {
    code: "CERT_PURPOSE",
    role: "leaf",
    appliesTo: ({ logic }) => logic !== "libvirt",
    fails: ({ certificate, endpoint }) =>
      certificate.extendedKeyUsage?.critical === true && !isForPurpose(certificate, endpoint),
    message: ({ endpoint, file }) =>
      `Certificate ${file} purpose does not allow use with a TLS ${endpoint}`,
    cause: ({ endpoint }) => `its critical extended key usage lacks ${endpoint}Auth`,
    mend: ({ mending }) => reissue(mending),
  },
  {
    code: "CERT_PURPOSE",
    role: "leaf",
    appliesTo: ({ logic }) => logic === "libvirt",
    fails: ({ certificate, endpoint }) =>
      certificate.extendedKeyUsage?.critical === true &&
      !isForLibvirtsPurpose(certificate, endpoint),
    message: ({ endpoint, file }) => libvirtPurposeText(file, endpoint),
    cause: ({ endpoint }) =>
      `its critical extended key usage lacks ${endpoint}Auth (libvirt takes anyExtendedKeyUsage for none)`,
    mend: ({ mending }) => reissue(mending),
  },
];

/** libvirt's words, its slip included. */
export function libvirtPurposeText(file: string, endpoint: Endpoint): string {
  return `Certificate ${file} purpose does not allow use for with a TLS ${endpoint}`;
}

/**
 * Whether libvirt finds the role in the extended key usage: its test of anyExtendedKeyUsage is
 * inverted, so that one permits nothing and every purpose it does not know permits everything.
 */
export function isForLibvirtsPurpose(certificate: Certificate, endpoint: Endpoint): boolean {
  const purposes = certificate.extendedKeyUsage?.purposes;
  if (purposes === undefined || purposes.length === 0) return true;
  const other = endpoint === "server" ? OID.clientAuth : OID.serverAuth;
  return purposes.some((purpose) => purpose !== other && purpose !== OID.anyExtendedKeyUsage);
}

/** Whether the extended key usage names the role, everything, or nothing. */
export function isForPurpose(certificate: Certificate, endpoint: Endpoint): boolean {
  const purposes = certificate.extendedKeyUsage?.purposes;
  const wanted = endpoint === "server" ? OID.serverAuth : OID.clientAuth;
  return purposes === undefined || purposes.length === 0 || purposes.includes(wanted) ||
    purposes.includes(OID.anyExtendedKeyUsage);
}

/** Seconds are what QEMU compares; the very second of notAfter is still good. */
function hasExpired({ certificate, now }: Subject): boolean {
  return certificate.notAfter.getTime() < Math.floor(now.getTime() / 1000) * 1000;
}

function isNotActive({ certificate, now }: Subject): boolean {
  return certificate.notBefore.getTime() > Math.floor(now.getTime() / 1000) * 1000;
}

function expiry({ certificate: { notAfter }, now }: Subject): string {
  const ago = days(Math.floor((now.getTime() - notAfter.getTime()) / 86_400_000));
  return `expired on ${day(notAfter)}, ${ago} ago`;
}

/** Only a critical key usage forbids, and no key usage at all permits everything. */
function forbids({ keyUsage }: Certificate, usage: KeyUsage): boolean {
  return keyUsage?.critical === true && !keyUsage.usages.includes(usage);
}

type Decoded = "basicConstraints" | "keyUsage" | "extendedKeyUsage";

function isMalformed(certificate: Certificate, extension: Decoded): boolean {
  return certificate.malformed.includes(OID[extension]);
}

/** An extension that cannot be decoded is an error of its own in either role. */
function damaged(code: string, extension: Decoded, words: string): readonly Rule[] {
  return (["leaf", "authority"] as const).map((role) => ({
    code,
    role,
    fails: ({ certificate }) => isMalformed(certificate, extension),
    message: ({ file, profile }) =>
      `Unable to query certificate ${file} ${words}${
        profile.logic === "libvirt" ? "" : ":"
      } ASN1 parser: Error in DER parsing.`,
    cause: ({ certificate }) => `the ${words} of ${nameOf(certificate)} cannot be decoded`,
    mend: ({ mending }) => role === "leaf" ? reissue(mending) : copyAuthority(mending),
  }));
}
