/** Where a received stream goes: a file that has its name only once it is whole, or nowhere. */

import { BaseError, fileError, syncDirectory } from "../base/mod.ts";

/**
 * Takes a stream. One write is under way at a time, its buffer belongs to the sink until the
 * promise settles. Either `commit` or `discard` ends it.
 */
export interface StreamSink {
  write(bytes: Uint8Array): Promise<void>;
  /** Makes all of it durable, then gives it its name: after this the source may be let go. */
  commit(): Promise<void>;
  /** Leaves nothing behind; does nothing after a commit. */
  discard(): void;
}

/** Counts as a place to put a stream that is only to be verified. */
export function discardingSink(): StreamSink {
  return {
    write: () => Promise.resolve(),
    commit: () => Promise.resolve(),
    discard: () => {},
  };
}

/** The name that a file has until it is whole. */
export function partialName(file: string): string {
  return `${file}.partial`;
}

/**
 * Checks early what {@linkcode fileSink} will need, so that a mistake shows before a source comes.
 *
 * @throws {BaseError} `FILE_NOT_WRITABLE` or `FILE_NOT_FOUND`.
 */
export function checkSinkFile(file: string): void {
  try {
    if (!Deno.statSync(file).isFile) {
      throw new BaseError("FILE_NOT_WRITABLE", { file, cause: "it is not a regular file" });
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw fileError(error, file, "write");
  }
  openPartial(file).discard();
}

/**
 * Opens a file for one stream. The bytes go to `FILE.partial`, mode 0600, for they are a guest's
 * memory; an older `FILE` stays until the new one is whole.
 *
 * @throws {BaseError} `FILE_NOT_WRITABLE` if it cannot be made or another process fills it.
 */
export function fileSink(file: string): StreamSink {
  const { handle, discard } = openPartial(file);
  let committed = false;
  return {
    async write(bytes) {
      try {
        for (let done = 0; done < bytes.length;) done += await handle.write(bytes.subarray(done));
      } catch (error) {
        throw fileError(error, partialName(file), "write");
      }
    },
    async commit() {
      try {
        await handle.sync();
        Deno.renameSync(partialName(file), file);
        syncDirectory(file.replace(/[^/]*$/, "") || ".");
        committed = true;
        handle.close();
      } catch (error) {
        throw fileError(error, file, "write");
      }
    },
    discard() {
      if (!committed) discard();
    },
  };
}

function openPartial(file: string): { handle: Deno.FsFile; discard(): void } {
  const partial = partialName(file);
  let handle: Deno.FsFile | undefined;
  try {
    handle = Deno.openSync(partial, { write: true, create: true, mode: 0o600 });
    if (!handle.tryLockSync(true)) {
      throw new BaseError("FILE_NOT_WRITABLE", {
        file: partial,
        cause: "another target is filling it",
      });
    }
    handle.truncateSync(0);
  } catch (error) {
    handle?.close();
    throw fileError(error, partial, "write");
  }
  const opened = handle;
  let open = true;
  return {
    handle: opened,
    discard() {
      if (!open) return;
      open = false;
      try {
        Deno.removeSync(partial);
      } catch { /* whoever removed it before did what was to be done */ }
      opened.close();
    },
  };
}
