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
  return await hold(open(file), file, true, options);
}

/**
 * Waits until nobody changes the directory, and keeps it so; several may look at a time. It writes
 * nothing: where there is no lock file, or none that may be read, nobody is waited for.
 */
export async function shareLock(file: string, options: LockOptions = {}): Promise<Disposable> {
  refuseLink(file);
  let handle: Deno.FsFile;
  try {
    handle = Deno.openSync(file, { read: true });
  } catch {
    return { [Symbol.dispose]: () => {} };
  }
  return await hold(handle, file, false, options);
}

async function hold(
  handle: Deno.FsFile,
  file: string,
  exclusive: boolean,
  options: LockOptions,
): Promise<Disposable> {
  try {
    for (let tries = 0; !await handle.tryLock(exclusive); tries++) {
      if (tries === 0) options.onWait?.();
      await pause(options.signal);
    }
    return handle;
  } catch (error) {
    handle.close();
    throw fileError(error, file, "write");
  }
}

/** Ms between two tries; by chance, so that several that wait do not try in step. */
const SHORTEST_PAUSE = 5;
const LONGEST_PAUSE = 40;

/**
 * A lock that is asked for cannot be called off, and would be taken after an abort by nobody: so
 * it is tried for again and again.
 */
async function pause(signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const span = SHORTEST_PAUSE + Math.random() * (LONGEST_PAUSE - SHORTEST_PAUSE);
  const timer = setTimeout(resolve, span);
  const abort = () => reject(signal!.reason);
  signal?.addEventListener("abort", abort, { once: true });
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
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
