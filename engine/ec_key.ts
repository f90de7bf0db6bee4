/** EC private keys as other programs write them. */

import {
  derChildren,
  type DerElement,
  derOctetString,
  derSequence,
  readDerWhole,
  readOid,
  Tag,
} from "../base/mod.ts";

const EC_PUBLIC_KEY = "1.2.840.10045.2.1";

/** The copy of the public key in an ECPrivateKey. */
const PUBLIC_KEY = 0xa1;

/** All of a key, or what it is without the copy of its public half. */
export type KeyPart = "whole" | "private";

/** Octets of a private scalar by curve (RFC 5915 3: ceiling(log2(n) / 8)). */
const SCALAR_OCTETS: Readonly<Record<string, number>> = {
  "1.3.132.0.33": 28,
  "1.2.840.10045.3.1.7": 32,
  "1.3.132.0.34": 48,
  "1.3.132.0.35": 66,
};

/**
 * Gives a PKCS#8 key whose EC scalar has the length that RFC 5915 wants; other keys as they are.
 *
 * GnuTLS writes the scalar as a signed integer, so every second key of certtool has a zero in
 * front that Deno refuses.
 */
export function tidyPkcs8(pkcs8: Uint8Array, part: KeyPart = "whole"): Uint8Array {
  try {
    const [version, algorithm, key, ...attributes] = derChildren(readDerWhole(pkcs8));
    const [id, curve] = derChildren(algorithm!);
    if (readOid(id!.content) !== EC_PUBLIC_KEY) return pkcs8;
    const tidy = tidyFields(derChildren(readDerWhole(key!.content)), readOid(curve!.content), part);
    const rest = attributes.map((element) => element.raw);
    return derSequence(version!.raw, algorithm!.raw, derOctetString(tidy), ...rest);
  } catch {
    return pkcs8;
  }
}

/** As {@linkcode tidyPkcs8}, for the ECPrivateKey of RFC 5915 alone. */
export function tidySec1(sec1: Uint8Array, part: KeyPart = "whole"): Uint8Array {
  try {
    const fields = derChildren(readDerWhole(sec1));
    const parameters = fields.find((element) => element.tag === 0xa0);
    return tidyFields(fields, readOid(readDerWhole(parameters!.content).content), part);
  } catch {
    return sec1;
  }
}

function tidyFields(fields: readonly DerElement[], curve: string, part: KeyPart): Uint8Array {
  const [version, scalar, ...others] = fields;
  const rest = part === "whole" ? others : others.filter(({ tag }) => tag !== PUBLIC_KEY);
  const octets = SCALAR_OCTETS[curve];
  if (octets === undefined || scalar?.tag !== Tag.OCTET_STRING) throw new Error("another key");
  const value = scalar.content.subarray(scalar.content.findIndex((octet) => octet !== 0));
  const tidy = new Uint8Array(octets);
  tidy.set(value, octets - value.length);
  return derSequence(version!.raw, derOctetString(tidy), ...rest.map((element) => element.raw));
}
