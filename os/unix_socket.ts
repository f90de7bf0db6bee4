/** Unix sockets that carry descriptors (SCM_RIGHTS, unix(7)), which Deno has no call for. */

import { type Descriptor, openDescriptor } from "./descriptor.ts";
import { SystemError } from "./errno.ts";
import { errno, libc } from "./libc.ts";

/** `sys/socket.h`, Linux. */
const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_CMSG_CLOEXEC = 0x40000000;

/** struct cmsghdr of 64 bits: `size_t cmsg_len; int cmsg_level; int cmsg_type;`. */
const CMSG_HEADER = 16;
/** Descriptors that are taken from one message; the kernel closes the others. */
const MAX_DESCRIPTORS = 16;

/**
 * Binds a unix socket and listens; nothing where FFI is not allowed.
 *
 * @param path Less than 108 bytes; one that starts with NUL is abstract.
 * @throws {SystemError} What the kernel said.
 */
export function listenUnix(path: string): Descriptor | undefined {
  const c = libc();
  if (c === undefined) return undefined;
  const number = c.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (number < 0) throw new SystemError(errno());
  const name = new TextEncoder().encode(path);
  // An abstract name ends where the address does, a path at its NUL.
  const address = new Uint8Array(2 + name.length + (path.startsWith("\0") ? 0 : 1));
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(name, 2);
  if (c.bind(number, address, address.length) < 0 || c.listen(number, 1) < 0) {
    const error = new SystemError(errno());
    c.close(number);
    throw error;
  }
  return openDescriptor(number);
}

/** Takes a connection; `null` once the listener is closed. */
export async function acceptUnix(listener: Descriptor): Promise<Descriptor | null> {
  const number = await listener.perform(
    "read",
    (c, socket) => c.accept4(socket, null, null, SOCK_CLOEXEC),
  );
  return number === null ? null : openDescriptor(number)!;
}

/**
 * Reads bytes and the descriptors that came with them.
 *
 * @param onDescriptor Called for each; it is the caller's then.
 * @returns As {@linkcode Descriptor.read}.
 */
export async function receiveDescriptors(
  socket: Descriptor,
  into: Uint8Array<ArrayBuffer>,
  onDescriptor: (descriptor: number) => void,
): Promise<number | null> {
  const control = new Uint8Array(CMSG_HEADER + MAX_DESCRIPTORS * 4);
  const message = messageHeader(into, control);
  const count = await socket.perform("read", (c, number) => {
    // What the kernel wrote over by a call before.
    new DataView(message.buffer).setBigUint64(40, BigInt(control.length), true);
    return Number(c.recvmsg(number, message, MSG_CMSG_CLOEXEC));
  });
  if (count !== null && count > 0) {
    const length = Number(new DataView(message.buffer).getBigUint64(40, true));
    for (const descriptor of descriptorsIn(control.subarray(0, length))) onDescriptor(descriptor);
  }
  return count;
}

/** struct msghdr of 64 bits, with one piece of data and room for control messages. */
function messageHeader(
  data: Uint8Array<ArrayBuffer>,
  control: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  const address = (bytes: Uint8Array<ArrayBuffer>) =>
    BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes)));
  const piece = new BigUint64Array([address(data), BigInt(data.length)]);
  const header = new BigUint64Array([
    0n,
    0n,
    address(new Uint8Array(piece.buffer)),
    1n,
    address(control),
    BigInt(control.length),
    0n,
  ]);
  const bytes = new Uint8Array(header.buffer);
  // The pieces must live as long as the header that points at them.
  KEPT.set(bytes, piece);
  return bytes;
}

const KEPT = new WeakMap<Uint8Array, BigUint64Array>();

function descriptorsIn(control: Uint8Array): number[] {
  const view = new DataView(control.buffer, control.byteOffset, control.byteLength);
  const found: number[] = [];
  for (let at = 0; at + CMSG_HEADER <= control.length;) {
    const length = Number(view.getBigUint64(at, true));
    if (length < CMSG_HEADER) break;
    const isRights = view.getInt32(at + 8, true) === SOL_SOCKET &&
      view.getInt32(at + 12, true) === SCM_RIGHTS;
    const end = Math.min(at + length, control.length);
    for (let i = at + CMSG_HEADER; isRights && i + 4 <= end; i += 4) {
      found.push(view.getInt32(i, true));
    }
    at += Math.ceil(length / 8) * 8;
  }
  return found;
}
