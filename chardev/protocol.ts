/** What runs on a connection of a socket device before its data: WebSocket, telnet, both. */

import { HANDSHAKE_TIMEOUT } from "../engine/mod.ts";
import type { ChardevChannel } from "./describe.ts";
import { ChardevError } from "./error.ts";
import type { SocketChardev } from "./kinds.ts";
import { startTelnet } from "./telnet.ts";
import { startWebsocket } from "./websocket.ts";

/** How long it may take. */
export interface ProtocolOptions {
  /** In ms; `HANDSHAKE_TIMEOUT` of `engine` by default. */
  readonly timeout?: number;
  readonly signal?: AbortSignal;
}

/**
 * Takes a connection over, inside TLS where there is TLS, and gives its data; a connection without
 * a protocol of its own comes back as it is. A failure closes it.
 *
 * @throws {ChardevError} `WEBSOCKET` If the peer does not ask for one rightly, or not in time.
 */
export async function startProtocol(
  channel: ChardevChannel,
  chardev: Pick<SocketChardev, "websocket" | "telnet">,
  options: ProtocolOptions = {},
): Promise<ChardevChannel> {
  const { websocket, telnet } = chardev;
  if (!websocket && telnet === undefined) return channel;
  const { timeout = HANDSHAKE_TIMEOUT, signal } = options;
  let late = false;
  const stop = () => channel.close();
  const timer = setTimeout(() => {
    late = true;
    stop();
  }, timeout);
  signal?.addEventListener("abort", stop, { once: true });
  try {
    const inside = websocket ? await startWebsocket(channel) : channel;
    return telnet === undefined ? inside : await startTelnet(inside, telnet);
  } catch (error) {
    channel.close();
    signal?.throwIfAborted();
    if (!late) throw error;
    throw new ChardevError("WEBSOCKET", {
      peer: channel.peer,
      cause: `it did not ask for one within ${timeout / 1000} s`,
      hint: "the peer must be a WebSocket client: ws://HOST:PORT/, wss:// with TLS",
    }, { cause: error });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  }
}
