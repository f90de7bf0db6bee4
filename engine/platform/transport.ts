/** A byte channel as the Duplex that node:tls wants to stand on. */

import { Duplex } from "node:stream";
import type { ByteChannel } from "../byte_channel.ts";

/** Bytes that are asked of the raw channel at once. */
const CHUNK = 64 * 1024;

/** The raw channel below a session. */
export interface Transport {
  readonly stream: Duplex;
  /** Whether the raw channel has ended. */
  readonly ended: boolean;
  /** Reads on after {@linkcode TransportOwner.wanted} has said no. */
  resume(): void;
  /** Waits until all that node:tls has to send is written. */
  flushed(): Promise<void>;
}

/** Who decides about a transport. */
export interface TransportOwner {
  /**
   * Whether more bytes may be read. This is the back-pressure: node:tls loses the end of a stream
   * that was ever paused, so it never is, and the raw channel is left unread instead.
   */
  wanted(): boolean;
  /** The raw channel ended. */
  ended(): void;
  /** The raw channel broke. */
  broken(error: unknown, doing: "read" | "write"): void;
}

/** Takes a raw channel over. */
export function transport(raw: ByteChannel, owner: TransportOwner): Transport {
  let buffer = new Uint8Array(CHUNK);
  let [reading, ended, writing] = [false, false, 0];

  async function pump(): Promise<void> {
    if (reading || ended) return;
    reading = true;
    try {
      while (owner.wanted() && stream.readableLength === 0 && !stream.destroyed) {
        const count = await raw.read(buffer);
        if (count === null) return finish();
        stream.push(buffer.subarray(0, count));
        // node:tls copies the bytes at once while it flows, and the buffer is free again.
        if (stream.readableLength > 0) buffer = new Uint8Array(CHUNK);
      }
    } catch (error) {
      owner.broken(error, "read");
    } finally {
      reading = false;
    }
  }

  function finish(): void {
    // A close_notify among the last bytes is announced in a later turn. Whether it came before
    // this end is what tells it from a truncation.
    setTimeout(() => {
      ended = true;
      if (!stream.destroyed) stream.push(null);
      owner.ended();
    });
  }

  const stream = new Duplex({
    allowHalfOpen: true,
    read: () => void pump(),
    write(chunk, _encoding, done) {
      writing++;
      raw.write(chunk).then(() => {
        writing--;
        done();
      }, (error) => {
        writing--;
        owner.broken(error, "write");
        done(error);
      });
    },
    destroy(_error, done) {
      raw.close();
      // The owner has heard of the error already.
      done(null);
    },
  });

  return {
    stream,
    get ended() {
      return ended;
    },
    resume: () => void pump(),
    async flushed() {
      // node:tls hands on what it has to send in a later microtask, piece by piece.
      do {
        await new Promise((resolve) => setTimeout(resolve));
      } while (writing > 0 && !stream.destroyed);
    },
  };
}
