/** What files of credentials hold, as lists of names and values that can be shown. */

import { BaseError, decodePem, readTextLimited } from "../base/mod.ts";
import { type Certificate, parseCertificate } from "./certificate.ts";
import { parseCrl } from "./crl.ts";
import { OID } from "./extensions.ts";
import { certificateNames } from "./hostname.ts";

/** One thing in a file. A private key is named and never shown. */
export interface TreeNode {
  readonly kind: "certificate" | "crl" | "key" | "unknown";
  /** Names and values, in the order in which they are to be shown. */
  readonly facts: Readonly<Record<string, string>>;
}

/**
 * Reads all that is in a PEM file.
 *
 * @throws {BaseError} `FILE_NOT_FOUND`, `FILE_NOT_READABLE` or `FILE_TOO_LARGE`.
 */
export function readTree(file: string): TreeNode[] {
  const blocks = decodePem(readTextLimited(file));
  if (blocks.length === 0) return [unknown("nothing in PEM")];
  return blocks.map(({ label, der }) => {
    if (label.includes("PRIVATE KEY")) {
      return { kind: "key", facts: { "private key": `${label.toLowerCase()}, not shown` } };
    }
    try {
      if (label.endsWith("CERTIFICATE")) return certificateNode(parseCertificate(der));
      if (label === "X509 CRL") return crlNode(der);
      return unknown(label.toLowerCase());
    } catch (error) {
      if (!(error instanceof BaseError)) throw error;
      return unknown(`a damaged ${label.toLowerCase()}: ${error.facts.cause ?? error.message}`);
    }
  });
}

/** The text of an authorization rule that lets in whoever has this certificate. */
export function authorizationOption(certificate: Pick<Certificate, "subject">): string {
  return `authz-simple,id=authz0,identity=${certificate.subject.text.replaceAll(",", ",,")}`;
}

function unknown(what: string): TreeNode {
  return { kind: "unknown", facts: { holds: what } };
}

function certificateNode(certificate: Certificate): TreeNode {
  const { basicConstraints, keyUsage, extendedKeyUsage, publicKey } = certificate;
  const names = certificateNames(certificate);
  const isRoot = certificate.subject.text === certificate.issuer.text;
  const facts: Record<string, string> = {
    subject: certificate.subject.text,
    issuer: isRoot ? `${certificate.issuer.text} (itself)` : certificate.issuer.text,
    serial: certificate.serial.toHex(),
    valid: `${time(certificate.notBefore)} to ${time(certificate.notAfter)}`,
    key: publicKey.bits === undefined
      ? `${KEY_NAMES[publicKey.oid] ?? publicKey.oid}${curveText(publicKey.curve)}`
      : `RSA, ${publicKey.bits} bits`,
    signature: SIGNATURES[certificate.signatureAlgorithm.oid] ?? certificate.signatureAlgorithm.oid,
  };
  if (names.length > 0) facts["names"] = names.join(", ");
  if (basicConstraints !== undefined) {
    const { ca, critical, pathLength } = basicConstraints;
    const depth = pathLength === undefined ? "" : `, path length ${pathLength}`;
    facts["basic constraints"] = `${ca ? "authority" : "no authority"}${depth}${mark(critical)}`;
  }
  if (keyUsage !== undefined) {
    facts["key usage"] = `${keyUsage.usages.join(", ") || "none"}${mark(keyUsage.critical)}`;
  }
  if (extendedKeyUsage !== undefined) {
    const purposes = extendedKeyUsage.purposes.map((oid) => PURPOSES[oid] ?? oid);
    facts["purpose"] = `${purposes.join(", ")}${mark(extendedKeyUsage.critical)}`;
  }
  const others = certificate.extensions.filter(({ oid }) => !SHOWN.includes(oid));
  for (const { oid, critical } of others) {
    facts[`extension ${oid}`] = `not decoded${mark(critical)}`;
  }
  if (!basicConstraints?.ca) facts["to let it in"] = authorizationOption(certificate);
  return { kind: "certificate", facts };
}

function crlNode(der: Uint8Array): TreeNode {
  const { issuer, thisUpdate, nextUpdate, revoked } = parseCrl(der);
  const serials = [...revoked].slice(0, 20).map(([serial, since]) => `${serial} (${time(since)})`);
  const more = revoked.size > 20 ? `, and ${revoked.size - 20} more` : "";
  return {
    kind: "crl",
    facts: {
      issuer: issuer.text,
      made: time(thisUpdate),
      "next due": nextUpdate === undefined ? "never" : time(nextUpdate),
      revoked: revoked.size === 0 ? "none" : `${revoked.size}: ${serials.join(", ")}${more}`,
    },
  };
}

const time = (date: Date): string => `${date.toISOString().slice(0, 19)}Z`;
const mark = (critical: boolean): string => critical ? " (critical)" : "";
const curveText = (oid?: string): string => oid === undefined ? "" : ` ${CURVES[oid] ?? oid}`;

const SHOWN: readonly string[] = [
  OID.basicConstraints,
  OID.keyUsage,
  OID.extendedKeyUsage,
  OID.subjectAltName,
  OID.subjectKeyIdentifier,
  OID.authorityKeyIdentifier,
];

const KEY_NAMES: Readonly<Record<string, string>> = {
  "1.2.840.10045.2.1": "EC",
  "1.3.101.112": "Ed25519",
  "1.3.101.113": "Ed448",
  "1.2.840.113549.1.1.10": "RSA-PSS",
};

const CURVES: Readonly<Record<string, string>> = {
  "1.2.840.10045.3.1.7": "P-256",
  "1.3.132.0.34": "P-384",
  "1.3.132.0.35": "P-521",
};

const SIGNATURES: Readonly<Record<string, string>> = {
  "1.2.840.10045.4.3.2": "ECDSA with SHA-256",
  "1.2.840.10045.4.3.3": "ECDSA with SHA-384",
  "1.2.840.10045.4.3.4": "ECDSA with SHA-512",
  "1.2.840.113549.1.1.5": "RSA with SHA-1",
  "1.2.840.113549.1.1.11": "RSA with SHA-256",
  "1.2.840.113549.1.1.12": "RSA with SHA-384",
  "1.2.840.113549.1.1.13": "RSA with SHA-512",
  "1.3.101.112": "Ed25519",
};

const PURPOSES: Readonly<Record<string, string>> = {
  [OID.serverAuth]: "serverAuth",
  [OID.clientAuth]: "clientAuth",
  [OID.anyExtendedKeyUsage]: "anyExtendedKeyUsage",
};
