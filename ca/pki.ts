/** Where things lie in the directory of an authority. */

import { dirname, join, relative, resolve } from "@std/path";
import { fileError } from "../base/mod.ts";
import { CaError } from "./error.ts";

/** The directory that is taken unless said otherwise. */
export const PKI_DIRECTORY = "pki";

/** The files and directories of an authority. */
export interface PkiPaths {
  readonly root: string;
  readonly caCertificate: string;
  readonly caKey: string;
  /** Stands in the place of the key where that is in a token: its `pkcs11:` URI. */
  readonly caKeyUri: string;
  readonly caCrl: string;
  /** The CA that a roll-over goes to, until it signs. */
  readonly next: string;
  /** The CA that a roll-over comes from, from then on until no host needs it. */
  readonly former: string;
  /** One directory for each host, as QEMU takes it. */
  readonly hosts: string;
  /** The set that each host had before. */
  readonly previous: string;
  /** The store: everything that was done, and what follows from it. */
  readonly store: string;
  /** The same log as plain text, which the store can be made from. */
  readonly log: string;
  /** Every certificate that was issued, as SERIAL.pem, where an earlier version worked. */
  readonly issued: string;
  /** Sets that are being made; whatever is in it without a journal is rubbish. */
  readonly staging: string;
  /** Says which finished sets of `staging` are to be published; its presence is the commit. */
  readonly journal: string;
  /** Held by the one command that changes the directory. */
  readonly lock: string;
}

/** File names of the authority itself; in `hosts/HOST` the first and last stand too. */
export const CA_CERTIFICATE_FILE = "ca-cert.pem";
export const CA_KEY_FILE = "ca-key.pem";
export const CA_KEY_URI_FILE = "ca-key.uri";
export const CA_CRL_FILE = "ca-crl.pem";

/** The two places of the other CA of a roll-over, each with a certificate and a key of its own. */
export const NEXT_DIRECTORY = "next";
export const FORMER_DIRECTORY = "former";

/** In `former`: the new CA's key vouched for by the old CA. */
export const CROSS_FILE = "cross-cert.pem";

/** In `hosts/HOST`: what the host asked with; its keys lie on the host alone. */
export const REQUEST_FILE = "request.pem";

/** Names the files and directories below a root. */
export function pkiPaths(root: string): PkiPaths {
  const base = root.length > 1 ? root.replace(/\/+$/, "") || "/" : root;
  const at = (name: string) => base === "/" ? `/${name}` : `${base}/${name}`;
  return {
    root: base,
    caCertificate: at(CA_CERTIFICATE_FILE),
    caKey: at(CA_KEY_FILE),
    caKeyUri: at(CA_KEY_URI_FILE),
    caCrl: at(CA_CRL_FILE),
    next: at(NEXT_DIRECTORY),
    former: at(FORMER_DIRECTORY),
    hosts: at("hosts"),
    previous: at("previous"),
    store: at("ca.db"),
    log: at("ca.log"),
    issued: at("issued"),
    staging: at(".new"),
    journal: at(".journal"),
    lock: at(".lock"),
  };
}

/**
 * Whether something is at a path, a broken symbolic link included.
 *
 * @throws {BaseError} `FILE_NOT_READABLE` If that cannot be found out.
 */
export function isThere(path: string): boolean {
  return look(path) !== undefined;
}

/**
 * Whether a directory is at a path; a symbolic link to one is none, since a planted link would
 * lead private keys elsewhere.
 *
 * @throws {CaError} `NOT_A_DIRECTORY` If something else is there.
 */
export function isOwnDirectory(path: string): boolean {
  const info = look(path);
  if (info === undefined) return false;
  if (info.isDirectory) return true;
  throw new CaError("NOT_A_DIRECTORY", {
    file: path,
    cause: info.isSymlink ? "a symbolic link" : "a file",
    hint: `see what it is with ls -l ${path}, then move it away`,
  });
}

/**
 * Refuses a symbolic link, whose target this would create or change.
 *
 * @throws {CaError} `SYMBOLIC_LINK` If one is at the path.
 */
export function refuseLink(path: string): void {
  if (look(path)?.isSymlink) {
    throw new CaError("SYMBOLIC_LINK", { file: path, hint: `remove it with rm ${path}` });
  }
}

/**
 * Whether a path, of which not all needs to be there yet, is or leads into a directory that is.
 *
 * @throws {BaseError} `FILE_NOT_READABLE` If that cannot be found out.
 */
export function leadsInto(root: string, path: string): boolean {
  const real = realPath(root);
  if (real === undefined) return false;
  let there = resolve(path);
  let found = realPath(path) ?? realPath(there);
  while (found === undefined) found = realPath(there = dirname(there));
  const place = join(found, relative(there, resolve(path)));
  return `${place}/`.startsWith(`${real}/`);
}

function realPath(path: string): string | undefined {
  try {
    return Deno.realPathSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    if (error instanceof Deno.errors.NotADirectory) return undefined;
    throw fileError(error, path, "read");
  }
}

/**
 * Creates a directory unless it is there.
 *
 * @throws {CaError} `NOT_A_DIRECTORY` If something else is there.
 * @throws {BaseError} `FILE_NOT_WRITABLE` If it cannot be made.
 */
export function ensureDirectory(path: string): void {
  if (isOwnDirectory(path)) return;
  makeDirectory(path);
}

/**
 * Creates the directory of an authority unless it is there; a symbolic link to one is the user's
 * own choice of a place.
 *
 * @throws {CaError} `NOT_A_DIRECTORY` If a file is there.
 * @throws {BaseError} `FILE_NOT_WRITABLE` If it cannot be made.
 */
export function ensureRoot(path: string): void {
  try {
    Deno.mkdirSync(path, { recursive: true, mode: 0o755 });
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists || error instanceof Deno.errors.NotADirectory) {
      throw new CaError("NOT_A_DIRECTORY", {
        file: path,
        cause: "or leads through a file",
        hint: "choose another one with --dir",
      });
    }
    throw fileError(error, path, "write");
  }
}

/** Creates a directory that others may enter whatever the umask, since a QEMU is another user. */
export function makeDirectory(path: string): void {
  try {
    Deno.mkdirSync(path, { mode: 0o755 });
    Deno.chmodSync(path, 0o755);
  } catch (error) {
    throw fileError(error, path, "write");
  }
}

/** The names in a directory, sorted. */
export function entryNames(path: string): string[] {
  return entries(path).map((entry) => entry.name).sort();
}

/** The names of the plain files in a directory, sorted. */
export function fileNames(path: string): string[] {
  return entries(path).filter((entry) => entry.isFile).map((entry) => entry.name).sort();
}

function entries(path: string): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(path)];
  } catch (error) {
    throw fileError(error, path, "read");
  }
}

/** Removes a file or a whole directory; a symbolic link itself, never what it points at. */
export function removeAll(path: string): void {
  try {
    Deno.removeSync(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw fileError(error, path, "write");
  }
}

/** Renames, with an error that names the new path. */
export function rename(from: string, to: string): void {
  try {
    Deno.renameSync(from, to);
  } catch (error) {
    throw fileError(error, to, "write");
  }
}

function look(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    // `file/hosts`: what is not a directory has nothing in it.
    if (error instanceof Deno.errors.NotADirectory) return undefined;
    throw fileError(error, path, "read");
  }
}
