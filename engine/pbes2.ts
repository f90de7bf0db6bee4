/**
 * Encrypted PKCS#8 by password (PBES2 of RFC 8018, as GnuTLS and OpenSSL write it).
 *
 * Deno's own reader fails on what certtool writes, and its writer is fixed at 2,048 rounds.
 */

import { createCipheriv, createDecipheriv, pbkdf2Sync, randomBytes } from "node:crypto";
import {
  der,
  derChildren,
  type DerElement,
  derInteger,
  derOctetString,
  derOid,
  derSequence,
  readDerWhole,
  readOid,
  Tag,
} from "../base/mod.ts";

const PBES2 = "1.2.840.113549.1.5.13";
const PBKDF2 = "1.2.840.113549.1.5.12";
const HMAC_SHA256 = "1.2.840.113549.2.9";
const AES_256_CBC = "2.16.840.1.101.3.4.1.42";

/** The pseudo-random functions of RFC 8018 B.1, by the digest's name in node:crypto. */
const PRFS: Readonly<Record<string, string>> = {
  "1.2.840.113549.2.7": "sha1",
  "1.2.840.113549.2.8": "sha224",
  [HMAC_SHA256]: "sha256",
  "1.2.840.113549.2.10": "sha384",
  "1.2.840.113549.2.11": "sha512",
};

const CIPHERS: Readonly<Record<string, readonly [name: string, keyBytes: number]>> = {
  "2.16.840.1.101.3.4.1.2": ["aes-128-cbc", 16],
  "2.16.840.1.101.3.4.1.22": ["aes-192-cbc", 24],
  [AES_256_CBC]: ["aes-256-cbc", 32],
  // What `openssl req` takes for the keys that it makes.
  "1.2.840.113549.3.7": ["des-ede3-cbc", 24],
};

/** Rounds of what we write: GnuTLS's own number, and OWASP's for PBKDF2-HMAC-SHA256. */
const ROUNDS = 600_000;
/** Rounds over which a file is taken for an attack on our time (about two seconds). */
const MAX_ROUNDS = 10_000_000;

/** Encrypts a PKCS#8 PrivateKeyInfo with PBKDF2-HMAC-SHA256 and AES-256-CBC. */
export async function encryptPkcs8(pkcs8: Uint8Array, passphrase: string): Promise<Uint8Array> {
  const salt = crypto.getRandomValues(new Uint8Array(16));
  const iv = randomBytes(16);
  const key = await deriveKey(passphrase, salt);
  const cipher = createCipheriv("aes-256-cbc", key, iv);
  const encrypted = new Uint8Array([...cipher.update(pkcs8), ...cipher.final()]);
  key.fill(0);
  const derivation = derSequence(
    derOid(PBKDF2),
    derSequence(
      derOctetString(salt),
      derInteger(ROUNDS),
      derSequence(derOid(HMAC_SHA256), der(Tag.NULL)),
    ),
  );
  const scheme = derSequence(derOid(AES_256_CBC), derOctetString(iv));
  return derSequence(
    derSequence(derOid(PBES2), derSequence(derivation, scheme)),
    derOctetString(encrypted),
  );
}

/** By WebCrypto, which is three times faster at it than node:crypto here. */
async function deriveKey(passphrase: string, salt: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const secret = new TextEncoder().encode(passphrase);
  try {
    const base = await crypto.subtle.importKey("raw", secret, "PBKDF2", false, ["deriveBits"]);
    const kdf = { name: "PBKDF2", hash: "SHA-256", salt, iterations: ROUNDS };
    return new Uint8Array(await crypto.subtle.deriveBits(kdf, base, 256));
  } finally {
    secret.fill(0);
  }
}

/**
 * Decrypts an EncryptedPrivateKeyInfo.
 *
 * @returns The PrivateKeyInfo; `"wrong"` for a passphrase that does not fit; `undefined` for a
 * scheme that is not PBKDF2 with AES-CBC or 3DES-CBC.
 */
export function decryptPkcs8(
  encrypted: Uint8Array,
  passphrase: string,
): Uint8Array | "wrong" | undefined {
  const parameters = readParameters(encrypted);
  if (parameters === undefined) return undefined;
  const { salt, rounds, prf, cipher: [name, keyBytes], iv, data } = parameters;
  const key = pbkdf2Sync(passphrase, salt, rounds, keyBytes, prf);
  try {
    const cipher = createDecipheriv(name, key, iv);
    const [head, tail] = [cipher.update(data), cipher.final()];
    const pkcs8 = new Uint8Array(head.length + tail.length);
    pkcs8.set(head);
    pkcs8.set(tail, head.length);
    head.fill(0);
    tail.fill(0);
    readDerWhole(pkcs8, Tag.SEQUENCE);
    return pkcs8;
  } catch {
    return "wrong";
  } finally {
    key.fill(0);
  }
}

interface Parameters {
  readonly salt: Uint8Array;
  readonly rounds: number;
  readonly prf: string;
  readonly cipher: readonly [name: string, keyBytes: number];
  readonly iv: Uint8Array;
  readonly data: Uint8Array;
}

function readParameters(encrypted: Uint8Array): Parameters | undefined {
  try {
    const [algorithm, data] = derChildren(readDerWhole(encrypted, Tag.SEQUENCE));
    const [derivation, scheme] = derChildren(parametersOf(algorithm, PBES2));
    const [salt, rounds, ...rest] = derChildren(parametersOf(derivation, PBKDF2));
    const prf = rest.find((element) => element.tag === Tag.SEQUENCE);
    const [cipherOid, iv] = derChildren(scheme!);
    const count = rounds!.content.reduce((value, octet) => value * 256 + octet, 0);
    const cipher = CIPHERS[readOid(cipherOid!.content)];
    const digest = prf === undefined ? "sha1" : PRFS[readOid(derChildren(prf)[0]!.content)];
    if (cipher === undefined || digest === undefined) return undefined;
    if (salt!.tag !== Tag.OCTET_STRING || count < 1 || count > MAX_ROUNDS) return undefined;
    return {
      salt: salt!.content,
      rounds: count,
      prf: digest,
      cipher,
      iv: iv!.content,
      data: data!.content,
    };
  } catch {
    return undefined;
  }
}

function parametersOf(algorithm: DerElement | undefined, oid: string): DerElement {
  const [id, parameters] = derChildren(algorithm!);
  if (readOid(id!.content) !== oid) throw new Error("another algorithm");
  return parameters!;
}
