/** Where a received stream goes: a file that has its name only once it is whole, or nowhere. */

import { statfsSync } from "node:fs";
import { BaseError, syncDirectory } from "../base/mod.ts";
import { checkNamed, openPartial, partialName, writeError } from "./_partial.ts";
import { setAside } from "./_set_aside.ts";

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
  /** Bytes that it has room for, where that is known. */
  room?(): number | undefined;
}

/** Counts as a place to put a stream that is only to be verified. */
export function discardingSink(): StreamSink {
  return {
    write: () => Promise.resolve(),
    commit: () => Promise.resolve(),
    discard: () => {},
  };
}

/**
 * Checks early what {@linkcode fileSink} will need, so that a mistake shows before a source comes.
 *
 * @throws {BaseError} `FILE_NOT_WRITABLE` or `FILE_NOT_FOUND`.
 */
export function checkSinkFile(file: string): void {
  try {
    const info = Deno.statSync(file);
    if (!info.isFile) {
      throw new BaseError("FILE_NOT_WRITABLE", {
        file,
        cause: "it is not a regular file",
        hint: info.isDirectory
          ? `name a file in it: --out ${file.replace(/\/+$/, "")}/guest.mig`
          : "name a file that is not there yet",
      });
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw writeError(error, file);
  }
  openPartial(file).discard();
}

/** What becomes of an earlier guest. */
export interface FileSinkOptions {
  /** Replaces an earlier file of that name; otherwise it is kept as `FILE.1`, `FILE.2`, … */
  readonly replace?: boolean;
  /** Told the new name of an earlier file. */
  readonly onSetAside?: (name: string) => void;
}

/**
 * Opens a file for one stream. The bytes go to `FILE.partial`, mode 0600, for they are a guest's
 * memory; an older `FILE` stays until the new one is whole, and is kept beside it then.
 *
 * @throws {BaseError} `FILE_NOT_WRITABLE` if it cannot be made, another process fills it, or what
 * has its name is a link.
 */
export function fileSink(file: string, options: FileSinkOptions = {}): StreamSink {
  const { handle, discard } = openPartial(file);
  let committed = false;
  return {
    async write(bytes) {
      try {
        for (let done = 0; done < bytes.length;) done += await handle.write(bytes.subarray(done));
      } catch (error) {
        throw writeError(error, partialName(file));
      }
    },
    async commit() {
      try {
        await handle.sync();
        // Whoever may write to the folder could have put another file or a link in its place.
        checkNamed(handle, partialName(file));
        const earlier = options.replace ? undefined : setAside(file);
        Deno.renameSync(partialName(file), file);
        syncDirectory(file.replace(/[^/]*$/, "") || ".");
        committed = true;
        handle.close();
        if (earlier !== undefined) options.onSetAside?.(earlier);
      } catch (error) {
        throw writeError(error, file);
      }
    },
    discard() {
      if (!committed) discard();
    },
    room: () => freeBytes(file.replace(/[^/]*$/, "") || "."),
  };
}

/** Bytes that a disk has left for whoever runs this, unless it does not tell. */
function freeBytes(folder: string): number | undefined {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}
