/** One command at a time changes the directory of an authority. */

import { fileError } from "../base/mod.ts";
import { refuseLink } from "./pki.ts";

/** How a lock is waited for. */
export interface LockOptions {
  readonly signal?: AbortSignal;
  /** Called once if another command holds the lock. */
  readonly onWait?: () => void;
}

/**
 * Takes the lock, waiting for whoever has it. The system gives it back when the process ends, in
 * whatever way, so that a killed command never leaves it behind.
 *
 * @throws {CaError} `SYMBOLIC_LINK` If something planted a link there.
 * @throws {BaseError} `FILE_NOT_WRITABLE` If the lock file cannot be made.
 */
export async function takeLock(file: string, options: LockOptions = {}): Promise<Disposable> {
  const handle = open(file);
  try {
    options.signal?.throwIfAborted();
    if (!await handle.tryLock(true)) {
      options.onWait?.();
      await waitForLock(handle, options.signal);
    }
    return handle;
  } catch (error) {
    handle.close();
    throw fileError(error, file, "write");
  }
}

async function waitForLock(handle: Deno.FsFile, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return await handle.lock(true);
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    await Promise.race([handle.lock(true), aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

function open(file: string): Deno.FsFile {
  refuseLink(file);
  try {
    return Deno.openSync(file, { read: true, write: true, create: true, mode: 0o600 });
  } catch (error) {
    throw fileError(error, file, "write");
  }
}
