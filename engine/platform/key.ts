/** Private keys over WebCrypto (made here) and node:crypto (read from PEM). */

import { Buffer } from "node:buffer";
import { createPrivateKey, createPublicKey, type KeyObject, sign as nodeSign } from "node:crypto";
import { decodePem, derSequence, derUnsigned, encodePem, type PemBlock } from "../../base/mod.ts";
import { EngineError } from "../error.ts";
import type { KeyType, SignatureAlgorithm, SigningKey } from "../key.ts";
import { type KeyPart, tidyPkcs8, tidySec1 } from "../ec_key.ts";
import { decryptPkcs8, encryptPkcs8 } from "../pbes2.ts";

interface MadeKind {
  readonly algorithm: SignatureAlgorithm;
  readonly generate: EcKeyGenParams | RsaHashedKeyGenParams | { readonly name: "Ed25519" };
  readonly sign: EcdsaParams | { readonly name: string };
}

const MADE: Readonly<Record<KeyType, MadeKind>> = {
  "ec-p256": ec("P-256", "SHA-256", "ecdsa-with-SHA256"),
  "ec-p384": ec("P-384", "SHA-384", "ecdsa-with-SHA384"),
  "rsa-2048": rsa(2048),
  "rsa-3072": rsa(3072),
  "rsa-4096": rsa(4096),
  "ed25519": {
    algorithm: "Ed25519",
    generate: { name: "Ed25519" },
    sign: { name: "Ed25519" },
  },
};

function ec(namedCurve: string, hash: string, algorithm: SignatureAlgorithm): MadeKind {
  return { algorithm, generate: { name: "ECDSA", namedCurve }, sign: { name: "ECDSA", hash } };
}

function rsa(modulusLength: number): MadeKind {
  const name = "RSASSA-PKCS1-v1_5";
  const publicExponent = Uint8Array.of(1, 0, 1);
  return {
    algorithm: "sha256WithRSAEncryption",
    generate: { name, modulusLength, publicExponent, hash: "SHA-256" },
    sign: { name },
  };
}

/** Makes a key; by WebCrypto, which is twelve times faster at P-256 than node:crypto here. */
export async function generateKey(type: KeyType): Promise<SigningKey> {
  const kind = MADE[type];
  const pair = await crypto.subtle.generateKey(kind.generate, true, ["sign", "verify"]);
  if (!("privateKey" in pair)) throw new EngineError("KEY", { cause: "no key pair was made" });
  const publicKey = new Uint8Array(await crypto.subtle.exportKey("spki", pair.publicKey));
  return signingKey({
    type,
    algorithm: kind.algorithm,
    publicKey,
    async sign(data) {
      const signature = new Uint8Array(
        await crypto.subtle.sign(kind.sign, pair.privateKey, data as Uint8Array<ArrayBuffer>),
      );
      return kind.sign.name === "ECDSA" ? derSignature(signature) : signature;
    },
    async pkcs8() {
      return new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey));
    },
  });
}

/**
 * Reads a private key in PEM.
 *
 * @throws {EngineError} `KEY` If there is none, its passphrase is missing or wrong, or its kind
 * does not sign certificates.
 */
export function importKey(pem: string, passphrase?: string): SigningKey {
  const key = readPrivateKey(pem, passphrase);
  const { type, algorithm, digest } = kindOf(key);
  return signingKey({
    type,
    algorithm,
    publicKey: new Uint8Array(createPublicKey(key).export({ format: "der", type: "spki" })),
    // node:crypto writes ECDSA signatures as DER by itself.
    sign: (data) => Promise.resolve(new Uint8Array(nodeSign(digest, data, key))),
    pkcs8: () => Promise.resolve(new Uint8Array(key.export({ format: "der", type: "pkcs8" }))),
  });
}

/**
 * Reads the first private key of a PEM text, whatever its kind.
 *
 * @throws {EngineError} `KEY`.
 */
export function readPrivateKey(pem: string, passphrase?: string): KeyObject {
  const block = /-----BEGIN ((?:RSA |EC |ENCRYPTED )?PRIVATE KEY)-----[^]*?-----END \1-----/
    .exec(pem);
  const decoded = block === null ? undefined : decodePem(block[0])[0];
  if (block === null || decoded === undefined) {
    throw new EngineError("KEY", { cause: "there is no private key in PEM form in it" });
  }
  const encrypted = decoded.label.startsWith("ENCRYPTED") ||
    decoded.headers["Proc-Type"] !== undefined;
  if (encrypted && passphrase === undefined) {
    throw new EngineError("KEY", { cause: "it is encrypted and no passphrase is given" });
  }
  try {
    return encrypted
      ? readEncrypted(block[0], decoded, passphrase!)
      : readPlain(decoded.label, decoded.der);
  } catch (error) {
    if (error instanceof EngineError) throw error;
    if (encrypted && /bad decrypt/.test(String(error))) throw wrongPassphrase();
    // What the library says may quote what it read: it stays out of the text.
    throw new EngineError("KEY", {
      cause: "Deno cannot read it",
      hint: "`openssl pkey -in KEY -noout -check` shows whether OpenSSL can",
    });
  }
}

/** GnuTLS looks at no public half beside an EC key; Deno refuses one that is not the key's. */
function readPlain(label: string, der: Uint8Array): KeyObject {
  try {
    return readPart(label, der, "whole");
  } catch (error) {
    if (label === "RSA PRIVATE KEY") throw error;
    return readPart(label, der, "private");
  }
}

function readPart(label: string, der: Uint8Array, part: KeyPart): KeyObject {
  switch (label) {
    case "RSA PRIVATE KEY":
      return createPrivateKey({ key: buffer(der), format: "der", type: "pkcs1" });
    case "EC PRIVATE KEY":
      return createPrivateKey({ key: buffer(tidySec1(der, part)), format: "der", type: "sec1" });
    default:
      return createPrivateKey({ key: buffer(tidyPkcs8(der, part)), format: "der", type: "pkcs8" });
  }
}

function readEncrypted(pem: string, block: PemBlock, passphrase: string): KeyObject {
  const pkcs8 = block.label === "ENCRYPTED PRIVATE KEY"
    ? decryptPkcs8(block.der, passphrase)
    : undefined;
  if (pkcs8 === "wrong") throw wrongPassphrase();
  if (pkcs8 === undefined) return createPrivateKey({ key: pem, format: "pem", passphrase });
  try {
    return readPlain("PRIVATE KEY", pkcs8);
  } finally {
    pkcs8.fill(0);
  }
}

function buffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function wrongPassphrase(): EngineError {
  return new EngineError("KEY", { cause: "the passphrase is wrong" });
}

interface ReadKind {
  readonly type: KeyType | undefined;
  readonly algorithm: SignatureAlgorithm;
  readonly digest: string | null;
}

function kindOf(key: KeyObject): ReadKind {
  const details = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case "rsa": {
      const type = `rsa-${details.modulusLength}`;
      return {
        type: type === "rsa-2048" || type === "rsa-3072" || type === "rsa-4096" ? type : undefined,
        algorithm: "sha256WithRSAEncryption",
        digest: "sha256",
      };
    }
    case "ec":
      if (details.namedCurve === "prime256v1") {
        return { type: "ec-p256", algorithm: "ecdsa-with-SHA256", digest: "sha256" };
      }
      if (details.namedCurve === "secp384r1") {
        return { type: "ec-p384", algorithm: "ecdsa-with-SHA384", digest: "sha384" };
      }
      if (details.namedCurve === "secp521r1") {
        return { type: undefined, algorithm: "ecdsa-with-SHA384", digest: "sha384" };
      }
      break;
    case "ed25519":
      return { type: "ed25519", algorithm: "Ed25519", digest: null };
  }
  throw new EngineError("KEY", {
    cause: `keys of kind ${details.namedCurve ?? key.asymmetricKeyType} do not sign here`,
    hint: "take RSA, P-256, P-384, P-521 or Ed25519",
  });
}

interface KeyWork {
  readonly type: KeyType | undefined;
  readonly algorithm: SignatureAlgorithm;
  readonly publicKey: Uint8Array<ArrayBuffer>;
  sign(data: Uint8Array): Promise<Uint8Array>;
  pkcs8(): Promise<Uint8Array>;
}

function signingKey(work: KeyWork): SigningKey {
  let live: KeyWork | undefined = work;
  const use = (): KeyWork => {
    if (live === undefined) throw new EngineError("KEY", { cause: "it is disposed" });
    return live;
  };
  return {
    type: work.type,
    algorithm: work.algorithm,
    publicKey: work.publicKey,
    async sign(data) {
      return await use().sign(data);
    },
    async exportPem(passphrase) {
      const pkcs8 = await use().pkcs8();
      try {
        return passphrase === undefined
          ? encodePem("PRIVATE KEY", pkcs8)
          : encodePem("ENCRYPTED PRIVATE KEY", await encryptPkcs8(pkcs8, passphrase));
      } finally {
        pkcs8.fill(0);
      }
    },
    // The bytes of the key are the runtime's, which frees them when nothing refers to them.
    [Symbol.dispose]() {
      live = undefined;
    },
  };
}

/** WebCrypto gives r and s side by side, a certificate wants a SEQUENCE of them (RFC 3279 2.2.3). */
function derSignature(raw: Uint8Array): Uint8Array {
  const half = raw.length / 2;
  return derSequence(derUnsigned(raw.subarray(0, half)), derUnsigned(raw.subarray(half)));
}
