/** An authority brought back from its backup, into a directory of its own. */

import { fileError, readFileLimited, syncDirectory } from "../base/mod.ts";
import { LARGEST, readBackup } from "./backup.ts";
import { type ChangeOptions, changePki } from "./change.ts";
import { CaError } from "./error.ts";
import { heldHosts } from "./held.ts";
import { sha256 } from "./log_entry.ts";
import {
  CA_CERTIFICATE_FILE,
  CA_KEY_URI_FILE,
  entryNames,
  isOwnDirectory,
  isThere,
  pkiPaths,
  removeAll,
  rename,
} from "./pki.ts";
import { unpack } from "./unpack.ts";

/** What is restored, and to where. */
export interface RestoreOptions extends ChangeOptions {
  readonly file: string;
  /** Made; must not be there yet, or be empty. */
  readonly dir: string;
  /** The one that was given to the backup. */
  readonly passphrase: string;
}

/** A backup that was restored or looked at. */
export interface RestoreResult {
  readonly dir: string;
  /** How many files it has. */
  readonly files: number;
  /** How many hosts have a directory. */
  readonly hosts: number;
  /** Whether the CA's key is in a token, and so not in the backup. */
  readonly keyInToken: boolean;
}

/**
 * Restores a backup. The directory is there when all of it is, and what was there is never touched.
 *
 * @throws {CaError} `NOT_EMPTY` If something is there; `BACKUP` for a file that is none, is damaged,
 * or has another passphrase.
 * @throws {BaseError} `FILE_NOT_FOUND`, `FILE_NOT_WRITABLE`.
 */
export async function restoreBackup(options: RestoreOptions): Promise<RestoreResult> {
  const { file, passphrase } = options;
  const paths = pkiPaths(options.dir);
  refuseOccupied(paths.root);
  const parent = paths.root.replace(/[^/]*$/, "") || ".";
  const temporary = `${paths.root}.${crypto.randomUUID().slice(0, 8)}.tmp`;
  makeFolder(parent, temporary);
  let files: readonly string[];
  try {
    files = await unpack(temporary, readBackup(file, passphrase), {
      durable: true,
      signal: options.signal,
    });
    if (!files.includes(CA_CERTIFICATE_FILE)) throw withoutAuthority(file);
    Deno.chmodSync(temporary, 0o755);
    refuseOccupied(paths.root);
    rename(temporary, paths.root);
  } catch (error) {
    removeAll(temporary);
    throw error;
  }
  syncDirectory(parent);
  await changePki(paths, options, (change) => {
    const note = file.replace(/.*\//, "");
    change.record({ act: "restore", sha256: sha256(readFileLimited(file, LARGEST)), note });
    return Promise.resolve();
  });
  return {
    dir: paths.root,
    files: files.length,
    hosts: heldHosts(paths).length,
    keyInToken: isThere(paths.caKeyUri),
  };
}

/**
 * Reads a backup to its end and writes nothing: whether it is whole and the passphrase fits.
 *
 * @throws {CaError} `BACKUP`.
 * @throws {BaseError} `FILE_NOT_FOUND`.
 */
export async function checkBackup(
  file: string,
  passphrase: string,
): Promise<Omit<RestoreResult, "dir">> {
  const hosts = new Set<string>();
  const paths = new Set<string>();
  for await (const { path } of readBackup(file, passphrase)) {
    paths.add(path);
    const host = /^hosts\/([^/]+)\//.exec(path)?.[1];
    if (host !== undefined) hosts.add(host);
  }
  if (!paths.has(CA_CERTIFICATE_FILE)) throw withoutAuthority(file);
  return { files: paths.size, hosts: hosts.size, keyInToken: paths.has(CA_KEY_URI_FILE) };
}

function withoutAuthority(file: string): CaError {
  return new CaError("BACKUP", {
    file,
    cause: `it has no ${CA_CERTIFICATE_FILE}`,
    hint: "it is no backup of a CA",
  });
}

function refuseOccupied(dir: string): void {
  if (!isThere(dir)) return;
  if (isOwnDirectory(dir) && entryNames(dir).length === 0) return;
  throw new CaError("NOT_EMPTY", {
    file: dir,
    cause: "something is there, and a restore overwrites nothing",
    hint: `restore elsewhere (--dir DIR), or move it away first: mv ${dir} ${dir}.old`,
  });
}

function makeFolder(parent: string, folder: string): void {
  try {
    Deno.mkdirSync(parent, { recursive: true });
    Deno.mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    throw fileError(error, folder, "write");
  }
}
