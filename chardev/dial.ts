/** The dialling side of a socket chardev. */

import { connect, startTls } from "../channel/mod.ts";
import type { ByteChannel } from "../engine/mod.ts";
import type { SocketChardev } from "./options.ts";
import { explainRefusal } from "./refusal.ts";
import type { TlsPlan } from "./roles.ts";

/** How a client connects. */
export interface DialOptions {
  readonly tls?: TlsPlan;
  /** Longest time of the handshake in ms; the engine's own limit by default. */
  readonly handshakeTimeout?: number;
  readonly signal?: AbortSignal;
}

/**
 * Connects a device and verifies its peer.
 *
 * @throws {ChannelError} `CONNECT_FAILED` or `ADDRESS_UNRESOLVED` If nobody can be reached.
 * @throws {EngineError} `TLS_HANDSHAKE` or `TLS_TIMEOUT` if the handshake fails.
 * @throws {CredsError} If the peer is not who it should be.
 */
export async function dialChardev(
  chardev: SocketChardev,
  options: DialOptions = {},
): Promise<ByteChannel> {
  const { tls, handshakeTimeout, signal } = options;
  const waiting = signal === undefined ? {} : { signal };
  const raw = await connect(chardev.address, { ...waiting, noDelay: chardev.nodelay });
  if (tls === undefined) return raw;
  try {
    return await startTls(raw, {
      ...tls,
      ...waiting,
      ...(handshakeTimeout === undefined ? {} : { timeout: handshakeTimeout }),
    });
  } catch (error) {
    throw explainRefusal(error, tls);
  }
}
