/** Files read with a limit and written whole: durable, atomic, or not at all. */

import { BaseError, fileError } from "./error.ts";

/** The most that a certificate, key, CRL or option file may hold, in bytes. */
export const MAX_CREDENTIAL_FILE = 16 * 1024 * 1024;

/**
 * Reads a whole file.
 *
 * @param limit Largest size in bytes that is read.
 * @throws {BaseError} `FILE_NOT_FOUND`, `FILE_NOT_READABLE` or `FILE_TOO_LARGE`.
 */
export function readFileLimited(
  file: string,
  limit = MAX_CREDENTIAL_FILE,
): Uint8Array<ArrayBuffer> {
  try {
    const info = Deno.statSync(file);
    if (info.isDirectory) {
      throw new BaseError("FILE_NOT_READABLE", { file, cause: "it is a directory" });
    }
    if (!info.isFile) {
      throw new BaseError("FILE_NOT_READABLE", { file, cause: "it is not a regular file" });
    }
    if (info.size > limit) {
      throw new BaseError("FILE_TOO_LARGE", {
        file,
        cause: `it has ${info.size} bytes, more than ${limit}`,
      });
    }
    return Deno.readFileSync(file);
  } catch (error) {
    throw fileError(error, file, "read");
  }
}

/** Reads a whole text file as UTF-8; see {@linkcode readFileLimited}. */
export function readTextLimited(file: string, limit = MAX_CREDENTIAL_FILE): string {
  return new TextDecoder().decode(readFileLimited(file, limit));
}

/**
 * Creates a file that must not exist yet, with its final mode from the first instant, and syncs
 * it; a failure leaves none behind.
 *
 * @param durable `false` for one of many files that the caller syncs together.
 * @throws {BaseError} `FILE_EXISTS` or `FILE_NOT_WRITABLE`.
 */
export function createFile(
  file: string,
  data: string | Uint8Array,
  mode: number,
  durable = true,
): void {
  const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
  try {
    if (!durable && isPassed(mode)) {
      // One call instead of four, where nothing is to be asked of the open file.
      Deno.writeFileSync(file, bytes, { createNew: true, mode });
      return;
    }
    using handle = Deno.openSync(file, { write: true, createNew: true, mode });
    writeAllSync(handle, bytes);
    if (isMaskedAt(handle, mode)) Deno.chmodSync(file, mode);
    if (durable) handle.syncSync();
  } catch (error) {
    if (!NOT_MADE.some((kind) => error instanceof kind)) removeIfThere(file);
    throw fileError(error, file, "write");
  }
}

/** What is not ours to remove. */
const NOT_MADE = [Deno.errors.AlreadyExists, Deno.errors.NotCapable, Deno.errors.NotFound];

function removeIfThere(file: string): void {
  try {
    Deno.removeSync(file);
  } catch { /* it was never made, or the error that is on its way says why it cannot go */ }
}

/** Permission bits that the umask of this process is known to let through. */
let passed = 0;

function isPassed(mode: number): boolean {
  return Deno.build.os === "windows" || (mode & ~passed) === 0;
}

/** Whether the umask took bits away that the layout wants; asked of a file that was just made. */
function isMaskedAt(handle: Deno.FsFile, mode: number): boolean {
  if (isPassed(mode)) return false;
  const has = handle.statSync().mode ?? 0;
  if ((mode & ~has) !== 0) return true;
  passed |= mode;
  return false;
}

/**
 * Replaces a file by a rename, so that a reader sees the old bytes or the new ones and a crash
 * leaves one of them.
 *
 * @throws {BaseError} `FILE_NOT_WRITABLE`.
 */
export function writeFileAtomic(file: string, data: string | Uint8Array, mode: number): void {
  const temporary = `${file}.${crypto.randomUUID().slice(0, 8)}.tmp`;
  createFile(temporary, data, mode);
  try {
    Deno.renameSync(temporary, file);
  } catch (error) {
    Deno.removeSync(temporary);
    throw fileError(error, file, "write");
  }
  syncDirectory(file.replace(/[^/]*$/, "") || ".");
}

/** Makes the contents of a file that was created without that durable. */
export function syncFile(file: string): void {
  try {
    using handle = Deno.openSync(file, { read: true });
    handle.syncSync();
  } catch (error) {
    throw fileError(error, file, "write");
  }
}

/** Makes the names in a directory durable. */
export function syncDirectory(directory: string): void {
  using handle = Deno.openSync(directory, { read: true });
  handle.syncSync();
}

function writeAllSync(handle: Deno.FsFile, bytes: Uint8Array): void {
  for (let offset = 0; offset < bytes.length;) offset += handle.writeSync(bytes.subarray(offset));
}
