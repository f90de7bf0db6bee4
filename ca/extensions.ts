/** The extensions of certificates and CRLs (RFC 5280 4.2, 5.2) that the authority writes. */

import { createHash } from "node:crypto";
import {
  der,
  derBitString,
  derBoolean,
  derChildren,
  derInteger,
  derOctetString,
  derOid,
  derSequence,
  derUnsigned,
  readDerWhole,
  Tag,
} from "../base/mod.ts";
import type { SubjectName } from "./host_name.ts";

const OID = {
  subjectKeyIdentifier: derOid("2.5.29.14"),
  keyUsage: derOid("2.5.29.15"),
  subjectAltName: derOid("2.5.29.17"),
  basicConstraints: derOid("2.5.29.19"),
  crlNumber: derOid("2.5.29.20"),
  reasonCode: derOid("2.5.29.21"),
  nameConstraints: derOid("2.5.29.30"),
  authorityKeyIdentifier: derOid("2.5.29.35"),
  extendedKeyUsage: derOid("2.5.29.37"),
};

/** Purposes of an extendedKeyUsage (RFC 5280 4.2.1.12). */
const PURPOSE = {
  serverAuth: derOid("1.3.6.1.5.5.7.3.1"),
  clientAuth: derOid("1.3.6.1.5.5.7.3.2"),
};

/** Bit of each key usage in its BIT STRING, counted from the first (RFC 5280 4.2.1.3). */
const KEY_USAGE_BIT = {
  digitalSignature: 0,
  keyEncipherment: 2,
  keyCertSign: 5,
  cRLSign: 6,
} as const;

/** A use of a key that a certificate permits. */
export type KeyUsageName = keyof typeof KEY_USAGE_BIT;

/** Context tags of the GeneralNames that are written. */
export const DNS_NAME = 0x82;
export const IP_NAME = 0x87;
/** AuthorityKeyIdentifier's keyIdentifier. */
const KEY_IDENTIFIER = 0x80;

/** Writes basicConstraints, critical, of a host, or of a CA with so many CAs below it at most. */
export function basicConstraints(ca: boolean, pathLength?: number): Uint8Array {
  // DER leaves out what is the default: cA FALSE.
  if (!ca) return extension(OID.basicConstraints, derSequence(), true);
  const length = pathLength === undefined ? [] : [derInteger(pathLength)];
  return extension(OID.basicConstraints, derSequence(derBoolean(true), ...length), true);
}

/** Writes keyUsage. */
export function keyUsage(usages: readonly KeyUsageName[], critical: boolean): Uint8Array {
  let bits = 0;
  for (const usage of usages) bits |= 0x80 >> KEY_USAGE_BIT[usage];
  // A named bit list ends with its last one bit (X.690 11.2.2).
  const unused = 31 - Math.clz32(bits & -bits);
  return extension(OID.keyUsage, derBitString(Uint8Array.of(bits), unused), critical);
}

/** Writes extendedKeyUsage with one purpose. */
export function extendedKeyUsage(purpose: keyof typeof PURPOSE): Uint8Array {
  return extension(OID.extendedKeyUsage, derSequence(PURPOSE[purpose]));
}

/** Writes subjectAltName; it has to be critical where the subject is empty (4.2.1.6). */
export function subjectAltName(names: readonly SubjectName[], critical = false): Uint8Array {
  const parts = names.map((name) =>
    name.kind === "dns"
      ? der(DNS_NAME, new TextEncoder().encode(name.text))
      : der(IP_NAME, name.octets)
  );
  return extension(OID.subjectAltName, derSequence(...parts), critical);
}

/** Writes nameConstraints from its contents, critical as RFC 5280 4.2.1.10 wants it. */
export function nameConstraints(contents: Uint8Array): Uint8Array {
  return extension(OID.nameConstraints, contents, true);
}

/** Writes subjectKeyIdentifier. */
export function subjectKeyIdentifier(keyId: Uint8Array): Uint8Array {
  return extension(OID.subjectKeyIdentifier, derOctetString(keyId));
}

/** Writes authorityKeyIdentifier with the issuer's key identifier alone. */
export function authorityKeyIdentifier(keyId: Uint8Array): Uint8Array {
  return extension(OID.authorityKeyIdentifier, derSequence(der(KEY_IDENTIFIER, keyId)));
}

/** Writes a CRL number from its big-endian magnitude. */
export function crlNumber(number: Uint8Array): Uint8Array {
  return extension(OID.crlNumber, derUnsigned(number));
}

/** Writes the reason of a CRL entry (5.3.1). */
export function reasonCode(code: number): Uint8Array {
  return extension(OID.reasonCode, der(Tag.ENUMERATED, Uint8Array.of(code)));
}

/** The key identifier of a public key: SHA-1 of its bits (method 1 of 4.2.1.2), as the field does. */
export function keyIdentifier(publicKey: Uint8Array): Uint8Array {
  const bits = derChildren(readDerWhole(publicKey, Tag.SEQUENCE))[1]!.content.subarray(1);
  // Asynchronous digests are work for another thread, which takes longer to hand over than to do.
  return new Uint8Array(createHash("sha1").update(bits).digest());
}

/** Writes an extension from its dotted OID and its contents, as one read elsewhere has them. */
export function encodeExtension(oid: string, value: Uint8Array, critical: boolean): Uint8Array {
  return extension(derOid(oid), value, critical);
}

function extension(oid: Uint8Array, value: Uint8Array, critical = false): Uint8Array {
  const body = derOctetString(value);
  return critical ? derSequence(oid, derBoolean(true), body) : derSequence(oid, body);
}
