/** The CA's private key: in a file, plain or under a passphrase, or in a token. */

import { readTextLimited, VirtcredsError } from "../base/mod.ts";
import type { KeyEngine, SigningKey } from "../engine/mod.ts";
import { CaError } from "./error.ts";
import { isThere, type PkiPaths, pkiPaths } from "./pki.ts";

/** What an authority's key has to be unlocked with. */
export type KeyLock = "none" | "passphrase" | "pin";

/**
 * What the key of the authority in a directory is locked with; `none` also where there is no key,
 * which is said when it is used.
 *
 * @throws {BaseError} `FILE_NOT_READABLE`.
 */
export function authorityKeyLock(dir: string): KeyLock {
  const paths = pkiPaths(dir);
  if (isThere(paths.caKey)) {
    return isEncrypted(readTextLimited(paths.caKey)) ? "passphrase" : "none";
  }
  return isThere(paths.caKeyUri) ? "pin" : "none";
}

/** Whether a private key in PEM is encrypted, in the way of PKCS#8 or the traditional one. */
export function isEncrypted(pem: string): boolean {
  return /^-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: *4, *ENCRYPTED/m.test(pem);
}

/**
 * Opens the key of an authority.
 *
 * @param passphrase Of its file, or the PIN of its token.
 * @throws {CaError} `CA_KEY`.
 */
export async function openAuthorityKey(
  paths: PkiPaths,
  engine: KeyEngine,
  passphrase: string | undefined,
): Promise<SigningKey> {
  if (!isThere(paths.caKey) && isThere(paths.caKeyUri)) {
    const uri = checkKeyUri(readTextLimited(paths.caKeyUri).trim(), paths.caKeyUri);
    return await openTokenKey(uri, engine, passphrase, paths.caKeyUri);
  }
  const file = paths.caKey;
  if (!isThere(file)) {
    throw new CaError("CA_KEY", {
      file,
      cause: "there is no such file",
      hint: `only the machine that has it can issue: put it back as ${file}, mode 0600`,
    });
  }
  const pem = readTextLimited(file);
  const encrypted = isEncrypted(pem);
  if (encrypted && passphrase === undefined) {
    throw new CaError("CA_KEY", {
      file,
      cause: "it is encrypted, and no passphrase was given",
      hint: "give it with --passphrase-file FILE, or - for standard input",
    });
  }
  try {
    return await engine.importKey(pem, encrypted ? passphrase : undefined);
  } catch (error) {
    throw new CaError("CA_KEY", {
      file,
      cause: reason(error),
      hint: encrypted
        ? `try the passphrase: openssl pkey -in ${file} -noout`
        : "put the key back that the CA's certificate was made with, as PEM",
    }, { cause: error });
  }
}

/**
 * Opens a key in a token.
 *
 * @param file What the error names: the file that has the URI, or the flag.
 * @throws {CaError} `CA_KEY`.
 */
export async function openTokenKey(
  uri: string,
  engine: KeyEngine,
  pin: string | undefined,
  file: string,
): Promise<SigningKey> {
  if ("name" in engine && engine.name === "platform") {
    throw new CaError("CA_KEY", {
      file,
      cause: "it is in a token, and the platform engine reaches none",
      hint: "use GnuTLS, which every machine with QEMU has: --engine gnutls",
    });
  }
  try {
    return await engine.importKey(uri, pin);
  } catch (error) {
    const hints = error instanceof VirtcredsError ? error.hints : [];
    throw new CaError("CA_KEY", {
      file,
      cause: reason(error),
      hint: hints.length > 0
        ? hints
        : pin === undefined
        ? "give the token's PIN with --passphrase-file FILE, or - for standard input"
        : `see what the token has: p11tool --login --list-all "${uri}"`,
    }, { cause: error });
  }
}

/**
 * Checks the URI of a key in a token (RFC 7512).
 *
 * @param source The flag or file that it came from.
 * @throws {CaError} `KEY_URI` If it is none, or holds the PIN, which every process list would show.
 */
export function checkKeyUri(uri: string, source: string): string {
  const refuse = (cause: string, hint: string) =>
    new CaError("KEY_URI", { option: source, cause, hint });
  if (!/^pkcs11:[\x21-\x7e]+$/.test(uri)) {
    throw refuse(
      "it is no pkcs11: URI",
      "write it as in pkcs11:token=virt;object=ca-key;type=private",
    );
  }
  if (/[?&]pin-value=/.test(uri)) {
    throw refuse("it has a PIN in it", "give the PIN with --passphrase-file FILE");
  }
  return uri;
}

function reason(error: unknown): string {
  if (error instanceof VirtcredsError) return error.facts.cause ?? error.message;
  return error instanceof Error ? error.message : String(error);
}
