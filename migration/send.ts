/** The sending end of one migration: a recorded stream or the built-in guest, into a channel. */

import { unlessLate } from "../base/mod.ts";
import type { ByteChannel } from "../engine/mod.ts";
import { isCommandFailed } from "./_read_exact.ts";
import { type Watch, watchChannel } from "./_watch.ts";
import { MigrationError } from "./error.ts";
import { IDLE_TIMEOUT } from "./receive.ts";
import { readReturnPath } from "./return_path.ts";
import type { SendContext, StreamSource } from "./stream_file.ts";

/** ms in which what the peer said before it left must arrive, once a write has failed. */
const LAST_WORDS = 1_000;
/** ms that a peer without return path may take to close by itself before we do. */
const SETTLE = 2_000;
/** ms after the peer's end in which a reset shows that it left bytes unread. */
const RESET = 50;

/** How a stream is sent. */
export interface SendOptions {
  /** Longest silence in ms; {@linkcode IDLE_TIMEOUT} by default. */
  readonly idleTimeout?: number;
  readonly signal?: AbortSignal;
  /**
   * Tells, some time after the peer's end, whether it had left bytes of ours unread. Where it is
   * absent, the way in which the peer ended has told that already.
   */
  readonly wasReset?: () => Promise<boolean>;
  /** What the stream is made with. */
  readonly context?: SendContext;
  /** Called for each chunk, with the bytes so far, and all there are where that is known. */
  readonly onProgress?: (bytes: number, total: number | undefined) => void;
  /** Called when all is written and the destination is to acknowledge it. */
  readonly onSent?: () => void;
}

/** A stream that was sent whole. */
export interface Sending {
  readonly bytes: number;
  /** ms from the first byte until the peer's answer. */
  readonly elapsed: number;
  /**
   * What is known of the destination: `shut` it has acknowledged all, `closed` it ended
   * as one does that has all, `unknown` it did not end in time. Only `shut` is its own word.
   */
  readonly acknowledged: "shut" | "closed" | "unknown";
  /** The file that has all of it on disk, where nobody is at the other end. */
  readonly file?: string;
}

/** How the peer's direction ended. */
type PeerEnd =
  | { readonly kind: "shut"; readonly value: number }
  | { readonly kind: "end" }
  | { readonly kind: "broken"; readonly error: unknown };

/**
 * Sends a stream and waits for what the destination says to it. It keeps reading while it writes:
 * with TLS 1.3 a server refuses a client only after the client's own handshake has succeeded.
 * The channel is closed in any case.
 *
 * @throws {MigrationError} `PEER_CLOSED` if the peer leaves early, `PEER_FAILED` if it reports an
 * error on the way back, `PEER_SILENT`.
 */
export async function sendStream(
  channel: ByteChannel,
  source: StreamSource,
  options: SendOptions = {},
): Promise<Sending> {
  const multifd = options.context?.multifd;
  const close = () => {
    channel.close();
    multifd?.close();
  };
  using watch = watchChannel({ peer: channel.peer, close }, {
    idleTimeout: options.idleTimeout ?? IDLE_TIMEOUT,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  try {
    return await new Sender(channel, source, options, watch).run();
  } catch (error) {
    source.abandon?.();
    throw watch.cause ?? error;
  } finally {
    close();
  }
}

class Sender {
  #sent = 0;
  #isWritten = false;
  #peerEnd: PeerEnd | undefined;
  #gone: { readonly error: unknown } | undefined;
  /** Whoever waits for something that a peer must be there for. */
  #onGone: (error: unknown) => void = () => {};
  readonly #peer: Promise<PeerEnd>;

  constructor(
    readonly channel: ByteChannel,
    readonly source: StreamSource,
    readonly options: SendOptions,
    readonly watch: Watch,
  ) {
    this.#peer = this.#listen().then((end) => this.#peerEnd = end);
  }

  async run(): Promise<Sending> {
    const start = performance.now();
    await this.#write();
    const acknowledged = await this.#acknowledgement();
    const bytes = this.#sent + (this.options.context?.multifd?.bytes ?? 0);
    return { bytes, elapsed: performance.now() - start, acknowledged };
  }

  async #write(): Promise<void> {
    const { context } = this.options;
    const chunks = iterate(this.source.chunks(context));
    // A peer that is gone must not keep stuck what is written to it, or waited for on its behalf.
    this.#peer.then((end) => {
      // One that has all may say so before our last write has told that it went well.
      if (!this.#isFinal(end) || this.#isWritten || isConsent(end)) return;
      this.#gone = { error: this.#left(end) };
      this.#onGone(this.#gone.error);
      this.channel.close();
      context?.multifd?.close();
    });
    try {
      for (;;) {
        const { value: chunk, done } = await this.#unlessGone(chunks.next());
        if (done) break;
        if (await this.#put(chunk)) continue;
        // It is done after the last chunk only.
        if (!(await this.#unlessGone(chunks.next())).done) throw this.#left(await this.#peer);
        break;
      }
      await this.#unlessGone(context?.multifd?.finish());
      this.#isWritten = true;
    } catch (error) {
      // It ends when what it waits for has settled; nobody waits for that.
      Promise.resolve(chunks.return?.()).catch(() => {});
      throw error;
    }
  }

  /** Not a race with one promise for all chunks: that one would hold on to each of them. */
  #unlessGone<T>(work: T | PromiseLike<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#onGone = reject;
      if (this.#gone !== undefined) reject(this.#gone.error);
      Promise.resolve(work).then(resolve, reject);
    });
  }

  /** Gives `false` where the destination has acknowledged everything and takes no more. */
  async #put(chunk: Uint8Array): Promise<boolean> {
    if (this.watch.cause !== undefined) throw this.watch.cause;
    if (this.#peerEnd !== undefined && this.#isFinal(this.#peerEnd)) {
      throw this.#left(this.#peerEnd);
    }
    let isTaken = true;
    try {
      await this.channel.write(chunk);
    } catch (error) {
      const end = await this.#lastWords(error);
      if (!isConsent(end)) throw this.#left(end);
      isTaken = false;
    }
    this.#sent += chunk.length;
    this.watch.touch();
    this.options.onProgress?.(
      this.#sent + (this.options.context?.multifd?.bytes ?? 0),
      this.source.length,
    );
    return isTaken;
  }

  /** Without a way back a peer may have nothing to say and still listen (`nc -l >file`). */
  #isFinal(end: PeerEnd): boolean {
    return end.kind !== "end" || this.source.returnPath;
  }

  async #acknowledgement(): Promise<Sending["acknowledged"]> {
    if (this.source.returnPath) {
      this.options.onSent?.();
      const end = await this.#peer;
      if (isConsent(end)) return "shut";
      throw this.#left(end);
    }
    let end = await unlessLate(this.#peer, SETTLE);
    if (end === undefined) {
      // What only copies bytes ends when we do; what still loads takes no harm.
      await this.channel.closeWrite();
      end = await unlessLate(this.#peer, SETTLE);
      return end?.kind === "end" ? "closed" : "unknown";
    }
    if (end.kind !== "end" || await this.#wasReset()) throw this.#left(end);
    return "closed";
  }

  async #wasReset(): Promise<boolean> {
    if (this.options.wasReset === undefined) return false;
    await new Promise((resolve) => setTimeout(resolve, RESET));
    return await this.options.wasReset();
  }

  async #listen(): Promise<PeerEnd> {
    const buffer = new Uint8Array(4096);
    const parse = readReturnPath();
    try {
      for (;;) {
        const count = await this.channel.read(buffer);
        if (count === null) return { kind: "end" };
        this.watch.touch();
        if (!this.source.returnPath) continue;
        for (const message of parse(buffer.subarray(0, count))) {
          if (message.kind === "shut") return message;
        }
      }
    } catch (error) {
      return { kind: "broken", error };
    }
  }

  /** Prefers what the peer said to the failure of our write to it. */
  async #lastWords(writeError: unknown): Promise<PeerEnd> {
    const end = await unlessLate(this.#peer, LAST_WORDS);
    return end?.kind === "shut" || end?.kind === "broken"
      ? end
      : { kind: "broken", error: writeError };
  }

  #left(end: PeerEnd): unknown {
    if (this.watch.cause !== undefined) return this.watch.cause;
    if (
      end.kind === "broken" && (end.error instanceof MigrationError || isCommandFailed(end.error))
    ) return end.error;
    const { peer } = this.channel;
    if (end.kind === "shut") {
      return new MigrationError("PEER_FAILED", {
        peer,
        text: isConsent(end)
          ? `the peer acknowledged the stream after ${this.#sent} bytes of it, before its end`
          : `RP: Sibling indicated error ${end.value}`,
        hint: "the cause is in the target's log",
      });
    }
    const { length } = this.source;
    const when = this.#isWritten
      ? "before it acknowledged the stream"
      : `after ${this.#sent}${length === undefined ? "" : ` of ${length}`} bytes`;
    const reason = end.kind === "broken" ? `: ${(end.error as Error).message}` : "";
    return new MigrationError("PEER_CLOSED", {
      peer,
      cause: when + reason,
      hint: "it refused or gave up: the cause is in the target's log",
    }, end.kind === "broken" ? { cause: end.error } : undefined);
  }
}

/** The destination has all, and the guest lives there. */
function isConsent(end: PeerEnd): boolean {
  return end.kind === "shut" && end.value === 0;
}

function iterate<T>(items: AsyncIterable<T> | Iterable<T>): AsyncIterator<T> | Iterator<T> {
  return Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
}
