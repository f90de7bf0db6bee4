/**
 * Certificates (RFC 5280 4.1) assembled from encoded parts. What many certificates share — names,
 * key identifiers, most extensions — is encoded once by the caller and only copied here.
 */

import { derExplicit, derInteger, derSequence, derTime, derUnsigned } from "../base/mod.ts";
import type { SignatureAlgorithm, SigningKey } from "../engine/mod.ts";
import { sha256 } from "./log_entry.ts";
import { algorithmIdentifier, sign } from "./signed.ts";

/** What a certificate says; byte arrays are DER unless said otherwise. */
export interface CertificateFields {
  /** Big-endian magnitude, not DER. */
  readonly serial: Uint8Array;
  readonly issuer: Uint8Array;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly subject: Uint8Array;
  /** SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array;
  /** Whole extensions, in the order they are to stand. */
  readonly extensions: readonly Uint8Array[];
}

const VERSION_3 = derExplicit(0, derInteger(2));

/** Assembles the TBSCertificate that a key of this algorithm is to sign. */
export function encodeTbsCertificate(
  fields: CertificateFields,
  algorithm: SignatureAlgorithm,
): Uint8Array {
  return derSequence(
    VERSION_3,
    derUnsigned(fields.serial),
    algorithmIdentifier(algorithm),
    fields.issuer,
    validityOf(fields),
    fields.subject,
    fields.publicKey,
    derExplicit(3, derSequence(...fields.extensions)),
  );
}

let last: { readonly key: string; readonly der: Uint8Array } | undefined;

/** The Validity; certificates that are made together have the same. */
function validityOf({ notBefore, notAfter }: CertificateFields): Uint8Array {
  const key = `${notBefore.getTime()} ${notAfter.getTime()}`;
  if (last?.key !== key) last = { key, der: derSequence(derTime(notBefore), derTime(notAfter)) };
  return last.der;
}

/** Makes a certificate, DER. */
export async function signCertificate(
  fields: CertificateFields,
  key: SigningKey,
): Promise<Uint8Array> {
  return await sign(encodeTbsCertificate(fields, key.algorithm), key);
}

/** 128 random bits: a serial that is positive and that nobody guesses. */
export function randomSerial(): Uint8Array {
  const serial = crypto.getRandomValues(new Uint8Array(16));
  // Every serial has the same length, and zero is none (4.1.2.2).
  if (serial[0] === 0) return randomSerial();
  return serial;
}

/** A serial as tools print it. */
export function serialText(serial: Uint8Array): string {
  return serial.toHex();
}

/** SHA-256 of a certificate, in hexadecimal, as `openssl x509 -fingerprint` has it without colons. */
export function fingerprint(certificate: Uint8Array): string {
  return sha256(certificate);
}
