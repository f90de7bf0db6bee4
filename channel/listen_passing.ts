/** Listening on a unix socket whose clients may send descriptors. */

import { acceptUnix, type Descriptor, EADDRINUSE, listenUnix, SystemError } from "../os/mod.ts";
import { checkAddress, type UnixAddress } from "./address.ts";
import { type PassingChannel, passingChannel } from "./descriptor.ts";
import { ChannelError } from "./error.ts";
import { isDeadSocket, unixError } from "./listen.ts";

/** A unix socket that waits for clients, each of which may send descriptors. */
export interface PassingListener extends Disposable {
  readonly address: UnixAddress;
  /**
   * Takes the next connection.
   *
   * @throws {ChannelError} `CHANNEL_CLOSED` If the listener is or gets closed, `ACCEPT_FAILED`.
   */
  accept(): Promise<PassingChannel>;
  /** Stops; the socket's file is gone then. */
  close(): void;
}

/**
 * Listens; nothing where FFI is not allowed. The file of a dead socket is taken over, a live one is
 * not.
 *
 * @throws {ChannelError} `LISTEN_FAILED`.
 */
export async function listenPassing(address: UnixAddress): Promise<PassingListener | undefined> {
  const { path } = checkAddress(address);
  const socket = await bind(path);
  if (socket === undefined) return undefined;
  const peer = `unix:${path.replace(/^\0/, "@")}`;
  let closed = false;
  return {
    address,
    async accept() {
      try {
        const accepted = await acceptUnix(socket);
        if (accepted !== null) return passingChannel(accepted, peer);
      } catch (error) {
        if (!(error instanceof SystemError)) throw error;
        throw new ChannelError("ACCEPT_FAILED", { cause: error.message }, { cause: error });
      }
      throw new ChannelError("CHANNEL_CLOSED");
    },
    close,
    [Symbol.dispose]: close,
  };

  function close(): void {
    if (closed) return;
    closed = true;
    socket!.close();
    if (path.startsWith("\0")) return;
    try {
      Deno.removeSync(path);
    } catch { /* It is gone, or its folder is closed to us by now. */ }
  }
}

async function bind(path: string): Promise<Descriptor | undefined> {
  try {
    return listenUnix(path);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    if (error.errno !== EADDRINUSE || !await isDeadSocket(path)) throw unixError(path, error);
  }
  try {
    Deno.removeSync(path);
    return listenUnix(path);
  } catch (error) {
    throw unixError(path, error);
  }
}
