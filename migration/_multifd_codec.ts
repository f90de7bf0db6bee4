/**
 * Compression on a channel of multifd: one stream that is never ended, flushed at each packet, so
 * the state of both sides lives as long as the channel.
 */

import {
  constants,
  createDeflate,
  createInflate,
  createZstdCompress,
  createZstdDecompress,
} from "node:zlib";
import type { Transform } from "node:stream";
import { MigrationError } from "./error.ts";
import { type MultifdCompression, MultifdFlag } from "./multifd_packet.ts";

/** One direction of one channel. */
export interface MultifdCodec extends Disposable {
  /** The bits of a packet's flags that name the compression. */
  readonly flags: number;
  /**
   * Packs, or unpacks; one call at a time.
   *
   * @param size Bytes that must come out where they are unpacked.
   * @param at Offset of the packet in its channel, for messages.
   * @throws {MigrationError} `STREAM` if others come out.
   */
  run(data: Uint8Array, size: number, at?: number): Promise<Uint8Array>;
}

const FLAGS: Readonly<Record<MultifdCompression, number>> = {
  none: 0,
  zlib: MultifdFlag.MULTIFD_FLAG_ZLIB,
  zstd: MultifdFlag.MULTIFD_FLAG_ZSTD,
};

/** All bits that name a compression, also those of hardware that is not supported. */
export const COMPRESSION_FLAGS = 2 | 4 | 8 | 16 | 32;

/** Makes what packs a channel's pages; nothing where they go as they are. */
export function multifdEncoder(kind: MultifdCompression, level: number): MultifdCodec | undefined {
  if (kind === "none") return undefined;
  const stream = kind === "zlib" ? createDeflate({ level }) : createZstdCompress({
    params: { [constants.ZSTD_c_compressionLevel]: level },
  });
  const flush = kind === "zlib" ? constants.Z_SYNC_FLUSH : constants.ZSTD_e_flush;
  const output = gather(stream);
  return {
    flags: FLAGS[kind],
    async run(data) {
      await new Promise<void>((resolve, reject) => {
        output.failed = reject;
        stream.write(data);
        (stream as Transform & { flush(kind: number, done: () => void): void }).flush(
          flush,
          resolve,
        );
      });
      return output.take();
    },
    [Symbol.dispose]: () => void stream.destroy(),
  };
}

/**
 * Makes what unpacks a channel's pages; nothing where they come as they are.
 *
 * @param channel Number of the channel, for messages.
 */
export function multifdDecoder(
  kind: MultifdCompression,
  channel: number,
): MultifdCodec | undefined {
  if (kind === "none") return undefined;
  const stream = kind === "zlib" ? createInflate() : createZstdDecompress();
  // Once for all: the same listener is not added twice.
  if (kind === "zstd") globalThis.addEventListener("error", catchStray);
  const output = gather(stream);
  return {
    flags: FLAGS[kind],
    async run(data, size, at) {
      const place = at === undefined ? {} : { offset: at };
      const bad = (what: string) =>
        new MigrationError("STREAM", { text: `multifd ${channel}: ${what}`, ...place });
      await new Promise<void>((resolve, reject) => {
        const name = kind === "zlib" ? "inflate" : "decompressStream";
        const judge = () =>
          output.length === size
            ? resolve()
            : reject(bad(`${name} generated too ${output.length < size ? "few" : "much"} output`));
        output.failed = () => reject(bad(`${name} failed: the data is damaged`));
        unpacking.add(output);
        output.grown = () => {
          // A page of data can be made to unpack to a thousand.
          if (output.length > size) {
            stream.destroy();
            judge();
          }
        };
        // The data is in use until then, and what was unpacked of it may be told of a turn later.
        stream.write(data, () => output.length === size ? resolve() : void setTimeout(judge, 0));
      }).finally(() => unpacking.delete(output));
      return output.take();
    },
    [Symbol.dispose]: () => void stream.destroy(),
  };
}

/** What unpacks now. */
const unpacking = new Set<Gathered>();

/**
 * Deno throws the damage behind a first piece of output into the void, where it would end the
 * program, instead of at the stream. All that unpack then are channels of the one migration.
 */
function catchStray(event: ErrorEvent): void {
  const isOurs = event.error instanceof Error && event.error.message.startsWith(STRAY);
  if (!isOurs || unpacking.size === 0) return;
  event.preventDefault();
  for (const output of unpacking) output.failed(event.error);
}

const STRAY = "Zstd decompress error";

interface Gathered {
  length: number;
  failed: (error: unknown) => void;
  grown: () => void;
  take(): Uint8Array;
}

function gather(stream: Transform): Gathered {
  let parts: Uint8Array[] = [];
  const gathered: Gathered = {
    length: 0,
    failed: () => {},
    grown: () => {},
    take() {
      const [only] = parts;
      const whole = parts.length === 1 ? only! : new Uint8Array(gathered.length);
      if (parts.length !== 1) {
        let at = 0;
        for (const part of parts) {
          whole.set(part, at);
          at += part.length;
        }
      }
      parts = [];
      gathered.length = 0;
      return whole;
    },
  };
  stream.on("data", (part: Uint8Array) => {
    parts.push(part);
    gathered.length += part.length;
    gathered.grown();
  });
  stream.on("error", (error: unknown) => gathered.failed(error));
  return gathered;
}
