/** Signatures by their X.509 names, and the check of one. */

import { derChildren, readDer, readDerWhole, readOid, Tag } from "../../base/mod.ts";
import { EngineError } from "../error.ts";
import { verify as verifyByNode } from "../platform/verify.ts";
import type { KeyType, SignatureAlgorithm, SignatureCheck } from "../key.ts";
import { FORMAT_DER } from "./certificate.ts";
import type { Gnutls } from "./library.ts";
import { Arena, make, type Owned } from "./memory.ts";

/** `GNUTLS_PK_…`. */
export const Pk = { RSA: 1, ECDSA: 4, ED25519: 7 } as const;

/** `GNUTLS_SIGN_…` of what the toolkit signs with. */
export const SIGN: Readonly<Record<SignatureAlgorithm, number>> = {
  "sha256WithRSAEncryption": 6,
  "ecdsa-with-SHA256": 14,
  "ecdsa-with-SHA384": 15,
  "Ed25519": 35,
};

/** `GNUTLS_SIGN_…` by the object identifier of the algorithm. */
const SIGN_BY_OID: Readonly<Record<string, number>> = {
  "1.2.840.113549.1.1.5": 1,
  "1.2.840.113549.1.1.14": 9,
  "1.2.840.113549.1.1.11": SIGN.sha256WithRSAEncryption,
  "1.2.840.113549.1.1.12": 7,
  "1.2.840.113549.1.1.13": 8,
  "1.2.840.10045.4.1": 12,
  "1.2.840.10045.4.3.1": 13,
  "1.2.840.10045.4.3.2": SIGN["ecdsa-with-SHA256"],
  "1.2.840.10045.4.3.3": SIGN["ecdsa-with-SHA384"],
  "1.2.840.10045.4.3.4": 16,
  "1.3.101.112": SIGN.Ed25519,
  "1.3.101.113": 46,
};

const RSA_PSS = "1.2.840.113549.1.1.10";

/** `GNUTLS_SIGN_RSA_PSS_…` by the hash; the salt is as long as the hash. */
const PSS_BY_HASH: Readonly<Record<string, { readonly sign: number; readonly salt: number }>> = {
  "2.16.840.1.101.3.4.2.1": { sign: 32, salt: 32 },
  "2.16.840.1.101.3.4.2.2": { sign: 33, salt: 48 },
  "2.16.840.1.101.3.4.2.3": { sign: 34, salt: 64 },
};

/** A salt that GnuTLS takes of keys of RSA-PSS alone, with no number to ask for it. */
const OTHER_SALT = -1;

/** `GNUTLS_VERIFY_ALLOW_SIGN_WITH_SHA1`: whether to trust SHA-1 is not decided here. */
const ALLOW_SHA1 = 1 << 15;

/** What a key signs with, and what the toolkit calls its kind. */
export function describeKey(
  pk: number,
  bits: number,
): { readonly type: KeyType | undefined; readonly algorithm: SignatureAlgorithm } | undefined {
  if (pk === Pk.RSA) {
    const type = ([2048, 3072, 4096] as const).find((known) => known === bits);
    return {
      type: type === undefined ? undefined : `rsa-${type}`,
      algorithm: "sha256WithRSAEncryption",
    };
  }
  if (pk === Pk.ECDSA) {
    if (bits === 256) return { type: "ec-p256", algorithm: "ecdsa-with-SHA256" };
    if (bits === 384) return { type: "ec-p384", algorithm: "ecdsa-with-SHA384" };
    const algorithm = bits > 384 ? "ecdsa-with-SHA384" : "ecdsa-with-SHA256";
    return { type: undefined, algorithm };
  }
  return pk === Pk.ED25519 ? { type: "ed25519", algorithm: "Ed25519" } : undefined;
}

/**
 * Whether a signature is right. It never is by a public key that the library cannot read: to QEMU
 * such an authority has signed nothing.
 *
 * @throws {EngineError} `SIGNATURE` for an algorithm that is not known.
 */
export function verifySignature(lib: Gnutls, check: SignatureCheck): boolean {
  const algorithm = signNumber(check.algorithm);
  if (algorithm === OTHER_SALT) return isPssKey(check.publicKey) && verifyByNode(check);
  using key = readPublicKey(lib, check.publicKey);
  if (key === undefined) return false;
  using arena = new Arena();
  return lib.call.gnutls_pubkey_verify_data2(
    key.pointer,
    algorithm,
    ALLOW_SHA1,
    arena.datum(check.data),
    arena.datum(check.signature),
  ) >= 0;
}

function readPublicKey(lib: Gnutls, spki: Uint8Array): Owned | undefined {
  try {
    return importPublicKey(lib, spki);
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    return undefined;
  }
}

/**
 * Reads a SubjectPublicKeyInfo.
 *
 * @throws {EngineError} `SIGNATURE`.
 */
export function importPublicKey(lib: Gnutls, spki: Uint8Array): Owned {
  const { call } = lib;
  const key = make(lib, call.gnutls_pubkey_init, call.gnutls_pubkey_deinit, refuse);
  using arena = new Arena();
  const code = call.gnutls_pubkey_import(key.pointer, arena.datum(spki), FORMAT_DER);
  if (code >= 0) return key;
  key[Symbol.dispose]();
  throw refuse(`the public key is not usable: ${lib.text(code)}`);
}

function signNumber(algorithm: Uint8Array): number {
  let oid: string;
  let number: number | undefined;
  try {
    const [id, parameters] = derChildren(readDerWhole(algorithm, Tag.SEQUENCE));
    oid = readOid(id?.content ?? new Uint8Array());
    number = oid === RSA_PSS && parameters ? pssNumber(parameters.raw) : SIGN_BY_OID[oid];
  } catch (error) {
    throw new EngineError("SIGNATURE", { cause: "its algorithm cannot be read" }, { cause: error });
  }
  if (number === undefined) throw refuse(`its algorithm ${oid} is not known`);
  return number;
}

/** RSASSA-PSS-params (RFC 4055 3.1) where hash and mask go together. */
function pssNumber(parameters: Uint8Array): number | undefined {
  const fields = new Map(
    derChildren(readDerWhole(parameters, Tag.SEQUENCE)).map((field) => [field.tag, field.content]),
  );
  const hash = fields.get(0xa0);
  const mask = fields.get(0xa1);
  const salt = fields.get(0xa2);
  if (hash === undefined || mask === undefined) return undefined;
  const known = PSS_BY_HASH[firstOid(hash)];
  const maskHash = derChildren(readDer(mask))[1];
  if (known === undefined || maskHash === undefined) return undefined;
  const same = readOid(derChildren(maskHash)[0]?.content ?? new Uint8Array()) === firstOid(hash);
  const length = salt === undefined ? Uint8Array.of(20) : readDer(salt).content;
  if (!same) return undefined;
  return length.length === 1 && length[0] === known.salt ? known.sign : OTHER_SALT;
}

function isPssKey(spki: Uint8Array): boolean {
  try {
    return firstOid(derChildren(readDerWhole(spki))[0]!.raw) === RSA_PSS;
  } catch {
    return false;
  }
}

/** The identifier of an AlgorithmIdentifier. */
function firstOid(algorithm: Uint8Array): string {
  return readOid(derChildren(readDer(algorithm))[0]?.content ?? new Uint8Array());
}

function refuse(cause: string): EngineError {
  return new EngineError("SIGNATURE", { cause });
}
