/** A whole file system made durable at once, which Deno has no call for. */

import { cString, libc } from "./libc.ts";

/** `fcntl.h`. */
const O_RDONLY = 0;
const O_CLOEXEC = 0o2000000;

/**
 * Writes everything of the file system that a path is on to its disk (syncfs): for many small files
 * a fraction of what syncing each one costs.
 *
 * @returns Whether it was done; `false` also where FFI is not allowed.
 */
export async function syncFileSystem(path: string): Promise<boolean> {
  const c = libc();
  if (c === undefined || path.includes("\0")) return false;
  const descriptor = c.open(cString(path), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return false;
  try {
    return await c.syncfs(descriptor) === 0;
  } finally {
    c.close(descriptor);
  }
}
