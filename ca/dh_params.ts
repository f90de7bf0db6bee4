/**
 * Diffie-Hellman groups for `dh-params.pem` (PKCS #3). A QEMU server before 10.2 that finds none
 * looks for a prime of its own whenever it loads credentials.
 */

import { derInteger, derSequence, derUnsigned, encodePem } from "../base/mod.ts";

/** The groups that are shipped, by the names of RFC 7919. */
export const DH_GROUPS = ["ffdhe2048", "ffdhe3072"] as const;

/** One of {@linkcode DH_GROUPS}. */
export type DhGroup = typeof DH_GROUPS[number];

/** RFC 7919 A.1 and A.2; the length of exponents in bits is what GnuTLS takes. */
const GROUPS: Readonly<Record<DhGroup, { bits: bigint; summand: bigint; exponentBits: number }>> = {
  ffdhe2048: { bits: 2048n, summand: 560_316n, exponentBits: 256 },
  ffdhe3072: { bits: 3072n, summand: 2_625_351n, exponentBits: 276 },
};

/** Makes the file of a group. */
export function dhParamsPem(group: DhGroup): string {
  const { bits, summand, exponentBits } = GROUPS[group];
  const prime = Uint8Array.fromHex(primeOf(bits, summand).toString(16));
  const generator = derInteger(2);
  return encodePem(
    "DH PARAMETERS",
    derSequence(derUnsigned(prime), generator, derInteger(exponentBits)),
  );
}

/** The prime as RFC 7919 appendix A defines it, by the digits of e: nothing up anyone's sleeve. */
function primeOf(bits: bigint, summand: bigint): bigint {
  const middle = (scaledE(bits - 130n) + summand) << 64n;
  return (1n << bits) - (1n << (bits - 64n)) + middle - 1n;
}

/** ⌊2^bits · e⌋, as the sum of 1/k!. */
function scaledE(bits: bigint): bigint {
  const guard = 64n;
  let term = 1n << (bits + guard);
  let sum = 0n;
  for (let k = 1n; term > 0n; k++) {
    sum += term;
    term /= k;
  }
  return sum >> guard;
}
