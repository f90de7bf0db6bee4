/** The local side of a device: what is typed and what is shown. */

/** Bytes from and to a person or a pipe. */
export interface LocalEnd {
  /**
   * Gives the next bytes, which stay valid until the next call, or `null` at the end; one caller
   * at a time. A read that was aborted loses nothing: the next one gives what it would have given.
   *
   * @throws The reason of the signal if it aborts.
   */
  read(signal: AbortSignal): Promise<Uint8Array | null>;
  /**
   * Writes all of the bytes.
   *
   * @throws {Deno.errors.BrokenPipe} If nobody takes them any more, which ends the local side.
   */
  write(bytes: Uint8Array): Promise<void>;
}
