/** Everything of an authority in one file under a passphrase: keys, store, log, hosts. */

import { createFile, fileError, readFileLimited, syncDirectory, systemClock } from "../base/mod.ts";
import { type ArchiveFile, readArchive, writeArchive } from "./archive.ts";
import { type ChangeOptions, changePki } from "./change.ts";
import { openCms, sealCms } from "./cms.ts";
import { CaError } from "./error.ts";
import { refuseWithoutAuthority } from "./issue.ts";
import { sha256 } from "./log_entry.ts";
import { entryNames, isThere, type PkiPaths, pkiPaths, removeAll, rename } from "./pki.ts";
import { unpack } from "./unpack.ts";

/** What is backed up, and to where. */
export interface BackupOptions extends ChangeOptions {
  /** The authority's directory. */
  readonly dir: string;
  /** The file that is made, mode 0600. */
  readonly file: string;
  /** Of the backup; that of the CA's key is another matter. */
  readonly passphrase: string;
  /** Whether a file that is there is replaced; nothing else ever is. */
  readonly force?: boolean;
}

/** A backup that was made, and verified. */
export interface BackupResult {
  readonly file: string;
  /** In bytes. */
  readonly size: number;
  readonly sha256: string;
  /** How many files it has. */
  readonly files: number;
  /** Paths that it lacks, since they are neither files nor directories. */
  readonly leftOut: readonly string[];
  /** Whether the CA's key is in a token, and so not in the backup. */
  readonly keyInToken: boolean;
}

/** What belongs to a moment, not to the authority. */
const PASSING: readonly string[] = [".lock", ".new", ".journal", ".rebuild", "ca.db-journal"];

/**
 * Makes a backup while nobody changes the authority, restores it into a temporary folder beside
 * the file, compares every byte, and only then gives it its name.
 *
 * @example There and back
 * ```ts
 * import { initAuthority, makeBackup, restoreBackup } from "@virtcreds/virtcreds/ca";
 * import { chooseEngine } from "@virtcreds/virtcreds/engine";
 * import { assertEquals } from "@std/assert";
 *
 * const folder = Deno.makeTempDirSync();
 * const [dir, file, passphrase] = [`${folder}/pki`, `${folder}/pki.cms`, "correct horse"];
 * await initAuthority({ dir, engine: await chooseEngine() });
 * const { files } = await makeBackup({ dir, file, passphrase });
 * const restored = await restoreBackup({ file, dir: `${folder}/restored`, passphrase });
 * assertEquals(restored.files, files);
 * Deno.removeSync(folder, { recursive: true });
 * ```
 *
 * @throws {CaError} `CA_MISSING`, `BACKUP` If it lies in the authority's own directory, or what was
 * written cannot be restored; what is wrong with the store, as `changePki`.
 * @throws {BaseError} `FILE_EXISTS`, `FILE_NOT_WRITABLE`.
 */
export async function makeBackup(options: BackupOptions): Promise<BackupResult> {
  const { dir, file, passphrase, force = false } = options;
  const paths = pkiPaths(dir);
  refuseWithoutAuthority(paths);
  refuseInside(paths, file);
  refuseExisting(file, force);
  return await changePki(paths, options, async (change) => {
    // Has the store made where an earlier version kept none.
    await change.store();
    const { names, leftOut } = listFiles(paths.root);
    const temporary = `${file}.${crypto.randomUUID().slice(0, 8)}.tmp`;
    const sealed = await sealCms(
      compress(writeArchive(readFiles(paths.root, names, options.signal))),
      passphrase,
    );
    writePieces(temporary, sealed);
    try {
      await verify(temporary, passphrase, paths.root, names, options.signal);
      refuseExisting(file, force);
      rename(temporary, file);
    } catch (error) {
      removeAll(temporary);
      throw error;
    }
    syncDirectory(file.replace(/[^/]*$/, "") || ".");
    const digest = sha256(readFileLimited(file, LARGEST));
    change.record({ act: "backup", sha256: digest, note: file.replace(/.*\//, "") });
    return {
      file,
      size: Deno.statSync(file).size,
      sha256: digest,
      files: names.length,
      leftOut,
      keyInToken: isThere(paths.caKeyUri),
    };
  });
}

/** The largest backup in bytes. */
export const LARGEST = 2 ** 32;

/** Reads a backup, all of it known to be whole before the first file comes. */
export async function* readBackup(file: string, passphrase: string): AsyncIterable<ArchiveFile> {
  const opened = await openCms(readFileLimited(file, LARGEST), passphrase);
  const refuse = (cause: string, hint: string | readonly string[]) =>
    new CaError("BACKUP", { file, cause, hint });
  if (opened === "wrong") {
    throw refuse(
      "the passphrase does not fit, or the file is damaged",
      [
        "it is the one that was given to ca backup, not that of the CA's key",
        "if it is that one, take another copy of the file",
      ],
    );
  }
  if (opened === "damaged") throw refuse("it is damaged", "take another copy of it");
  if (opened === undefined) {
    throw refuse("it is no backup of this toolkit", `what it is: file ${file}`);
  }
  async function* pieces() {
    for (const piece of opened as Uint8Array[]) yield piece;
  }
  try {
    yield* readArchive(transform(pieces(), new DecompressionStream("gzip")));
  } catch (error) {
    if (!(error instanceof RangeError || error instanceof TypeError)) throw error;
    throw refuse(error.message, "take another copy of it");
  }
}

/** The files below a directory, sorted; links and the like are told apart, never followed. */
function listFiles(root: string): { names: string[]; leftOut: string[] } {
  const names: string[] = [];
  const leftOut: string[] = [];
  const walk = (prefix: string) => {
    for (const name of entryNames(`${root}/${prefix}`)) {
      const path = `${prefix}${name}`;
      if (PASSING.includes(path)) continue;
      const info = Deno.lstatSync(`${root}/${path}`);
      if (info.isDirectory) walk(`${path}/`);
      else if (info.isFile) names.push(path);
      else leftOut.push(`${root}/${path}`);
    }
  };
  walk("");
  return { names, leftOut };
}

async function* readFiles(
  root: string,
  names: readonly string[],
  signal: AbortSignal | undefined,
): AsyncIterable<ArchiveFile> {
  for (const path of names) {
    signal?.throwIfAborted();
    const file = `${root}/${path}`;
    const { mode, mtime } = Deno.statSync(file);
    yield {
      path,
      mode: (mode ?? 0o600) & 0o777,
      modified: (mtime ?? systemClock()).getTime(),
      data: readFileLimited(file, LARGEST),
    };
  }
}

function compress(pieces: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  return transform(pieces, new CompressionStream("gzip"));
}

function transform(
  pieces: AsyncIterable<Uint8Array>,
  through: CompressionStream | DecompressionStream,
): AsyncIterable<Uint8Array> {
  return ReadableStream.from(pieces as AsyncIterable<Uint8Array<ArrayBuffer>>)
    .pipeThrough<Uint8Array<ArrayBuffer>>(through);
}

function writePieces(file: string, pieces: readonly Uint8Array[]): void {
  createFile(file, "", 0o600, false);
  try {
    using handle = Deno.openSync(file, { write: true });
    for (const piece of pieces) {
      for (let at = 0; at < piece.length;) at += handle.writeSync(piece.subarray(at));
    }
    handle.syncSync();
  } catch (error) {
    removeAll(file);
    throw fileError(error, file, "write");
  }
}

/** A backup that was never restored is a hope. */
async function verify(
  file: string,
  passphrase: string,
  root: string,
  names: readonly string[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const folder = `${file}.restored`;
  Deno.mkdirSync(folder, { mode: 0o700 });
  try {
    const restored = await unpack(folder, readBackup(file, passphrase), { durable: false, signal });
    const differs = names.find((name, i) =>
      restored[i] !== name || !sameFile(`${root}/${name}`, `${folder}/${name}`)
    );
    if (differs === undefined && restored.length === names.length) return;
    throw new CaError("BACKUP", {
      file,
      cause: `what it restores differs from ${root}/${differs ?? restored.at(-1)}`,
      hint: "run it again; a disk or memory that alters bytes would be the cause",
    });
  } finally {
    removeAll(folder);
  }
}

function sameFile(one: string, other: string): boolean {
  const [a, b] = [one, other].map((file) => sha256(readFileLimited(file, LARGEST)));
  return a === b && (Deno.statSync(one).mode! & 0o777) === (Deno.statSync(other).mode! & 0o777);
}

function refuseExisting(file: string, force: boolean): void {
  if (!isThere(file)) return;
  const { isFile, isDirectory, isSymlink } = Deno.lstatSync(file);
  if (!isFile) {
    const what = isDirectory ? "a directory" : isSymlink ? "a symbolic link" : "a device or pipe";
    throw new CaError("BACKUP", {
      file,
      cause: `it is ${what}, which is never replaced`,
      hint: "name a file",
    });
  }
  if (force) return;
  const hint = ["take another name", "or have it replaced: --force"];
  throw new CaError("BACKUP", { file, cause: "it exists already", hint });
}

/** It would be a part of the next one. */
function refuseInside(paths: PkiPaths, file: string): void {
  const folder = file.replace(/[^/]*$/, "") || ".";
  try {
    const [root, place] = [Deno.realPathSync(paths.root), Deno.realPathSync(folder)];
    if (place !== root && !place.startsWith(`${root}/`)) return;
  } catch (error) {
    throw fileError(error, file, "write");
  }
  throw new CaError("BACKUP", {
    file,
    cause: "it would lie in the CA's own directory, and be lost with it",
    hint: `choose a place outside of ${paths.root}`,
  });
}
