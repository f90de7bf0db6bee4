/** Where the connections of a target come from: a listener, or what is one connection itself. */

import {
  type Address,
  ChannelError,
  type CommandChannel,
  type DescriptorAddress,
  type DescriptorChannel,
  descriptorChannel,
  type ExecAddress,
  type FileAddress,
  type Listener,
  openFileChannel,
  startCommand,
  type Transport,
} from "../channel/mod.ts";
import { unlessLate } from "../base/mod.ts";
import type { ByteChannel } from "../engine/mod.ts";
import { descriptorNumber } from "./transport.ts";

/** What gives connections, one after the other. */
export interface Acceptor {
  readonly address: Transport;
  accept: (...options: Parameters<Listener["accept"]>) => Promise<ByteChannel>;
}

/** What is one connection itself. */
export interface OnlyConnection extends Acceptor, AsyncDisposable {
  /** With what a command has failed that has given a whole stream; nothing if it has not. */
  failure(): Promise<number | undefined>;
}

/** ms that a command may take to its end behind the stream. */
const COMMAND_END = 1_000;
/** The exit code of a command that wrote on to a reader that had all: SIGPIPE. */
const READ_NO_MORE = 128 + 13;

/** Starts, takes over or opens what is the only connection; disposing ends it. */
export async function onlyConnection(
  address: Exclude<Transport, Address>,
): Promise<OnlyConnection> {
  const channel = await openConnection(address);
  let isTaken = false;
  return {
    address,
    accept(signal) {
      if (isTaken) return untilAborted(signal);
      isTaken = true;
      return Promise.resolve(channel);
    },
    async failure() {
      if (!isCommand(channel)) return undefined;
      const code = await unlessLate(channel.exit, COMMAND_END) ?? 0;
      return code === 0 || code === READ_NO_MORE ? undefined : code;
    },
    [Symbol.asyncDispose]: () => channel[Symbol.asyncDispose](),
  };
}

function isCommand(channel: ByteChannel): channel is CommandChannel {
  return "exit" in channel;
}

async function openConnection(
  address: ExecAddress | DescriptorAddress | FileAddress,
): Promise<ByteChannel> {
  switch (address.kind) {
    case "exec":
      return startCommand(address);
    case "fd":
      return readable(descriptorChannel(descriptorNumber(address), `fd:${address.name}`));
    case "file":
      return await openFileChannel(address);
  }
}

function readable(channel: DescriptorChannel): ByteChannel {
  if (channel.isReadable) return channel;
  channel.close();
  throw new ChannelError("DESCRIPTOR", {
    peer: channel.peer,
    cause: "it is open for writing only",
    hint: "7<FILE behind the command opens it for reading, 7<>/dev/tcp/HOST/PORT for both",
  });
}

function untilAborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    if (signal?.aborted) reject(signal.reason);
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
