/** A migration into a file: QEMU's `file:PATH`, which nobody answers. */

import type { FileAddress } from "../channel/mod.ts";
import { fileError } from "../base/mod.ts";
import { checkNamed } from "./_partial.ts";
import type { Sending, SendOptions } from "./send.ts";
import { checkSinkFile, fileSink, type StreamSink } from "./sink.ts";
import type { StreamSource } from "./stream_file.ts";

/**
 * Writes a stream to a file. Without an offset the file has its name once all is on disk, and an
 * earlier one is kept beside it; with one it is written in its place, behind what somebody has put
 * there, and a failure removes only what was made here.
 *
 * @throws {BaseError} `FILE_NOT_WRITABLE`, `FILE_NOT_FOUND`.
 */
export async function sendToFile(
  { path, offset }: FileAddress,
  source: StreamSource,
  options: Pick<SendOptions, "context" | "signal" | "onProgress"> & {
    readonly onConnected?: (peer: string, tls: undefined) => void;
    readonly onSetAside?: (file: string) => void;
    /** Told that a failure has left a file that was there before without what stood in it. */
    readonly onSpoilt?: (file: string, offset: number) => void;
  },
): Promise<Sending> {
  const start = performance.now();
  if (offset === 0) checkSinkFile(path);
  const sink = offset === 0 ? fileSink(path, options) : inPlace(path, offset, options.onSpoilt);
  options.onConnected?.(`file:${path}`, undefined);
  let bytes = 0;
  try {
    for await (const chunk of source.chunks(options.context)) {
      options.signal?.throwIfAborted();
      await sink.write(chunk);
      bytes += chunk.length;
      options.onProgress?.(bytes, source.length);
    }
    await sink.commit();
  } catch (error) {
    sink.discard();
    throw error;
  }
  return { bytes, elapsed: performance.now() - start, acknowledged: "closed", file: path };
}

function inPlace(
  path: string,
  offset: number,
  onSpoilt: ((file: string, offset: number) => void) | undefined,
): StreamSink {
  let handle: Deno.FsFile;
  let isNew = false;
  let isTouched = false;
  try {
    [handle, isNew] = openInPlace(path);
    handle.seekSync(offset, Deno.SeekMode.Start);
  } catch (error) {
    throw fileError(error, path, "write");
  }
  return {
    async write(bytes) {
      isTouched = true;
      try {
        for (let done = 0; done < bytes.length;) done += await handle.write(bytes.subarray(done));
      } catch (error) {
        throw fileError(error, path, "write");
      }
    },
    async commit() {
      try {
        await handle.sync();
      } catch (error) {
        throw fileError(error, path, "write");
      }
      handle.close();
    },
    discard() {
      if (isNew) removeOwn(handle, path);
      handle.close();
      if (!isNew && isTouched) onSpoilt?.(path, offset);
    },
  };
}

/** Opens a file as it is, or makes it, and tells which. */
function openInPlace(path: string): [handle: Deno.FsFile, isNew: boolean] {
  try {
    return [Deno.openSync(path, { write: true, createNew: true, mode: 0o600 }), true];
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    return [Deno.openSync(path, { write: true, create: true, mode: 0o600 }), false];
  }
}

function removeOwn(handle: Deno.FsFile, path: string): void {
  try {
    checkNamed(handle, path);
    Deno.removeSync(path);
  } catch { /* it is another's file by now, or gone */ }
}
