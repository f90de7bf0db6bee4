/** QEMU's `secret` object: a passphrase or key, given as it is, in base64, or encrypted. */

import { createDecipheriv } from "node:crypto";
import { kernelText, readFileLimited } from "../base/mod.ts";
import { choice, type ObjectOptions, type Schema, STRING } from "./_properties.ts";
import { CredsError } from "./error.ts";

/** Its properties. */
export const SECRET_SCHEMA: Schema = {
  format: choice("raw", "base64"),
  keyid: STRING,
  iv: STRING,
  data: STRING,
  file: STRING,
};

const MAX_SECRET = 1024 * 1024;

/** A secret; wiped when disposed. */
export interface Secret extends Disposable {
  readonly id: string;
  readonly kind: "secret";
  readonly bytes: Uint8Array;
}

/**
 * Makes a secret.
 *
 * @param master Finds the secret that encrypts this one.
 * @throws {CredsError} `SECRET` with QEMU's text, never with a byte of the secret.
 */
export function makeSecret(options: ObjectOptions, master: (id: string) => Secret): Secret {
  const isBase64 = options.text("format") === "base64";
  const input = readInput(options);
  const keyId = options.text("keyid");
  const bytes = keyId !== undefined
    ? decrypt(isBase64 ? decodeBase64(input) : input, master(keyId).bytes, options.text("iv"))
    : isBase64
    ? decodeBase64(input)
    : input;
  return { id: options.id, kind: "secret", bytes, [Symbol.dispose]: () => void bytes.fill(0) };
}

/** A secret as the text of a passphrase. */
export function secretText(secret: Secret): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(secret.bytes);
  } catch {
    throw secretError(`Data from secret ${secret.id} is not valid UTF-8`);
  }
}

function readInput(options: ObjectOptions): Uint8Array {
  const [data, file] = [options.text("data"), options.text("file")];
  if (data !== undefined && file !== undefined) {
    throw secretError("'file' and 'data' are mutually exclusive");
  }
  if (data !== undefined) return new TextEncoder().encode(data.replace(/\0.*$/s, ""));
  if (file === undefined) throw secretError("Either 'file' or 'data' must be provided");
  try {
    return readFileLimited(file, MAX_SECRET);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new CredsError("SECRET", { file, text: readFailure(file, error) }, { cause: error });
  }
}

/** GLib's words, with its typographic quotes. */
function readFailure(file: string, error: Error): string {
  const cause = error.cause instanceof Error ? error.cause : error;
  const reason = kernelText(cause.message);
  return `Unable to read ${file}: Failed to open file “${file}”: ${reason}`;
}

/** Line ends are allowed, and what is wrong in its length is let through, as GLib does. */
function decodeBase64(input: Uint8Array): Uint8Array {
  const text = new TextDecoder("latin1").decode(input);
  if (text.includes("\0")) throw secretError("Base64 data contains embedded NUL characters");
  if (!/^[A-Za-z0-9+/=\n]*$/.test(text)) {
    throw secretError("Base64 data contains invalid characters");
  }
  const digits = text.replace(/[=\n]/g, "");
  return Uint8Array.fromBase64(digits.length % 4 === 1 ? digits.slice(0, -1) : digits);
}

function decrypt(ciphertext: Uint8Array, key: Uint8Array, iv: string | undefined): Uint8Array {
  if (key.length !== 32) throw secretError("Key should be 32 bytes in length");
  if (iv === undefined) throw secretError("IV is required to decrypt secret");
  const vector = decodeBase64(new TextEncoder().encode(iv));
  if (vector.length !== 16) {
    throw secretError(`IV should be 16 bytes in length not ${vector.length}`);
  }
  if (ciphertext.length === 0 || ciphertext.length % 16 !== 0) {
    throw secretError(`Length ${ciphertext.length} must be a multiple of block size 16`);
  }
  const cipher = createDecipheriv("aes-256-cbc", key, vector).setAutoPadding(false);
  const padded = new Uint8Array([...cipher.update(ciphertext), ...cipher.final()]);
  // QEMU looks at the last byte only, and takes a zero for no padding.
  const padding = padded.at(-1)!;
  if (padding > 16) {
    throw secretError(`Incorrect number of padding bytes (${padding}) found on decrypted data`);
  }
  return padded.subarray(0, padded.length - padding);
}

function secretError(text: string): CredsError {
  return new CredsError("SECRET", { text });
}
