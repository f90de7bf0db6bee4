/** A descriptor as a channel: a pipe, a socket or a file that somebody else has opened. */

import type { ByteChannel } from "../engine/mod.ts";
import {
  closeDescriptor,
  type Descriptor,
  openDescriptor,
  receiveDescriptors,
  SystemError,
} from "../os/mod.ts";
import { ChannelError } from "./error.ts";

/** A descriptor as a channel, and what can be told of it without a byte. */
export interface DescriptorChannel extends ByteChannel {
  /** Whether it is open for reading. */
  readonly isReadable: boolean;
  /** Whether anybody can answer what is written to it: not a file, nor one way of a pipe. */
  readonly isAnswered: boolean;
}

/** A channel over a unix socket that descriptors may come on (SCM_RIGHTS). */
export interface PassingChannel extends ByteChannel {
  /** Takes the oldest descriptor that came and nobody has taken; it is the caller's to close. */
  takeDescriptor(): number | undefined;
}

/**
 * Takes a descriptor over, by its number: the channel closes it.
 *
 * @throws {ChannelError} `DESCRIPTOR` If there is none of that number, or FFI is not allowed.
 */
export function descriptorChannel(number: number, peer = `fd:${number}`): DescriptorChannel {
  const descriptor = takeOver(number, peer);
  const { isReadable } = descriptor;
  const info = kindOf(number);
  const isAnswered = isReadable && !(info?.isFile || info?.isFifo);
  return { ...overDescriptor(descriptor, peer), isReadable, isAnswered };
}

/** As {@linkcode descriptorChannel}, for a unix socket: descriptors that come are kept for the caller. */
export function passingChannel(socket: Descriptor, peer: string): PassingChannel {
  const buffer = new Uint8Array(4096);
  const came: number[] = [];
  let left: Uint8Array = buffer.subarray(0, 0);
  const channel = overDescriptor(socket, peer);
  const close = () => {
    channel.close();
    for (const descriptor of came.splice(0)) closeDescriptor(descriptor);
  };
  return {
    ...channel,
    takeDescriptor: () => came.shift(),
    close,
    [Symbol.asyncDispose]() {
      close();
      return Promise.resolve();
    },
    async read(into) {
      if (left.length === 0) {
        const count = await guarded(
          "CHANNEL_READ",
          peer,
          receiveDescriptors(socket, buffer, (descriptor) => came.push(descriptor)),
        );
        if (count === null || count === 0) return null;
        left = buffer.subarray(0, count);
      }
      const part = left.subarray(0, into.length);
      into.set(part);
      left = left.subarray(part.length);
      return part.length;
    },
  };
}

function takeOver(number: number, peer: string): Descriptor {
  refuseOther(number, peer);
  try {
    const descriptor = openDescriptor(number);
    if (descriptor !== undefined) return descriptor;
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    throw new ChannelError("DESCRIPTOR", {
      peer,
      cause: error.message,
      hint:
        "whoever starts this program must leave the descriptor open: `... 3<>/dev/tcp/HOST/PORT`",
    }, { cause: error });
  }
  throw new ChannelError("DESCRIPTOR", {
    peer,
    cause: "it takes the C library, and this process may not call it",
    hint: "run with --allow-ffi on Linux, or use tcp:, unix: or exec:",
  });
}

/** What has a number but no bytes, such as the descriptors that a runtime waits with. */
function refuseOther(number: number, peer: string): void {
  const info = kindOf(number);
  if (info === undefined) return;
  if (info.isSocket || info.isFifo || info.isFile || info.isCharDevice) return;
  throw new ChannelError("DESCRIPTOR", { peer, cause: "it is no socket, pipe or file" });
}

function kindOf(number: number): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(`/proc/self/fd/${number}`);
  } catch {
    return undefined;
  }
}

function overDescriptor(descriptor: Descriptor, peer: string): ByteChannel {
  let closed = false;
  const channel: ByteChannel = {
    peer,
    async read(into) {
      // Nothing comes out of what can only be written to.
      if (!descriptor.isReadable) return null;
      const count = await guarded("CHANNEL_READ", peer, descriptor.read(into));
      return count === 0 ? null : count;
    },
    async write(bytes) {
      for (let done = 0; done < bytes.length;) {
        const part = done === 0 ? bytes : bytes.subarray(done);
        const count = await guarded("CHANNEL_WRITE", peer, descriptor.write(part));
        if (count === null) throw new ChannelError("CHANNEL_CLOSED", { peer });
        done += count;
      }
    },
    closeWrite() {
      descriptor.shutdownWrite();
      return Promise.resolve();
    },
    close() {
      if (closed) return;
      closed = true;
      descriptor.close();
    },
    [Symbol.asyncDispose]() {
      channel.close();
      return Promise.resolve();
    },
  };
  return channel;
}

async function guarded<T>(
  code: "CHANNEL_READ" | "CHANNEL_WRITE",
  peer: string,
  work: Promise<T>,
): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    throw new ChannelError(code, { peer, cause: error.message }, { cause: error });
  }
}
