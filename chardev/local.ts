/** The local side of a device: what is typed and what is shown, or what stands for them. */

/** Bytes from and to a person, a pipe, another device. */
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
  /** Tells it that nothing more is written, where that can be told. */
  endWrite?(): Promise<void>;
  /** Passes a serial break on, where that can be passed. */
  sendBreak?(): Promise<void>;
  /** Is called for each break that comes, where one can come. */
  onBreak?: () => void;
  /** Is held while it is joined to a device: a terminal is raw meanwhile. */
  attach?(): Attachment;
  /** Aborts when a key there ends it all (`Ctrl-A x`), whatever is under way. */
  readonly quit?: AbortSignal;
}

/** A local end in use. */
export interface Attachment extends Disposable {
  /** Whether it is a raw terminal, whose escape key ends the session. */
  readonly raw: boolean;
}

/** A local end that was opened and has to be closed. */
export interface Backend extends LocalEnd, AsyncDisposable {
  /** As `query-chardev` shows it: `pty:/dev/pts/3`, `file`. */
  readonly filename: string;
  /** Where it is a mux: what is below the mux, as `query-chardev` shows it. */
  readonly base?: string | undefined;
  /** Brings a connection up that nobody reads yet, where it is one that comes up. */
  connect?(): Promise<void>;
}
