/** Where the connections of a target come from: a listener, or what is one connection itself. */

import {
  type Address,
  type DescriptorAddress,
  descriptorChannel,
  type ExecAddress,
  type FileAddress,
  type Listener,
  openFileChannel,
  startCommand,
  type Transport,
} from "../channel/mod.ts";
import type { ByteChannel } from "../engine/mod.ts";
import { descriptorNumber } from "./transport.ts";

/** What gives connections, one after the other. */
export interface Acceptor {
  readonly address: Transport;
  accept: (...options: Parameters<Listener["accept"]>) => Promise<ByteChannel>;
}

/** Starts, takes over or opens what is the only connection; disposing ends it. */
export async function onlyConnection(
  address: Exclude<Transport, Address>,
): Promise<Acceptor & AsyncDisposable> {
  const channel = await openConnection(address);
  let isTaken = false;
  return {
    address,
    accept(signal) {
      if (isTaken) return untilAborted(signal);
      isTaken = true;
      return Promise.resolve(channel);
    },
    [Symbol.asyncDispose]: () => channel[Symbol.asyncDispose](),
  };
}

async function openConnection(
  address: ExecAddress | DescriptorAddress | FileAddress,
): Promise<ByteChannel> {
  switch (address.kind) {
    case "exec":
      return startCommand(address);
    case "fd":
      return descriptorChannel(descriptorNumber(address), `fd:${address.name}`);
    case "file":
      return await openFileChannel(address);
  }
}

function untilAborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    if (signal?.aborted) reject(signal.reason);
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
