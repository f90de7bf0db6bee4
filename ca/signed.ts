/** The envelope that certificates and CRLs share: what is signed, with what, and the signature. */

import { derBitString, derSequence } from "../base/mod.ts";
import { algorithmIdentifier, type SigningKey } from "../engine/mod.ts";

export { algorithmIdentifier } from "../engine/mod.ts";

/** Signs what was assembled and puts the three parts together. */
export async function sign(tbs: Uint8Array, key: SigningKey): Promise<Uint8Array> {
  return derSequence(tbs, algorithmIdentifier(key.algorithm), derBitString(await key.sign(tbs)));
}
