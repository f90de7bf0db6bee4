/** Private keys that are hurt inside, where the PEM around them shows nothing. */

import { decodePem, derChildren, encodePem, readDerWhole, readOid } from "../../base/mod.ts";

/** Flips a bit of an EC key's scalar, counted from its last octet; other texts stay as they are. */
export function flipScalar(text: string, octet: number, bit: number): string {
  const block = /-----BEGIN PRIVATE KEY-----[^]*?-----END PRIVATE KEY-----\r?\n?/.exec(text)?.[0];
  const pkcs8 = block === undefined ? undefined : decodePem(block)[0]?.der.slice();
  const scalar = pkcs8 === undefined ? undefined : ecScalar(pkcs8);
  if (block === undefined || pkcs8 === undefined || scalar === undefined) return text;
  scalar[scalar.length - 1 - octet]! ^= 1 << bit;
  return text.replace(block, () => encodePem("PRIVATE KEY", pkcs8));
}

/** The scalar of an EC key in PKCS#8, a part of its bytes. */
function ecScalar(pkcs8: Uint8Array): Uint8Array | undefined {
  const [, algorithm, key] = derChildren(readDerWhole(pkcs8));
  if (readOid(derChildren(algorithm!)[0]!.content) !== "1.2.840.10045.2.1") return undefined;
  return derChildren(readDerWhole(key!.content))[1]!.content;
}
