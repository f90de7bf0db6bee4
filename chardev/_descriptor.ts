/** `fd=N`: a connection, or a listening socket, that whoever started the program has opened. */

import { ChannelError, descriptorChannel, passingChannel } from "../channel/mod.ts";
import type { ByteChannel } from "../engine/mod.ts";
import { acceptUnix, openDescriptor, SystemError } from "../os/mod.ts";
import { cannotOpen, NEEDS_LIBC } from "./_cannot_open.ts";
import { ChardevError } from "./error.ts";
import type { DescriptorAddress } from "./kinds.ts";

/** Descriptors are made channels of once: a second channel would close the first one's. */
const taken = new Set<number>();

/**
 * Takes a connection over.
 *
 * @throws {ChardevError} `BACKEND` If it is none, in QEMU's words.
 */
export function descriptorConnection(address: DescriptorAddress): ByteChannel {
  return descriptorChannel(takeNumber(address));
}

/** A listening socket of somebody else. */
export interface DescriptorListener extends AsyncDisposable {
  readonly address: DescriptorAddress;
  accept(): Promise<ByteChannel>;
  close(): void;
}

/**
 * Takes a listening socket over.
 *
 * @throws {ChardevError} `BACKEND` If it is none, in QEMU's words.
 */
export function descriptorListener(address: DescriptorAddress): DescriptorListener {
  const descriptor = openDescriptor(takeNumber(address));
  if (descriptor === undefined) throw cannotOpen(`fd=${address.fd}`, NEEDS_LIBC);
  let count = 0;
  return {
    address,
    async accept() {
      try {
        const accepted = await acceptUnix(descriptor);
        if (accepted === null) throw new ChannelError("CHANNEL_CLOSED");
        return passingChannel(accepted, `fd:${address.fd} client ${++count}`);
      } catch (error) {
        if (!(error instanceof SystemError)) throw error;
        throw new ChannelError("ACCEPT_FAILED", { cause: error.message }, { cause: error });
      }
    },
    close: () => descriptor.close(),
    [Symbol.asyncDispose]: () => Promise.resolve(descriptor.close()),
  };
}

function takeNumber({ fd }: DescriptorAddress): number {
  const number = Number(fd);
  if (taken.has(number) || !isSocket(number)) {
    throw new ChardevError("BACKEND", {
      text: `File descriptor '${fd}' is not a socket`,
      hint: "whoever starts this program must leave a socket open under that number",
    });
  }
  taken.add(number);
  return number;
}

function isSocket(number: number): boolean {
  try {
    return Deno.statSync(`/proc/self/fd/${number}`).isSocket === true;
  } catch {
    return false;
  }
}
