/** A new pseudo terminal (pty(7)), which Deno has no call for. */

import { type Descriptor, openDescriptor } from "./descriptor.ts";
import { SystemError } from "./errno.ts";
import { cString, errno, libc } from "./libc.ts";

/** `fcntl.h`, `poll.h`, `termios.h`, Linux. */
const O_RDWR = 2;
const O_NOCTTY = 0o400;
const O_CLOEXEC = 0o2000000;
const POLLHUP = 0x10;
const TCSAFLUSH = 2;
/** Room for a `struct termios`, which is 60 bytes long. */
const TERMIOS = 128;

/** The controlling side of a pseudo terminal. */
export interface Pty extends Disposable {
  readonly descriptor: Descriptor;
  /** What others open: `/dev/pts/3`. */
  readonly path: string;
  /** Whether somebody has it open. */
  isOpen(): boolean;
}

/**
 * Makes a pseudo terminal whose terminal is raw; nothing where FFI is not allowed.
 *
 * @throws {SystemError} What the kernel said.
 */
export function openPty(): Pty | undefined {
  const c = libc();
  if (c === undefined) return undefined;
  const number = c.posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (number < 0) throw new SystemError(errno());
  const failed = () => {
    const error = new SystemError(errno());
    c.close(number);
    return error;
  };
  const name = new Uint8Array(64);
  if (c.grantpt(number) < 0 || c.unlockpt(number) < 0) throw failed();
  if (c.ptsname_r(number, name, BigInt(name.length)) !== 0) throw failed();
  const path = new TextDecoder().decode(name.subarray(0, name.indexOf(0)));
  const terminal = c.open(cString(path), O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (terminal < 0) throw failed();
  const settings = new Uint8Array(TERMIOS);
  if (c.tcgetattr(terminal, settings) === 0) {
    c.cfmakeraw(settings);
    c.tcsetattr(terminal, TCSAFLUSH, settings);
  }
  // Closed again, so that it shows when nobody has it open.
  c.close(terminal);
  const descriptor = openDescriptor(number)!;
  let closed = false;
  return {
    descriptor,
    path,
    isOpen() {
      if (closed) return false;
      const poll = new Uint8Array(8);
      new DataView(poll.buffer).setInt32(0, number, true);
      c.pollNow(poll, 1n, 0);
      return (new DataView(poll.buffer).getInt16(6, true) & POLLHUP) === 0;
    },
    [Symbol.dispose]() {
      closed = true;
      descriptor.close();
    },
  };
}
