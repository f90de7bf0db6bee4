/** A migration into a file: QEMU's `file:PATH`, which nobody answers. */

import type { FileAddress } from "../channel/mod.ts";
import { fileError } from "../base/mod.ts";
import type { Sending, SendOptions } from "./send.ts";
import { checkSinkFile, fileSink, type StreamSink } from "./sink.ts";
import type { StreamSource } from "./stream_file.ts";

/**
 * Writes a stream to a file. Without an offset the file has its name once all is on disk, and an
 * earlier one is kept beside it; with one
 * it is written in its place, behind what somebody has put there.
 *
 * @throws {BaseError} `FILE_NOT_WRITABLE`, `FILE_NOT_FOUND`.
 */
export async function sendToFile(
  { path, offset }: FileAddress,
  source: StreamSource,
  options: Pick<SendOptions, "context" | "signal" | "onProgress"> & {
    readonly onConnected?: (peer: string, tls: undefined) => void;
    readonly onSetAside?: (file: string) => void;
  },
): Promise<Sending> {
  const start = performance.now();
  if (offset === 0) checkSinkFile(path);
  const sink = offset === 0 ? fileSink(path, options) : inPlace(path, offset);
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
  return { bytes, elapsed: performance.now() - start, acknowledged: "closed" };
}

function inPlace(path: string, offset: number): StreamSink {
  let handle: Deno.FsFile;
  try {
    handle = Deno.openSync(path, { write: true, create: true, mode: 0o600 });
    handle.seekSync(offset, Deno.SeekMode.Start);
  } catch (error) {
    throw fileError(error, path, "write");
  }
  return {
    async write(bytes) {
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
    discard: () => handle.close(),
  };
}
