/**
 * Bytes under a passphrase, as `openssl cms -decrypt -pwri_password` reads them: CMS
 * AuthEnvelopedData (RFC 5083) with AES-256-GCM (RFC 5084), its key wrapped for a password
 * recipient (RFC 3211) by PBKDF2-HMAC-SHA-256 (RFC 8018).
 */

import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import {
  der,
  derChildren,
  type DerElement,
  derHeader,
  derInteger,
  derOctetString,
  derOid,
  derSequence,
  readDer,
  readDerWhole,
  readOid,
  sameBytes,
  Tag,
  VirtcredsError,
} from "../base/mod.ts";

const AUTH_ENVELOPED_DATA = "1.2.840.113549.1.9.16.1.23";
const DATA = "1.2.840.113549.1.7.1";
const PBKDF2 = "1.2.840.113549.1.5.12";
const HMAC_SHA256 = "1.2.840.113549.2.9";
const PWRI_KEK = "1.2.840.113549.1.9.16.3.9";
const AES_256_CBC = "2.16.840.1.101.3.4.1.42";
const AES_256_GCM = "2.16.840.1.101.3.4.1.46";

/** As many as for keys: OWASP's number for PBKDF2-HMAC-SHA256. */
const ROUNDS = 600_000;
/** Rounds over which a file is taken for an attack on our time. */
const MAX_ROUNDS = 10_000_000;

const BLOCK = 16;
const SALT = 16;
const KEY = 32;
const NONCE = 12;
const TAG_BYTES = 16;

/** By WebCrypto, which is three times faster at it than node:crypto here. */
async function derive(passphrase: string, salt: Uint8Array, rounds: number): Promise<Uint8Array> {
  const secret = new TextEncoder().encode(passphrase);
  try {
    const base = await crypto.subtle.importKey("raw", secret, "PBKDF2", false, ["deriveBits"]);
    const kdf = { name: "PBKDF2", hash: "SHA-256", salt: salt.slice(), iterations: rounds };
    return new Uint8Array(await crypto.subtle.deriveBits(kdf, base, 8 * KEY));
  } finally {
    secret.fill(0);
  }
}

/** Encrypts; the pieces of the result follow each other. */
export async function sealCms(
  pieces: AsyncIterable<Uint8Array>,
  passphrase: string,
): Promise<Uint8Array[]> {
  const [salt, iv, nonce, key] = [
    randomBytes(SALT),
    randomBytes(BLOCK),
    randomBytes(NONCE),
    randomBytes(KEY),
  ];
  const wrapper = await derive(passphrase, salt, ROUNDS);
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  const encrypted: Uint8Array[] = [];
  for await (const piece of pieces) encrypted.push(cipher.update(piece));
  encrypted.push(cipher.final());
  const recipient = recipientInfo(salt, ROUNDS, iv, wrapKey(key, wrapper, iv));
  key.fill(0);
  wrapper.fill(0);
  return frame(recipient, nonce, encrypted, cipher.getAuthTag());
}

function recipientInfo(
  salt: Uint8Array,
  rounds: number,
  iv: Uint8Array,
  wrapped: Uint8Array,
): Uint8Array {
  return der(
    0xa3,
    derInteger(0),
    // IMPLICIT [0] of an AlgorithmIdentifier.
    der(
      0xa0,
      derOid(PBKDF2),
      derSequence(
        derOctetString(salt),
        derInteger(rounds),
        derSequence(derOid(HMAC_SHA256), der(Tag.NULL)),
      ),
    ),
    derSequence(derOid(PWRI_KEK), derSequence(derOid(AES_256_CBC), derOctetString(iv))),
    derOctetString(wrapped),
  );
}

/** Puts the parts together without copying what was encrypted. */
function frame(
  recipient: Uint8Array,
  nonce: Uint8Array,
  encrypted: readonly Uint8Array[],
  tag: Uint8Array,
): Uint8Array[] {
  const size = encrypted.reduce((sum, piece) => sum + piece.length, 0);
  const content = derHeader(0x80, size);
  const head = [
    derOid(DATA),
    derSequence(
      derOid(AES_256_GCM),
      derSequence(derOctetString(nonce), derInteger(TAG_BYTES)),
    ),
    content,
  ];
  const info = [derHeader(Tag.SEQUENCE, total(head) + size), ...head];
  const before = [derInteger(0), der(Tag.SET, recipient), ...info];
  const mac = derOctetString(tag);
  const body = total(before) + size + mac.length;
  const data = derHeader(Tag.SEQUENCE, body);
  const type = derOid(AUTH_ENVELOPED_DATA);
  const explicit = derHeader(0xa0, data.length + body);
  const whole = derHeader(Tag.SEQUENCE, type.length + explicit.length + data.length + body);
  return [whole, type, explicit, data, ...before, ...encrypted, mac];
}

/**
 * Decrypts. Nothing is given back before all of it is known to be what was encrypted.
 *
 * @returns The pieces of what was encrypted; `"wrong"` for a passphrase that does not fit;
 * `"damaged"` for bytes that are not those that were written; `undefined` for another format.
 */
export async function openCms(
  bytes: Uint8Array,
  passphrase: string,
): Promise<Uint8Array[] | "wrong" | "damaged" | undefined> {
  const parts = readParts(bytes);
  if (typeof parts !== "object") return parts;
  const { salt, rounds, iv, wrapped, nonce, encrypted, tag } = parts;
  const wrapper = await derive(passphrase, salt, rounds);
  const key = unwrapKey(wrapped, wrapper, iv);
  wrapper.fill(0);
  if (key === undefined) return "wrong";
  try {
    const cipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_BYTES });
    cipher.setAuthTag(tag);
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < encrypted.length; at += PIECE) {
      pieces.push(cipher.update(encrypted.subarray(at, at + PIECE)));
    }
    cipher.final();
    return pieces;
  } catch {
    return "damaged";
  } finally {
    key.fill(0);
  }
}

/** How many bytes are decrypted at a time. */
const PIECE = 1024 * 1024;

/**
 * RFC 3211 2.3.1: length, three check octets, the key, padding; encrypted twice, so that each
 * octet of the result depends on all of the key.
 */
function wrapKey(key: Uint8Array, wrapper: Uint8Array, iv: Uint8Array): Uint8Array {
  const size = Math.ceil((4 + key.length) / BLOCK) * BLOCK;
  const block = new Uint8Array(randomBytes(size));
  block[0] = key.length;
  for (let i = 0; i < 3; i++) block[1 + i] = ~key[i]! & 0xff;
  block.set(key, 4);
  const encrypt = (data: Uint8Array, start: Uint8Array) => {
    const cipher = createCipheriv("aes-256-cbc", wrapper, start).setAutoPadding(false);
    return concat([cipher.update(data), cipher.final()]);
  };
  const once = encrypt(block, iv);
  block.fill(0);
  return encrypt(once, once.subarray(-BLOCK));
}

function unwrapKey(
  wrapped: Uint8Array,
  wrapper: Uint8Array,
  iv: Uint8Array,
): Uint8Array | undefined {
  const decrypt = (data: Uint8Array, start: Uint8Array) => {
    const cipher = createDecipheriv("aes-256-cbc", wrapper, start).setAutoPadding(false);
    return concat([cipher.update(data), cipher.final()]);
  };
  // The second run's first vector is the first run's last block, which the block before it gives.
  const last = decrypt(wrapped.subarray(-BLOCK), wrapped.subarray(-2 * BLOCK, -BLOCK));
  const block = decrypt(decrypt(wrapped, last), iv);
  const key = block.slice(4, 4 + KEY);
  const fits = block[0] === KEY && [0, 1, 2].every((i) => (block[1 + i]! ^ key[i]!) === 0xff);
  block.fill(0);
  return fits ? key : undefined;
}

interface Parts {
  readonly salt: Uint8Array;
  readonly rounds: number;
  readonly iv: Uint8Array;
  readonly wrapped: Uint8Array;
  readonly nonce: Uint8Array;
  readonly encrypted: Uint8Array;
  readonly tag: Uint8Array;
}

/** What is no CMS of ours is told from ours that ends too early or goes on too long. */
function readParts(bytes: Uint8Array): Parts | "damaged" | undefined {
  const isOurs = bytes[0] === Tag.SEQUENCE &&
    indexOf(bytes.subarray(0, 32), derOid(AUTH_ENVELOPED_DATA)) > 0;
  try {
    const [type, explicit] = derChildren(readDerWhole(bytes, Tag.SEQUENCE));
    if (readOid(type!.content) !== AUTH_ENVELOPED_DATA) return undefined;
    const [, recipients, info, mac] = derChildren(readDerWhole(explicit!.content, Tag.SEQUENCE));
    const recipient = derChildren(recipients!).find((one) => one.tag === 0xa3);
    const [, derivation, wrapping, wrapped] = derChildren(recipient!);
    const [salt, rounds, prf] = derChildren(parametersOf(derivation!, PBKDF2));
    const [iv] = derChildren(parametersOf(wrapping!, PWRI_KEK)).slice(1);
    parametersOf(derChildren(wrapping!)[1]!, AES_256_CBC);
    parametersOf(prf!, HMAC_SHA256);
    const [, algorithm, encrypted] = derChildren(info!);
    const [nonce] = derChildren(parametersOf(algorithm!, AES_256_GCM));
    const count = rounds!.content.reduce((value, octet) => value * 256 + octet, 0);
    const isFit = count >= 1 && count <= MAX_ROUNDS && iv!.content.length === BLOCK &&
      wrapped!.content.length === 3 * BLOCK && nonce!.content.length === NONCE &&
      mac!.content.length === TAG_BYTES && encrypted!.tag === 0x80;
    if (!isFit) return "damaged";
    const parts: Parts = {
      salt: salt!.content,
      rounds: count,
      iv: iv!.content,
      wrapped: wrapped!.content,
      nonce: nonce!.content,
      encrypted: encrypted!.content,
      tag: mac!.content,
    };
    return isAsWritten(bytes, parts) ? parts : "damaged";
  } catch (error) {
    if (!(error instanceof VirtcredsError || error instanceof TypeError)) throw error;
    return isOurs ? "damaged" : undefined;
  }
}

/**
 * What no key covers, versions, tags, lengths and names of algorithms, is as we would have written
 * it with the same parameters.
 */
function isAsWritten(bytes: Uint8Array, parts: Parts): boolean {
  const { salt, rounds, iv, wrapped, nonce, encrypted, tag } = parts;
  if (salt.length !== SALT) return false;
  const recipient = recipientInfo(salt, rounds, iv, wrapped);
  let at = 0;
  for (const piece of frame(recipient, nonce, [encrypted], tag)) {
    const same = piece === encrypted || sameBytes(bytes.subarray(at, at + piece.length), piece);
    if (!same) return false;
    at += piece.length;
  }
  return at === bytes.length;
}

function parametersOf(algorithm: DerElement, oid: string): DerElement {
  const id = readDer(algorithm.content);
  if (readOid(id.content) !== oid) throw new TypeError("another algorithm");
  return readDer(algorithm.content, id.raw.length);
}

function total(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(total(parts));
  let offset = 0;
  for (const part of parts) {
    out.set(part, offset);
    offset += part.length;
  }
  return out;
}

function indexOf(bytes: Uint8Array, part: Uint8Array): number {
  for (let at = 0; at + part.length <= bytes.length; at++) {
    if (part.every((octet, i) => bytes[at + i] === octet)) return at;
  }
  return -1;
}
