/** Passphrases as they are taken: one line of text that every tool reads the same way. */

import { readFileLimited } from "../base/mod.ts";
import { CaError } from "./error.ts";

/** The most that a passphrase may have, in bytes; GnuTLS and OpenSSL take as much. */
const LONGEST = 1023;

/** The most that is read of a file with a passphrase, in bytes. */
const LARGEST_FILE = 4096;

/**
 * Checks a passphrase, which comes back in the form that GnuTLS gives it (RFC 8265, NFC).
 *
 * @param source Where it came from, for the error; the passphrase itself is in no error.
 * @throws {CaError} `PASSPHRASE`.
 */
export function checkPassphrase(text: string, source: string): string {
  const refuse = (cause: string) =>
    new CaError("PASSPHRASE", {
      file: source,
      cause,
      hint: "a passphrase is one line of text",
    });
  const normal = text.normalize("NFC");
  if (normal === "") throw refuse("it is empty");
  if (/\p{Cc}/u.test(normal)) throw refuse("it has a control character or a second line");
  if (new TextEncoder().encode(normal).length > LONGEST) {
    throw refuse(`it has more than ${LONGEST} bytes`);
  }
  return normal;
}

/**
 * Reads a passphrase from a file; a line end behind it is not a part of it.
 *
 * @throws {CaError} `PASSPHRASE`.
 * @throws {BaseError} `FILE_NOT_FOUND`, `FILE_NOT_READABLE`, `FILE_TOO_LARGE`.
 */
export function readPassphrase(file: string): string {
  return checkPassphrase(readText(file).replace(/\r?\n$/, ""), file);
}

/**
 * Reads a passphrase from a file that QEMU is to read too, as `-object secret,file=…`: to it a line
 * end is a part of the passphrase, so there must be none.
 *
 * @throws {CaError} `PASSPHRASE`.
 * @throws {BaseError} `FILE_NOT_FOUND`, `FILE_NOT_READABLE`, `FILE_TOO_LARGE`.
 */
export function readQemuPassphrase(file: string): string {
  const text = readText(file);
  if (/\n$/.test(text)) {
    throw new CaError("PASSPHRASE", {
      file,
      cause: "it ends with a line end, which QEMU takes for a part of it",
      hint: `take it off: printf %s "$(cat ${file})" > ${file}.new`,
    });
  }
  return checkPassphrase(text, file);
}

function readText(file: string): string {
  const bytes = readFileLimited(file, LARGEST_FILE);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new CaError("PASSPHRASE", {
      file,
      cause: "it is not UTF-8 text",
      hint: "a passphrase is one line of text",
    });
  } finally {
    bytes.fill(0);
  }
}
