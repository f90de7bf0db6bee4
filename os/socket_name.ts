/** Sockets that somebody else has made: what they are called, and listening on them. */

import { SystemError } from "./errno.ts";
import { errno, libc } from "./libc.ts";

/** `sys/socket.h`, Linux. */
const [AF_UNIX, AF_INET, AF_INET6] = [1, 2, 10];
/** Room for any `struct sockaddr`, as `struct sockaddr_storage` has it. */
const MAX_NAME = 128;
const BACKLOG = 128;

/** The name of one end of a socket. */
export type SocketName =
  | { readonly kind: "inet"; readonly address: Uint8Array; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/** Gives the name of an end of a socket; nothing where it has none, or FFI is not allowed. */
export function socketName(number: number, end: "local" | "peer"): SocketName | undefined {
  const c = libc();
  const name = new Uint8Array(MAX_NAME);
  const length = new Uint8Array(new Uint32Array([MAX_NAME]).buffer);
  const failed = end === "local"
    ? c?.getsockname(number, name, length)
    : c?.getpeername(number, name, length);
  if (failed !== 0) return undefined;
  const view = new DataView(name.buffer);
  const family = view.getUint16(0, true);
  if (family === AF_UNIX) {
    const path = name.subarray(2, Math.min(MAX_NAME, new Uint32Array(length.buffer)[0]!));
    // An abstract name ends where the address does, a path at its NUL.
    const text = new TextDecoder().decode(path);
    return { kind: "unix", path: text.startsWith("\0") ? text : text.replace(/\0[^]*$/, "") };
  }
  if (family !== AF_INET && family !== AF_INET6) return undefined;
  const address = family === AF_INET ? name.slice(4, 8) : name.slice(8, 24);
  return { kind: "inet", address, port: view.getUint16(2) };
}

/**
 * Listens on a socket that is bound; does nothing where FFI is not allowed.
 *
 * @throws {SystemError} What the kernel said.
 */
export function listenOnDescriptor(number: number): void {
  const c = libc();
  if (c !== undefined && c.listen(number, BACKLOG) < 0) throw new SystemError(errno());
}
