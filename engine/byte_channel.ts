/** The byte stream that a TLS session runs on and that it is itself; `channel/` implements it. */

/**
 * Bytes both ways, in order.
 *
 * The contract: one read and one write may be pending at once, never two of the same kind. A
 * buffer belongs to the channel from the call until its promise settles. Ends are told apart:
 * `read` gives `null` at the end of the stream and rejects when the stream broke. After `close`
 * a pending or later `write` rejects and a `read` rejects or gives `null`; `close` may be called
 * at any time, any number of times.
 */
export interface ByteChannel extends AsyncDisposable {
  /** The other side in words, for messages: `127.0.0.1:49152`, `unix:/run/x`. */
  readonly peer: string;
  /** Reads at least one byte into the buffer; gives how many, or `null` at the end. */
  read(into: Uint8Array): Promise<number | null>;
  /** Writes all of the bytes. */
  write(bytes: Uint8Array): Promise<void>;
  /** Ends this side's direction; the other one stays open. On TLS it sends close_notify. */
  closeWrite(): Promise<void>;
  /** Ends both directions at once, without a goodbye. */
  close(): void;
}
