/** Private keys as GnuTLS takes them: whether it can read one, and its words where it cannot. */

import { derChildren, type DerElement, readDerWhole, Tag } from "../base/mod.ts";
import { algorithmIdentifier, type Engine, EngineError, type SigningKey } from "../engine/mod.ts";
import { readBlock } from "./_pem.ts";

/** What there is of a key. */
export type KeyState =
  | {
    readonly kind: "good";
    readonly publicKey: Uint8Array;
    /** Whether it signed for the certificate beside it; `undefined` where it was not tried. */
    readonly isProven?: boolean | undefined;
    /** Whether it took a passphrase to read it. */
    readonly isEncrypted?: boolean;
  }
  /** GnuTLS refuses it, in its words. */
  | { readonly kind: "bad"; readonly reason: string; readonly isEncrypted: boolean }
  /** It looks right, but the engine does not read its kind. */
  | { readonly kind: "unknown"; readonly cause: string };

const NO_KEY = "The requested data were not available.";
const NO_HEADER = "Base64 unexpected header error.";
const BAD_BASE64 = "Base64 decoding error.";
const BAD_DER = "ASN1 parser: Error in DER parsing.";
/** What GnuTLS says of an encrypted key without its passphrase. */
export const NOT_DECRYPTED = "Decryption has failed.";

const TRADITIONAL = ["RSA PRIVATE KEY", "EC PRIVATE KEY", "DSA PRIVATE KEY"];
const PKCS8 = "PRIVATE KEY";
const ENCRYPTED = "ENCRYPTED PRIVATE KEY";

/** Judges the first private key of a text, and whether it signs for a public key (SPKI). */
export async function readPrivateKey(
  text: string,
  password: string | undefined,
  engine: Engine,
  certified?: Uint8Array,
): Promise<KeyState> {
  const label = keyLabel(text);
  const block = label === undefined ? undefined : readBlock(text, label);
  const isEncrypted = label === ENCRYPTED || isTraditionallyEncrypted(text);
  const bad = (reason: string): KeyState => ({ kind: "bad", reason, isEncrypted });
  if (label === undefined) return bad(password === undefined ? NO_KEY : NO_HEADER);
  if (isEncrypted && password === undefined) return bad(NOT_DECRYPTED);
  if (!isTraditionallyEncrypted(text)) {
    if (block?.ok !== true) return bad(password === undefined ? BAD_BASE64 : NO_HEADER);
    if (!isKeyStructure(block.value, label)) return bad(BAD_DER);
  }
  try {
    using key = await engine.importKey(keyBlock(text), isEncrypted ? password : undefined);
    const isProven = certified && await provesKey(key, certified, engine);
    return { kind: "good", publicKey: key.publicKey, isProven, isEncrypted };
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    if (isEncrypted) return bad(NOT_DECRYPTED);
    const cause = error.facts.cause ?? error.message;
    // What GnuTLS itself says ends with a full stop, and QEMU says the same.
    return engine.name === "gnutls" && cause.endsWith(".")
      ? bad(cause)
      : { kind: "unknown", cause };
  }
}

/** Any text will do. */
const PROOF = new TextEncoder().encode("whose key is it?");

/**
 * Whether a key signs for a public key, which is how GnuTLS compares them: what a file says of its
 * own public half counts for nothing. `undefined` where the key cannot sign, or where the engine
 * cannot tell.
 */
async function provesKey(
  key: SigningKey,
  publicKey: Uint8Array,
  engine: Engine,
): Promise<boolean | undefined> {
  try {
    const signature = await key.sign(PROOF);
    const algorithm = algorithmIdentifier(key.algorithm);
    return engine.verify({ publicKey, algorithm, data: PROOF, signature });
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    return undefined;
  }
}

/** The label of the block that GnuTLS takes: the last one that begins before the first key's end. */
function keyLabel(text: string): string | undefined {
  const at = text.indexOf("PRIVATE KEY-----");
  if (at < 0) return undefined;
  const near = Math.max(0, at - 25);
  const begin = text.indexOf("-----BEGIN ", near);
  if (begin < 0) return undefined;
  const rest = text.slice(begin + 11);
  return [...TRADITIONAL, PKCS8, ENCRYPTED].find((label) => rest.startsWith(label));
}

/** The key's block alone, for engines that read the first block of a text whatever it is. */
function keyBlock(text: string): string {
  return /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[^]*?-----END [A-Z0-9 ]*PRIVATE KEY-----/
    .exec(text)?.[0].concat("\n") ?? text;
}

function isTraditionallyEncrypted(text: string): boolean {
  return /-----BEGIN [A-Z]+ PRIVATE KEY-----\s+Proc-Type: 4,ENCRYPTED/.test(text);
}

/** Whether the outer structure is that of PKCS#8 (plain or encrypted), PKCS#1 or SEC 1. */
function isKeyStructure(der: Uint8Array, label: string): boolean {
  let fields: DerElement[];
  try {
    fields = derChildren(readDerWhole(der, Tag.SEQUENCE));
  } catch {
    return false;
  }
  const tags = label === ENCRYPTED
    ? [Tag.SEQUENCE, Tag.OCTET_STRING]
    : label === PKCS8
    ? [Tag.INTEGER, Tag.SEQUENCE, Tag.OCTET_STRING]
    : [Tag.INTEGER];
  return tags.every((tag, i) => fields[i]?.tag === tag);
}
