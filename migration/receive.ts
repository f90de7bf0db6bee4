/** The receiving end of one migration: a channel, through the reader, into a sink. */

import type { ByteChannel } from "../engine/mod.ts";
import { readSome, restAfter } from "./_read_exact.ts";
import { type Watch, watchChannel } from "./_watch.ts";
import { WayBack } from "./_way_back.ts";
import { MigrationError, MULTIFD_HINTS } from "./error.ts";
import type { StreamSink } from "./sink.ts";
import { readStream, type StreamReader } from "./stream_reader.ts";
import type { StreamCommand } from "./stream_command.ts";
import type { StreamSummary } from "./stream_summary.ts";

/** Bytes that are gathered before they are written: small writes cost more than they carry. */
const MERGE = 4 * 1024 * 1024;
/** Free bytes at the end of a buffer that are not worth a read. */
const LEAST_READ = 64 * 1024;
/** Longest time in ms that a source may take for its first byte. */
const FIRST_BYTE_TIMEOUT = 30_000;
/** Longest time in ms that a source may stay silent between two bytes: it may pause at the switch. */
export const IDLE_TIMEOUT = 600_000;
/** How a stream is received. */
export interface ReceiveOptions {
  /**
   * Opens the sink when the first bytes are there; a throw refuses the source.
   */
  readonly begin: () => StreamSink;
  /** Longest silence in ms; {@linkcode IDLE_TIMEOUT} by default. */
  readonly idleTimeout?: number;
  /** Longest wait for the first byte in ms; 30 s by default. */
  readonly firstByteTimeout?: number;
  readonly signal?: AbortSignal;
  /** Called for each piece, with the bytes so far. */
  readonly onProgress?: (bytes: number) => void;
}

/** A migration that was received whole. */
export interface Reception {
  readonly summary: StreamSummary;
  /** ms from the first byte until everything was stored. */
  readonly elapsed: number;
}

/**
 * Receives a stream to its end marker, stores it, and acknowledges it where the source waits for
 * that: SHUT 0 goes out only when the sink has committed. The channel is closed in any case.
 *
 * @throws {MigrationError} If the stream is broken or ends early, the source is silent or gone.
 * @throws {BaseError} If the sink cannot take it.
 */
export async function receiveStream(
  channel: ByteChannel,
  options: ReceiveOptions,
): Promise<Reception> {
  using watch = watchChannel(channel, {
    idleTimeout: options.firstByteTimeout ?? FIRST_BYTE_TIMEOUT,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  const first = new Uint8Array(LEAST_READ);
  let count: number | null;
  try {
    count = await readSome(channel, first, watch);
    if (count === null) throw noFirstByte(channel);
  } catch (error) {
    channel.close();
    throw watch.cause ?? error;
  }
  watch[Symbol.dispose]();
  return await new Receiver(channel, options).run(first.subarray(0, count));
}

class Receiver {
  readonly #reader: StreamReader;
  readonly #watch: Watch;
  /** Two buffers: one is filled while the other is written. */
  readonly #buffers = [new Uint8Array(MERGE), new Uint8Array(MERGE)] as const;
  #turn: 0 | 1 = 0;
  #filled = 0;
  /** Bytes that went to the sink. */
  #stored = 0;
  #writing: Promise<void> = Promise.resolve();
  readonly #back: WayBack;

  constructor(readonly channel: ByteChannel, readonly options: ReceiveOptions) {
    this.#back = new WayBack(channel);
    this.#reader = readStream({
      onCommand: (command) => {
        refusePostcopy(command);
        this.#back.take(command);
      },
    });
    this.#watch = watchChannel(channel, {
      idleTimeout: options.idleTimeout ?? IDLE_TIMEOUT,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
  }

  async run(first: Uint8Array): Promise<Reception> {
    using watch = this.#watch;
    const start = performance.now();
    let sink: StreamSink | undefined;
    try {
      sink = this.options.begin();
      this.#buffers[0].set(first);
      this.#take(first.length);
      while (!this.#reader.complete) await this.#receive(sink);
      refuseWithoutMemory(this.#reader.summary());
      await this.#store(sink);
      const reception = {
        summary: this.#reader.summary(),
        elapsed: performance.now() - start,
      };
      await this.#back.sayGoodbye();
      return reception;
    } catch (error) {
      if (watch.cause === undefined) await this.#back.refuse();
      // The write under way must be over before its file goes.
      await this.#writing.catch(() => {});
      sink?.discard();
      throw watch.cause ?? error;
    } finally {
      this.channel.close();
    }
  }

  async #receive(sink: StreamSink): Promise<void> {
    if (MERGE - this.#filled < LEAST_READ) await this.#flush(sink, this.#filled);
    const room = this.#buffers[this.#turn].subarray(this.#filled);
    const count = await readSome(this.channel, room, this.#watch);
    if (count === null) return void this.#reader.end();
    this.#take(count);
    if (!this.#reader.complete) await restAfter(count);
  }

  /** Lets the reader look at bytes that are in the buffer already. */
  #take(count: number): void {
    const start = this.#filled;
    this.#filled += count;
    this.#reader.push(this.#buffers[this.#turn].subarray(start, this.#filled));
    this.options.onProgress?.(this.#reader.bytes);
  }

  async #flush(sink: StreamSink, count: number): Promise<void> {
    this.#watch.pause(true);
    await this.#writing;
    this.#watch.pause(false);
    this.#writing = sink.write(this.#buffers[this.#turn].subarray(0, count));
    // Seen at the next flush; until then it is nobody's.
    this.#writing.catch(() => {});
    this.#turn = this.#turn === 0 ? 1 : 0;
    this.#stored += count;
    this.#filled = 0;
  }

  async #store(sink: StreamSink): Promise<void> {
    // What came behind the end marker is not the stream's.
    await this.#flush(sink, Math.max(0, this.#reader.bytes - this.#stored));
    this.#watch.pause(true);
    await this.#writing;
    await sink.commit();
    this.#watch.pause(false);
  }
}

/**
 * Refuses a whole stream of a guest whose memory went elsewhere: firmware alone fills pages, so one
 * that has zeros at most has sent them to connections that were refused.
 *
 * @throws {MigrationError} `STREAM`.
 */
function refuseWithoutMemory({ blocks, pages, capabilities, bytes }: StreamSummary): void {
  const hasMemory = blocks.some(({ usedLength }) => usedLength > 0);
  const filled = pages.normal + pages.xbzrle + pages.compressed;
  if (!hasMemory || filled > 0 || capabilities.includes("x-ignore-shared")) return;
  throw new MigrationError("STREAM", {
    text: "no page of the guest's memory came but zeros",
    offset: bytes,
    hint: MULTIFD_HINTS,
  });
}

/**
 * Refuses post-copy where it is announced, as QEMU does it: after the switch the guest would be
 * lost to both sides.
 *
 * @throws {MigrationError} `STREAM` in QEMU's words.
 */
export function refusePostcopy(command: StreamCommand): void {
  if (command.name !== "POSTCOPY_ADVISE" || command.length === 0) return;
  throw new MigrationError("STREAM", {
    text: `RAM postcopy is disabled but have ${command.length} byte advise`,
    hint: "switch the capability postcopy-ram off at the source",
  });
}

/** The error of a source that left before it said anything. */
export function noFirstByte(channel: ByteChannel): MigrationError {
  return new MigrationError("PEER_CLOSED", {
    peer: channel.peer,
    cause: "before the first byte",
    hint: /^(exec|fd|file):/.test(channel.peer)
      ? "it must give a whole migration's stream: `deno task migration inspect FILE` tells one"
      : "the source refused this host, its log says why: often the certificate does not carry the " +
        "name that was dialled",
  });
}
