/** A session of the library's on a byte channel, itself a byte channel. */

import { systemReason, VirtcredsError } from "../../base/mod.ts";
import type { ByteChannel } from "../byte_channel.ts";
import { EngineError } from "../error.ts";
import {
  HANDSHAKE_TIMEOUT,
  type PeerStatus,
  type SessionFacts,
  type SessionOptions,
  type TlsSession,
} from "../session.ts";
import { Connection } from "./connection.ts";
import type { GnutlsCredentials } from "./credentials.ts";
import type { Transports } from "./transport.ts";

/** Largest piece in bytes that is read from the channel at once. */
const LARGEST_INPUT = 256 * 1024;

/** Bytes that are encrypted before the channel gets them. */
const WRITE_PIECE = 128 * 1024;

/** How a session is opened, with credentials of this engine. */
type Options = SessionOptions & { readonly credentials: GnutlsCredentials };

/**
 * Makes a session and takes it through its handshake; any failure closes the channel.
 *
 * @throws {EngineError} `TLS_HANDSHAKE`, `TLS_TIMEOUT`.
 */
export async function openSession(
  transports: Transports,
  channel: ByteChannel,
  options: Options,
): Promise<TlsSession> {
  let session: GnutlsSession | undefined;
  try {
    options.signal?.throwIfAborted();
    session = new GnutlsSession(transports, channel, options);
    await withLimit(session.handshake(), channel.peer, options);
    return session;
  } catch (error) {
    session?.close();
    channel.close();
    throw error;
  }
}

async function withLimit(work: Promise<void>, peer: string, options: Options): Promise<void> {
  const { timeout = HANDSHAKE_TIMEOUT, signal } = options;
  const limit = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => limit.reject(new EngineError("TLS_TIMEOUT", { peer, value: `${timeout / 1000} s` })),
    timeout,
  );
  const abort = () => limit.reject(signal?.reason);
  signal?.addEventListener("abort", abort, { once: true });
  try {
    await Promise.race([work, limit.promise]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

class GnutlsSession implements TlsSession {
  readonly #channel: ByteChannel;
  readonly #connection: Connection;
  #facts: SessionFacts | undefined;
  #closedCleanly: boolean | undefined;
  #writeEnded = false;
  /** Runs while ciphertext is on its way to the channel. */
  #flushing: Promise<void> | undefined;
  #flushError: EngineError | undefined;
  /** The one of the two output buffers that the library is not writing to. */
  #spare: Uint8Array<ArrayBuffer> | undefined;

  constructor(transports: Transports, channel: ByteChannel, options: Options) {
    this.#channel = channel;
    this.#connection = new Connection(transports, options.credentials, options);
  }

  get peer(): string {
    return this.#channel.peer;
  }

  get facts(): SessionFacts {
    return this.#facts!;
  }

  get closedCleanly(): boolean | undefined {
    return this.#closedCleanly;
  }

  verifyPeer(): PeerStatus {
    this.#assertOpen();
    return this.#connection.verifyPeer();
  }

  async handshake(): Promise<void> {
    while (!this.#connection.shake()) {
      await this.#flush();
      try {
        this.#filled(await this.#channel.read(this.#room()));
      } catch (error) {
        throw this.#unread("TLS_HANDSHAKE", error);
      }
      this.#assertOpen();
    }
    await this.#flush();
    this.#assertOpen();
    this.#facts = this.#connection.facts();
  }

  async read(into: Uint8Array): Promise<number | null> {
    if (into.length === 0) return 0;
    for (;;) {
      this.#assertOpen();
      if (this.#closedCleanly !== undefined) return null;
      const received = this.#connection.receive(into);
      // A read may have made an answer: a key update, a renegotiation. It must not wait for it,
      // since the peer may be waiting to be read from; a failure is the next write's.
      if (this.#connection.transport.filled > 0) this.#flush().catch(() => {});
      if (typeof received === "number") return received;
      if (received === "more") {
        try {
          this.#filled(await this.#channel.read(this.#room()));
        } catch (error) {
          throw this.#unread("TLS_READ", error);
        }
      } else this.#closedCleanly = received === "closed";
    }
  }

  /** A small write has no promise but the one that flushes it: most are a key, an answer. */
  write(bytes: Uint8Array): Promise<void> {
    if (bytes.length > WRITE_PIECE) return this.#writePieces(bytes);
    try {
      this.#encrypt(bytes);
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#flush();
  }

  async #writePieces(bytes: Uint8Array): Promise<void> {
    const { transport } = this.#connection;
    for (let offset = 0; offset < bytes.length; offset += WRITE_PIECE) {
      this.#encrypt(bytes.subarray(offset, offset + WRITE_PIECE));
      const flushed = this.#flush();
      // One piece may be on its way while the next is encrypted; a third one waits.
      if (transport.filled > 0) await flushed;
      else flushed.catch(() => {});
    }
    await this.#flush();
  }

  #encrypt(bytes: Uint8Array): void {
    this.#assertWritable();
    for (let offset = 0; offset < bytes.length;) {
      offset += this.#connection.send(offset === 0 ? bytes : bytes.subarray(offset));
    }
  }

  async closeWrite(): Promise<void> {
    this.#assertOpen();
    if (this.#writeEnded) return;
    this.#writeEnded = true;
    this.#connection.finish();
    await this.#flush();
  }

  close(): void {
    this.#connection[Symbol.dispose]();
    this.#channel.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  /** Where the channel may write; only when the library has taken all that was read before. */
  #room(): Uint8Array {
    const { transport } = this.#connection;
    const full = transport.end === transport.input.length;
    if (full && transport.input.length < LARGEST_INPUT) {
      transport.input = new Uint8Array(Math.min(LARGEST_INPUT, 4 * transport.input.length));
    }
    transport.start = transport.end = 0;
    return transport.input;
  }

  /** Takes what the channel has read. */
  #filled(count: number | null): void {
    const { transport } = this.#connection;
    if (count === null) transport.ended = true;
    else transport.end = count;
  }

  /** What the channel could not read, in the terms of the session. */
  #unread(kind: "TLS_HANDSHAKE" | "TLS_READ", error: unknown): EngineError {
    return this.#connection.live ? broken(kind, error) : new EngineError("TLS_CLOSED");
  }

  /** Sends what the library has written; settles when the channel has it all. */
  #flush(): Promise<void> {
    if (this.#flushing !== undefined) return this.#flushing;
    if (this.#flushError !== undefined) return Promise.reject(this.#flushError);
    if (this.#connection.transport.filled === 0) return Promise.resolve();
    return this.#flushing = this.#drain();
  }

  async #drain(): Promise<void> {
    const { transport } = this.#connection;
    try {
      while (transport.filled > 0) {
        const { output, filled } = transport;
        transport.output = this.#spare ?? new Uint8Array(output.length);
        transport.filled = 0;
        await this.#channel.write(output.subarray(0, filled));
        this.#spare = output;
      }
    } catch (error) {
      this.#flushError = this.#connection.live
        ? broken("TLS_WRITE", error)
        : new EngineError("TLS_CLOSED", {}, { cause: error });
      throw this.#flushError;
    } finally {
      // At once, not in a later microtask: bytes written in between would be left lying.
      this.#flushing = undefined;
    }
  }

  #assertOpen(): void {
    if (!this.#connection.live) throw new EngineError("TLS_CLOSED");
  }

  #assertWritable(): void {
    if (this.#writeEnded) throw new EngineError("TLS_CLOSED");
    this.#assertOpen();
    if (this.#flushError !== undefined) throw this.#flushError;
  }
}

/** What the channel below said, in the terms of the session. */
function broken(kind: "TLS_HANDSHAKE" | "TLS_READ" | "TLS_WRITE", error: unknown): EngineError {
  const cause = error instanceof VirtcredsError
    ? error.message
    : error instanceof Error
    ? systemReason(error)
    : String(error);
  return new EngineError(kind, { cause }, { cause: error });
}
