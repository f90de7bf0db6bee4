/** What the kernel said of the last call, in words. */

/** `errno.h`, Linux: those that callers act on. */
export const ENOENT = 2;
export const EINTR = 4;
export const EAGAIN = 11;
export const EADDRINUSE = 98;

/** strerror(3) of what descriptors and sockets give. */
const TEXTS: Readonly<Record<number, string>> = {
  1: "Operation not permitted",
  2: "No such file or directory",
  5: "Input/output error",
  9: "Bad file descriptor",
  11: "Resource temporarily unavailable",
  13: "Permission denied",
  20: "Not a directory",
  21: "Is a directory",
  22: "Invalid argument",
  23: "Too many open files in system",
  24: "Too many open files",
  27: "File too large",
  28: "No space left on device",
  29: "Illegal seek",
  30: "Read-only file system",
  32: "Broken pipe",
  98: "Address already in use",
  104: "Connection reset by peer",
  107: "Transport endpoint is not connected",
  110: "Connection timed out",
  111: "Connection refused",
  122: "Disk quota exceeded",
};

/** An error of the kernel. */
export class SystemError extends Error {
  override readonly name = "SystemError";

  /** @param errno The number, as `errno.h` has it. */
  constructor(readonly errno: number) {
    super(TEXTS[errno] ?? `error ${errno}`);
  }
}
