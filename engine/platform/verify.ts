/** Signatures of certificates and CRLs, checked by node:crypto. */

import { Buffer } from "node:buffer";
import { constants, createPublicKey, type KeyObject, verify as nodeVerify } from "node:crypto";
import { derChildren, type DerElement, readDerWhole, readOid, Tag } from "../../base/mod.ts";
import { EngineError } from "../error.ts";
import type { SignatureCheck } from "../key.ts";

interface Scheme {
  readonly kind: "rsa" | "rsa-pss" | "ec" | "ed25519";
  readonly digest: string | null;
  readonly saltLength?: number;
}

/** RFC 3279, RFC 4055, RFC 5758, RFC 8410. */
const SCHEMES: Readonly<Record<string, Scheme>> = {
  "1.2.840.113549.1.1.5": { kind: "rsa", digest: "sha1" },
  "1.2.840.113549.1.1.11": { kind: "rsa", digest: "sha256" },
  "1.2.840.113549.1.1.12": { kind: "rsa", digest: "sha384" },
  "1.2.840.113549.1.1.13": { kind: "rsa", digest: "sha512" },
  "1.2.840.10045.4.3.2": { kind: "ec", digest: "sha256" },
  "1.2.840.10045.4.3.3": { kind: "ec", digest: "sha384" },
  "1.2.840.10045.4.3.4": { kind: "ec", digest: "sha512" },
  "1.3.101.112": { kind: "ed25519", digest: null },
};

const RSASSA_PSS = "1.2.840.113549.1.1.10";

/** Those that GnuTLS has RSASSA-PSS with. */
const DIGESTS: Readonly<Record<string, string>> = {
  "2.16.840.1.101.3.4.2.1": "sha256",
  "2.16.840.1.101.3.4.2.2": "sha384",
  "2.16.840.1.101.3.4.2.3": "sha512",
};

/** In bytes: the only salt that GnuTLS takes of a key of plain RSA, and so QEMU. */
const PLAIN_SALT: Readonly<Record<string, number>> = { sha256: 32, sha384: 48, sha512: 64 };

const CURVES: readonly string[] = ["prime256v1", "secp384r1", "secp521r1"];

/**
 * Whether the signature is right.
 *
 * @throws {EngineError} `SIGNATURE` If the algorithm or the key is of a kind that is not known.
 */
export function verify(check: SignatureCheck): boolean {
  const scheme = readScheme(check.algorithm);
  const key = publicKey(check.publicKey);
  const { kind, digest, saltLength } = scheme;
  if (!fits(key, kind)) return false;
  const isPlain = kind === "rsa-pss" && key.asymmetricKeyType === "rsa";
  if (isPlain && saltLength !== PLAIN_SALT[digest!]) return false;
  try {
    return nodeVerify(digest, check.data, {
      key,
      ...(kind === "rsa-pss" ? { padding: constants.RSA_PKCS1_PSS_PADDING } : {}),
      ...(saltLength === undefined ? {} : { saltLength }),
    }, check.signature);
  } catch {
    // A signature that is not even of the right form.
    return false;
  }
}

function fits(key: KeyObject, kind: Scheme["kind"]): boolean {
  const type = key.asymmetricKeyType;
  if (type !== kind && !(type === "rsa" && kind === "rsa-pss")) return false;
  const curve = key.asymmetricKeyDetails?.namedCurve;
  if (kind === "ec" && !CURVES.includes(curve ?? "")) throw unknown(`curve ${curve}`);
  return true;
}

function publicKey(spki: Uint8Array): KeyObject {
  try {
    const bytes = Buffer.from(spki.buffer, spki.byteOffset, spki.byteLength);
    return createPublicKey({ key: bytes, format: "der", type: "spki" });
  } catch {
    throw new EngineError("SIGNATURE", { cause: "the signer's public key cannot be read" });
  }
}

function readScheme(algorithm: Uint8Array): Scheme {
  let oid: string;
  let parameters: DerElement | undefined;
  try {
    const [id, rest] = derChildren(readDerWhole(algorithm, Tag.SEQUENCE));
    oid = readOid(id!.content);
    parameters = rest;
  } catch {
    throw new EngineError("SIGNATURE", { cause: "its algorithm cannot be read" });
  }
  const scheme = oid === RSASSA_PSS ? readPss(parameters) : SCHEMES[oid];
  if (scheme === undefined) throw unknown(`algorithm ${oid}`);
  return scheme;
}

/** RSASSA-PSS-params of RFC 4055 3.1, with its defaults. */
function readPss(parameters: DerElement | undefined): Scheme | undefined {
  try {
    const fields = parameters === undefined ? [] : derChildren(parameters);
    const field = (number: number) => {
      const wrapper = fields.find((element) => element.tag === (0xa0 | number));
      return wrapper === undefined ? undefined : readDerWhole(wrapper.content);
    };
    // What is not said is SHA-1.
    const digestOf = (algorithm: DerElement | undefined) =>
      algorithm && DIGESTS[readOid(derChildren(algorithm)[0]!.content)];
    const [hash, mask, salt] = [field(0), field(1), field(2)];
    const digest = digestOf(hash);
    if (digest === undefined || digestOf(mask && derChildren(mask)[1]) !== digest) return undefined;
    const saltLength = salt === undefined
      ? 20
      : salt.content.reduce((value, octet) => value * 256 + octet, 0);
    return { kind: "rsa-pss", digest, saltLength };
  } catch {
    return undefined;
  }
}

function unknown(what: string): EngineError {
  return new EngineError("SIGNATURE", { cause: `${what} is not known to the platform engine` });
}
