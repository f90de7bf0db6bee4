/** Reading and writing a descriptor of any kind, which Deno has no call for. */

import { EAGAIN, EINTR, SystemError } from "./errno.ts";
import { errno, type Libc, libc } from "./libc.ts";

/** `fcntl.h`, `poll.h`, `sys/socket.h`, `sys/eventfd.h`. */
const F_SETFD = 2;
const FD_CLOEXEC = 1;
const F_GETFL = 3;
const F_SETFL = 4;
const O_ACCMODE = 3;
const O_WRONLY = 1;
const O_NONBLOCK = 0o4000;
const POLLIN = 1;
const POLLOUT = 4;
const SHUT_WR = 1;
const EFD_CLOEXEC = 0o2000000;

/** A descriptor that is read and written without holding up anything else. */
export interface Descriptor extends Disposable {
  readonly number: number;
  /** Whether it was opened for reading. */
  readonly isReadable: boolean;
  /**
   * Calls until it does not give EAGAIN, and waits between.
   *
   * @param call Gives what the C function gave.
   * @returns What it gave; `null` once the descriptor is closed here.
   * @throws {SystemError} What the kernel said.
   */
  perform(what: "read" | "write", call: (c: Libc, descriptor: number) => number): Promise<
    number | null
  >;
  /** Reads at least one byte; 0 at the end, `null` once it is closed here. */
  read(into: Uint8Array): Promise<number | null>;
  /** Writes some bytes; `null` once it is closed here. */
  write(bytes: Uint8Array): Promise<number | null>;
  /** Ends the direction of a socket to its peer; does nothing for what is no socket. */
  shutdownWrite(): void;
  /** Closes it; what waits gives `null`. */
  close(): void;
}

/** Closes a descriptor that nothing was made of. */
export function closeDescriptor(number: number): void {
  libc()?.close(number);
}

/**
 * Takes a descriptor over; nothing where FFI is not allowed.
 *
 * @throws {SystemError} If there is no such descriptor.
 */
export function openDescriptor(number: number): Descriptor | undefined {
  const c = libc();
  if (c === undefined) return undefined;
  const flags = c.fcntl(number, F_GETFL, 0);
  if (flags < 0) throw new SystemError(errno());
  if (c.fcntl(number, F_SETFL, flags | O_NONBLOCK) < 0) throw new SystemError(errno());
  // What is started meanwhile has no business with it.
  c.fcntl(number, F_SETFD, FD_CLOEXEC);
  const wake = c.eventfd(0, EFD_CLOEXEC);
  if (wake < 0) throw new SystemError(errno());
  return new OpenDescriptor(c, number, wake, (flags & O_ACCMODE) !== O_WRONLY);
}

class OpenDescriptor implements Descriptor {
  #closed = false;
  #waiting = 0;

  constructor(
    readonly c: Libc,
    readonly number: number,
    readonly wake: number,
    readonly isReadable: boolean,
  ) {}

  async perform(
    what: "read" | "write",
    call: (c: Libc, descriptor: number) => number,
  ): Promise<number | null> {
    while (!this.#closed) {
      const result = call(this.c, this.number);
      if (result >= 0) return result;
      const error = errno();
      if (error === EAGAIN) await this.#wait(what === "read" ? POLLIN : POLLOUT);
      else if (error !== EINTR) throw new SystemError(error);
    }
    return null;
  }

  read(into: Uint8Array): Promise<number | null> {
    return this.perform(
      "read",
      (c, descriptor) => Number(c.read(descriptor, into, BigInt(into.length))),
    );
  }

  write(bytes: Uint8Array): Promise<number | null> {
    return this.perform(
      "write",
      (c, descriptor) => Number(c.write(descriptor, bytes, BigInt(bytes.length))),
    );
  }

  shutdownWrite(): void {
    if (!this.#closed) this.c.shutdown(this.number, SHUT_WR);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#waiting === 0) return this.#release();
    // Its number must not become another file's while a thread waits for it.
    this.c.write(this.wake, new Uint8Array(new BigUint64Array([1n]).buffer), 8n);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** struct pollfd { int fd; short events; short revents; }, for it and for its end. */
  async #wait(events: number): Promise<void> {
    const polls = new Uint8Array(16);
    const view = new DataView(polls.buffer);
    view.setInt32(0, this.number, true);
    view.setInt16(4, events, true);
    view.setInt32(8, this.wake, true);
    view.setInt16(12, POLLIN, true);
    this.#waiting++;
    try {
      await this.c.poll(polls, 2n, -1);
    } finally {
      this.#waiting--;
      if (this.#closed && this.#waiting === 0) this.#release();
    }
  }

  #release(): void {
    this.c.close(this.number);
    this.c.close(this.wake);
  }
}
