/** What certificates call the algorithm of a signature. */

import { der, derOid, derSequence, Tag } from "../base/mod.ts";
import type { SignatureAlgorithm } from "./key.ts";

/** AlgorithmIdentifiers (RFC 3279, 5758, 8410): only RSA's has a parameter, NULL. */
const ALGORITHM: Readonly<Record<SignatureAlgorithm, Uint8Array>> = {
  "ecdsa-with-SHA256": derSequence(derOid("1.2.840.10045.4.3.2")),
  "ecdsa-with-SHA384": derSequence(derOid("1.2.840.10045.4.3.3")),
  "sha256WithRSAEncryption": derSequence(derOid("1.2.840.113549.1.1.11"), der(Tag.NULL)),
  "Ed25519": derSequence(derOid("1.3.101.112")),
};

/** Gives the AlgorithmIdentifier of a signature, DER. */
export function algorithmIdentifier(algorithm: SignatureAlgorithm): Uint8Array {
  return ALGORITHM[algorithm];
}
