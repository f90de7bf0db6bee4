/** The file that a stream goes to until it is whole. */

import { BaseError, fileError } from "../base/mod.ts";

/** The name that a file has until it is whole. */
export function partialName(file: string): string {
  return `${file}.partial`;
}

/** An open file without its final name yet. */
export interface PartialFile {
  readonly handle: Deno.FsFile;
  /** Closes it and leaves nothing behind; for a file that was not renamed. */
  discard(): void;
}

/**
 * Makes a partial file that is ours alone: made here, with mode 0600, and locked.
 *
 * @throws {BaseError} `FILE_NOT_WRITABLE` if it cannot be made, another process fills it, or what
 * has its name is a link.
 */
export function openPartial(file: string): PartialFile {
  const partial = partialName(file);
  let handle: Deno.FsFile | undefined;
  try {
    removeStale(partial);
    handle = Deno.openSync(partial, { write: true, createNew: true, mode: 0o600 });
    if (!handle.tryLockSync(true)) throw inUse(partial);
    if (((handle.statSync().mode ?? 0o600) & 0o777) !== 0o600) Deno.chmodSync(partial, 0o600);
  } catch (error) {
    handle?.close();
    throw writeError(error, partial);
  }
  const opened = handle;
  let open = true;
  return {
    handle: opened,
    discard() {
      if (!open) return;
      open = false;
      try {
        if (isNamed(opened, partial)) Deno.removeSync(partial);
      } catch { /* whoever removed it before did what was to be done */ }
      opened.close();
    },
  };
}

/**
 * Removes what a crash has left. It is not filled anew: whoever made it may have opened it, or
 * made it a link to another file. The lock is held until the name is gone, so that of two targets
 * one gets the name and neither removes what the other has made.
 */
function removeStale(partial: string): void {
  let info: Deno.FileInfo;
  try {
    info = Deno.lstatSync(partial);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  if (!info.isFile) {
    throw new BaseError("FILE_NOT_WRITABLE", {
      file: partial,
      cause: info.isSymlink ? "it is a symbolic link" : "it is not a regular file",
      hint: `see who made it, then remove it: rm ${info.isDirectory ? "-r " : ""}'${partial}'`,
    });
  }
  using stale = Deno.openSync(partial);
  if (!stale.tryLockSync(true) || !isNamed(stale, partial)) throw inUse(partial);
  Deno.removeSync(partial);
}

/**
 * Checks that a name still is the name of an open file, and no link to it.
 *
 * @throws {BaseError} `FILE_NOT_WRITABLE` if something else has it, or nothing.
 */
export function checkNamed(handle: Deno.FsFile, file: string): void {
  if (isNamed(handle, file)) return;
  throw new BaseError("FILE_NOT_WRITABLE", {
    file,
    cause: "it was removed or replaced while it was filled",
    hint: `\`ls -ld '${folderOf(file)}'\` shows who may write there`,
  });
}

function isNamed(handle: Deno.FsFile, name: string): boolean {
  const own = handle.statSync();
  try {
    const named = Deno.lstatSync(name);
    return named.isFile && own.ino === named.ino && own.dev === named.dev;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function inUse(partial: string): BaseError {
  return new BaseError("FILE_NOT_WRITABLE", {
    file: partial,
    cause: "another target is filling it",
    hint: "give each target an --out of its own",
  });
}

/** What the system said; a folder that is not there can be made. */
export function writeError(error: unknown, file: string): unknown {
  const known = fileError(error, file, "write");
  if (!(known instanceof BaseError) || !(error instanceof Deno.errors.NotFound)) return known;
  const folder = folderOf(file);
  // One that is there takes no files at all: /proc says so in these words.
  const hint = isDirectory(folder)
    ? "name a file in a folder that takes files"
    : `create the folder first: mkdir -p '${folder}'`;
  return new BaseError(known.code, { ...known.facts, hint }, { cause: error });
}

function isDirectory(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}

function folderOf(file: string): string {
  return file.replace(/\/?[^/]*$/, "") || (file.startsWith("/") ? "/" : ".");
}
