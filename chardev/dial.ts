/** The dialling side of a socket chardev. */

import { connect } from "../channel/mod.ts";
import { descriptorConnection } from "./_descriptor.ts";
import { insideTls } from "./_inside_tls.ts";
import type { ChardevChannel } from "./describe.ts";
import type { SocketChardev } from "./kinds.ts";
import { startProtocol } from "./protocol.ts";
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
): Promise<ChardevChannel> {
  const { tls, handshakeTimeout, signal } = options;
  const waiting = signal === undefined ? {} : { signal };
  const limits = {
    ...waiting,
    ...(handshakeTimeout === undefined ? {} : { timeout: handshakeTimeout }),
  };
  const raw = chardev.address.kind === "fd"
    ? descriptorConnection(chardev.address)
    : await connect(chardev.address, {
      ...waiting,
      noDelay: chardev.nodelay,
      keepAlive: chardev.keepAlive ?? false,
    });
  try {
    const channel = await insideTls(raw, tls, limits);
    return await startProtocol(channel, chardev, limits);
  } catch (error) {
    throw explainRefusal(error, tls, chardev);
  }
}
