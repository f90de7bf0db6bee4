/** Keys and signatures that are too weak to prove anything (NIST SP 800-131A). */

import type { Algorithm, Certificate } from "./certificate.ts";

/** Smallest RSA key, in bits, that is not weak. */
export const MIN_RSA_BITS = 2048;

const WEAK_SIGNATURES: Readonly<Record<string, string>> = {
  "1.2.840.113549.1.1.2": "RSA with MD2",
  "1.2.840.113549.1.1.3": "RSA with MD4",
  "1.2.840.113549.1.1.4": "RSA with MD5",
  "1.2.840.113549.1.1.5": "RSA with SHA-1",
  "1.3.14.3.2.29": "RSA with SHA-1",
  "1.2.840.10040.4.3": "DSA with SHA-1",
  "1.3.14.3.2.27": "DSA with SHA-1",
  "1.2.840.10045.4.1": "ECDSA with SHA-1",
};

const WEAK_CURVES: Readonly<Record<string, string>> = {
  "1.2.840.10045.3.1.1": "P-192",
  "1.3.132.0.6": "secp112r1",
  "1.3.132.0.8": "secp160r1",
  "1.3.132.0.28": "secp128r1",
  "1.3.132.0.30": "secp160r2",
};

const DSA = "1.2.840.10040.4.1";

/** Says why a key is weak, if it is. */
export function weakKey({ publicKey: { oid, bits, curve } }: Certificate): string | undefined {
  if (bits !== undefined && bits < MIN_RSA_BITS) return `RSA of ${bits} bits`;
  if (curve !== undefined && WEAK_CURVES[curve] !== undefined) return WEAK_CURVES[curve];
  return oid === DSA ? "DSA" : undefined;
}

/** Names the algorithm of a signature if it is weak. */
export function weakSignature(
  { signatureAlgorithm }: { readonly signatureAlgorithm: Algorithm },
): string | undefined {
  return WEAK_SIGNATURES[signatureAlgorithm.oid];
}
