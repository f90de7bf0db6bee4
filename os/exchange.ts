/** Two names exchanged in one step, which Deno has no call for. */

import { cString, libc } from "./libc.ts";

/** `linux/fcntl.h`, `linux/fs.h`. */
const AT_FDCWD = -100;
const RENAME_EXCHANGE = 2;

/**
 * Exchanges two paths of one file system atomically (renameat2 with RENAME_EXCHANGE): nobody ever
 * sees one of them missing.
 *
 * @returns Whether it was done; `false` also where FFI is not allowed or the file system has no
 * such operation, and then nothing has changed.
 */
export function exchangePaths(one: string, other: string): boolean {
  const rename = libc()?.renameat2;
  if (rename === undefined || rename === null) return false;
  // A path would end at a NUL for the kernel, and be another one than the caller's.
  if (one.includes("\0") || other.includes("\0")) return false;
  return rename(AT_FDCWD, cString(one), AT_FDCWD, cString(other), RENAME_EXCHANGE) === 0;
}
