/** A recorded stream in a file: verified first, then sent as often as one likes. */

import { BaseError, fileError } from "../base/mod.ts";
import type { MigrationCapabilities } from "./capabilities.ts";
import { MigrationError } from "./error.ts";
import type { MultifdWriter } from "./multifd_writer.ts";
import type { MigrationParameters } from "./parameters.ts";
import { splitStream } from "./split_stream.ts";
import type { MigrationState } from "./state.ts";
import { readStream } from "./stream_reader.ts";
import type { StreamSummary } from "./stream_summary.ts";

/** Bytes read at a time. */
const CHUNK = 2 * 1024 * 1024;

/** What a stream is made with. */
export interface SendContext {
  /** Where pages go that do not go with the stream. */
  readonly multifd?: MultifdWriter;
  /** Kept up to date by a guest that runs. */
  readonly state?: MigrationState;
  readonly parameters?: Readonly<MigrationParameters>;
  readonly capabilities?: Readonly<MigrationCapabilities>;
  /** Told when the guest stands still. */
  readonly onStopped?: () => void;
  /** Waits until a guest that stands still may be switched over (`pause-before-switchover`). */
  readonly beforeSwitchover?: () => Promise<void>;
}

/** What can be sent. */
export interface StreamSource {
  /** Bytes up to and with the end marker, where they are known before. */
  readonly length?: number;
  /** Whether the stream opens the way back, so that the destination answers with SHUT. */
  readonly returnPath: boolean;
  readonly machine?: string;
  /** UUID of the guest, where the stream or the guest names one. */
  readonly uuid?: string;
  /** The stream from its start; a chunk is valid until the next one is asked for. */
  chunks(context?: SendContext): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  /** Told that it was not sent: a guest goes on where it was. */
  readonly abandon?: () => void;
  /** Lets a guest run, or stand still. */
  readonly run?: (running: boolean) => void;
}

/** A verified file. */
export interface StreamFile extends StreamSource, Disposable {
  readonly length: number;
  readonly summary: StreamSummary;
  /** Bytes of the file behind the end marker; they are not part of the stream. */
  readonly trailing: number;
}

/** How a file is opened. */
export interface StreamFileOptions {
  readonly signal?: AbortSignal;
  /** Called now and then with the bytes verified so far, and all there are. */
  readonly onProgress?: (bytes: number, total: number) => void;
}

/**
 * Opens a file and verifies it to its end marker: a destination that is given a broken stream
 * loses its process, so a broken one is not begun.
 *
 * @throws {MigrationError} If it is no whole stream; the file is named in the facts.
 * @throws {BaseError} `FILE_NOT_FOUND`, `FILE_NOT_READABLE`.
 */
export async function openStreamFile(
  file: string,
  options: StreamFileOptions = {},
): Promise<StreamFile> {
  const handle = openRegular(file);
  try {
    const total = handle.statSync().size;
    const reader = readStream();
    for await (const chunk of fileChunks(handle, file, total)) {
      options.signal?.throwIfAborted();
      reader.push(chunk);
      options.onProgress?.(reader.bytes, total);
      if (reader.complete) break;
    }
    const summary = reader.end();
    return {
      summary,
      trailing: total - summary.bytes,
      length: summary.bytes,
      returnPath: summary.returnPath,
      ...(summary.machine === undefined ? {} : { machine: summary.machine }),
      ...(summary.uuid === undefined ? {} : { uuid: summary.uuid }),
      chunks: ({ multifd } = {}) => {
        const chunks = fileChunks(handle, file, summary.bytes);
        return multifd === undefined ? chunks : splitStream(chunks, multifd);
      },
      [Symbol.dispose]: () => handle.close(),
    };
  } catch (error) {
    handle.close();
    throw nameFile(error, file);
  }
}

function openRegular(file: string): Deno.FsFile {
  try {
    // To open a FIFO waits for its writer, and no signal ends that.
    if (Deno.statSync(file).isFile) {
      const handle = Deno.openSync(file);
      if (handle.statSync().isFile) return handle;
      handle.close();
    }
  } catch (error) {
    throw fileError(error, file, "read");
  }
  throw new BaseError("FILE_NOT_READABLE", { file, cause: "it is not a regular file" });
}

/** Reads ahead by one chunk, into two buffers in turn. */
async function* fileChunks(
  handle: Deno.FsFile,
  file: string,
  length: number,
): AsyncGenerator<Uint8Array, void, void> {
  const buffers = [new Uint8Array(CHUNK), new Uint8Array(CHUNK)] as const;
  await handle.seek(0, Deno.SeekMode.Start);
  const read = (turn: number, left: number) => readFull(handle, file, buffers[turn & 1]!, left);
  let next = read(0, length);
  for (let turn = 0, left = length; left > 0; turn++) {
    const chunk = await next;
    left -= chunk.length;
    if (left > 0) {
      next = read(turn + 1, left);
      // Seen when it is waited for; a consumer that stops before then does not care.
      next.catch(() => {});
    }
    yield chunk;
  }
}

async function readFull(
  handle: Deno.FsFile,
  file: string,
  buffer: Uint8Array,
  left: number,
): Promise<Uint8Array> {
  const wanted = buffer.subarray(0, Math.min(buffer.length, left));
  try {
    for (let done = 0; done < wanted.length;) {
      const count = await handle.read(wanted.subarray(done));
      if (count === null) {
        throw new BaseError("FILE_NOT_READABLE", { file, cause: "it has become shorter" });
      }
      done += count;
    }
  } catch (error) {
    throw fileError(error, file, "read");
  }
  return wanted;
}

/** Puts the file's name into what the reader said. */
function nameFile(error: unknown, file: string): unknown {
  if (!(error instanceof MigrationError) || !error.code.startsWith("STREAM")) return error;
  const { hint, offset } = error.facts;
  return new MigrationError("FILE_STREAM", {
    file,
    cause: error.message,
    ...(offset === undefined ? {} : { offset }),
    ...(hint === undefined ? {} : { hint }),
  }, { cause: error });
}
