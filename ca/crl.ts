/** Certificate revocation lists (RFC 5280 5.1) written. */

import { derExplicit, derInteger, derSequence, derTime, derUnsigned } from "../base/mod.ts";
import type { SignatureAlgorithm, SigningKey } from "../engine/mod.ts";
import { crlNumber, reasonCode } from "./extensions.ts";
import { algorithmIdentifier, sign } from "./signed.ts";

/** One revoked certificate. */
export interface RevokedEntry {
  /** Big-endian magnitude of its serial. */
  readonly serial: Uint8Array;
  readonly date: Date;
  /** CRLReason (5.3.1); absent for none, since `unspecified` should not be written. */
  readonly reason?: number;
}

/** What a CRL says; byte arrays are DER unless said otherwise. */
export interface CrlFields {
  readonly issuer: Uint8Array;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date;
  readonly number: bigint;
  /** Whole authorityKeyIdentifier extension; absent where the issuer has no key identifier. */
  readonly authorityKey?: Uint8Array;
  readonly revoked: readonly RevokedEntry[];
}

const VERSION_2 = derInteger(1);

/** Assembles the TBSCertList that a key of this algorithm is to sign. */
export function encodeTbsCrl(fields: CrlFields, algorithm: SignatureAlgorithm): Uint8Array {
  const extensions = fields.authorityKey === undefined ? [] : [fields.authorityKey];
  return derSequence(
    VERSION_2,
    algorithmIdentifier(algorithm),
    fields.issuer,
    derTime(fields.thisUpdate),
    derTime(fields.nextUpdate),
    // The list must be absent when it is empty (5.1.2.6).
    ...(fields.revoked.length === 0 ? [] : [derSequence(...fields.revoked.map(encodeEntry))]),
    derExplicit(0, derSequence(...extensions, crlNumber(bytesOf(fields.number)))),
  );
}

/** Makes a CRL, DER. */
export async function signCrl(fields: CrlFields, key: SigningKey): Promise<Uint8Array> {
  return await sign(encodeTbsCrl(fields, key.algorithm), key);
}

/**
 * The number of the next CRL: the time in seconds, so that numbers rise even when every earlier CRL
 * was lost, and above all that are known of, so that they do within a second and where a clock was
 * set back.
 */
export function nextCrlNumber(now: Date, ...known: readonly bigint[]): bigint {
  const clock = BigInt(Math.floor(now.getTime() / 1000));
  return known.reduce((number, last) => last < number ? number : last + 1n, clock);
}

function bytesOf(number: bigint): Uint8Array {
  const digits = number.toString(16);
  return Uint8Array.fromHex(digits.padStart(digits.length + digits.length % 2, "0"));
}

function encodeEntry({ serial, date, reason }: RevokedEntry): Uint8Array {
  return derSequence(
    derUnsigned(serial),
    derTime(date),
    ...(reason === undefined ? [] : [derSequence(reasonCode(reason))]),
  );
}
