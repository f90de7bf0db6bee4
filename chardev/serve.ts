/** The listening side of a socket chardev: clients come in one at a time, verified. */

import { pause, unlessAborted } from "../base/mod.ts";
import { type Address, listen, WaitingRoom } from "../channel/mod.ts";
import type { ByteChannel } from "../engine/mod.ts";
import { descriptorListener } from "./_descriptor.ts";
import { insideTls } from "./_inside_tls.ts";
import { makeQueue } from "./_queue.ts";
import type { ChardevChannel } from "./describe.ts";
import type { DescriptorAddress, SocketChardev } from "./kinds.ts";
import { startProtocol } from "./protocol.ts";
import { explainRefusal } from "./refusal.ts";
import type { TlsPlan } from "./roles.ts";

/** Most verified clients that wait for their turn; more wait in the kernel's backlog. */
export const MAX_WAITING = 8;

/** How a server treats those who come. */
export interface ServeOptions {
  readonly tls?: TlsPlan;
  /** Longest time of a handshake in ms; the engine's own limit by default. */
  readonly handshakeTimeout?: number;
  /** Hears of each client that was sent away, and why; the server goes on. */
  readonly onRefused?: (peer: string, error: unknown) => void;
}

/** A listening device. */
export interface ChardevServer extends AsyncDisposable {
  /** Where it listens, with the real port. */
  readonly address: Address | DescriptorAddress;
  /** How many verified clients wait for their turn. */
  readonly waiting: number;
  /**
   * Gives the next client that was verified, in the order in which they were, and has not left
   * without a byte since; one caller at a time. The caller owns the channel, and serves it to its
   * end before it asks again.
   *
   * @throws The reason of the signal if it aborts, which loses no client.
   */
  accept(signal?: AbortSignal): Promise<ChardevChannel>;
  /** Stops listening and sends away all who wait. */
  close(): void;
}

/**
 * Listens for a device. Handshakes run side by side, bounded in time and in number by a
 * {@linkcode WaitingRoom}, so silent clients hold nobody up (in QEMU one would); none of them delays
 * the client that is served.
 *
 * @throws {ChannelError} `LISTEN_FAILED` or `ADDRESS_UNRESOLVED`.
 */
export async function serveChardev(
  chardev: SocketChardev,
  options: ServeOptions = {},
): Promise<ChardevServer> {
  const { tls, handshakeTimeout, onRefused } = options;
  const listener = chardev.address.kind === "fd"
    ? descriptorListener(chardev.address)
    : await listen(chardev.address, {
      noDelay: chardev.nodelay,
      keepAlive: chardev.keepAlive ?? false,
    });
  const stop = new AbortController();
  const { signal } = stop;
  const handshakes = new WaitingRoom();
  let arrival = Promise.withResolvers<void>();
  let room = Promise.withResolvers<void>();
  const waiting = makeQueue((peer, refusal) => {
    room.resolve();
    if (refusal !== undefined && !signal.aborted) onRefused?.(peer, refusal);
  });

  let goodbyes: Promise<void> | undefined;

  async function greet(raw: ByteChannel): Promise<void> {
    const shake = handshakes.enter(raw);
    try {
      const limits = {
        signal,
        ...(handshakeTimeout === undefined ? {} : { timeout: handshakeTimeout }),
      };
      const inside = await insideTls(raw, tls, limits);
      shake.verified = inside.verified ?? false;
      const channel = await startProtocol(inside, chardev, limits);
      if (signal.aborted) return channel.close();
      waiting.push(channel);
      arrival.resolve();
    } catch (error) {
      if (!signal.aborted) {
        onRefused?.(raw.peer, shake.dropped ?? explainRefusal(error, tls, chardev));
      }
    } finally {
      handshakes.leave(shake);
    }
  }

  async function letIn(): Promise<void> {
    while (!signal.aborted) {
      try {
        if (waiting.length >= MAX_WAITING) {
          room = Promise.withResolvers();
          await unlessAborted(room.promise, signal);
        } else greet(await listener.accept());
      } catch (error) {
        if (signal.aborted) return;
        // Out of descriptors or memory: that passes, and the client being served goes on.
        onRefused?.("the listener", error);
        await pause(1000, signal).catch(() => {});
      }
    }
  }

  const server: ChardevServer = {
    address: listener.address,
    get waiting() {
      return waiting.length;
    },
    async accept(caller) {
      for (;;) {
        caller?.throwIfAborted();
        const next = waiting.shift();
        if (next !== undefined) {
          room.resolve();
          return next;
        }
        arrival = Promise.withResolvers();
        await unlessAborted(unlessAborted(arrival.promise, signal), caller);
      }
    },
    close() {
      if (signal.aborted) return;
      stop.abort();
      listener.close();
      goodbyes = waiting.close();
    },
    async [Symbol.asyncDispose]() {
      server.close();
      await goodbyes;
      await listener[Symbol.asyncDispose]();
    },
  };
  letIn();
  return server;
}
