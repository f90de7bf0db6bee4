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
  /** Big-endian magnitude, not DER. */
  readonly number: Uint8Array;
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
    derExplicit(0, derSequence(...extensions, crlNumber(fields.number))),
  );
}

/** Makes a CRL, DER. */
export async function signCrl(fields: CrlFields, key: SigningKey): Promise<Uint8Array> {
  return await sign(encodeTbsCrl(fields, key.algorithm), key);
}

/**
 * The number of a CRL made now: the time in seconds, so that numbers rise even when every earlier
 * CRL was lost.
 */
export function crlNumberAt(now: Date): Uint8Array {
  const number = new DataView(new ArrayBuffer(8));
  number.setBigUint64(0, BigInt(Math.floor(now.getTime() / 1000)));
  return new Uint8Array(number.buffer);
}

function encodeEntry({ serial, date, reason }: RevokedEntry): Uint8Array {
  return derSequence(
    derUnsigned(serial),
    derTime(date),
    ...(reason === undefined ? [] : [derSequence(reasonCode(reason))]),
  );
}
