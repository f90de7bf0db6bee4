/** A named pipe opened without waiting for its other side, which Deno has no call for. */

import { type Descriptor, openDescriptor } from "./descriptor.ts";
import { SystemError } from "./errno.ts";
import { cString, errno, libc } from "./libc.ts";

/** `fcntl.h`, Linux. */
const O_RDWR = 2;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;

/**
 * Opens a path for both directions, which on a named pipe waits for nobody; nothing where FFI is not
 * allowed.
 *
 * @throws {SystemError} What the kernel said.
 */
export function openBothWays(path: string): Descriptor | undefined {
  const c = libc();
  if (c === undefined) return undefined;
  const number = c.open(cString(path), O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (number < 0) throw new SystemError(errno());
  return openDescriptor(number);
}
