/** A socket device as a local end: the other side of a join. */

import { pause, unlessAborted } from "../base/mod.ts";
import type { ObjectRegistry } from "../creds/mod.ts";
import { pullReader } from "./_pull.ts";
import { backoff } from "./backoff.ts";
import type { ChardevChannel } from "./describe.ts";
import { dialChardev } from "./dial.ts";
import { isPeerFault } from "./error.ts";
import { describeEnd, sayGoodbye } from "./farewell.ts";
import { connectedName, disconnectedName } from "./filename.ts";
import { hangUp } from "./hang_up.ts";
import type { SocketChardev } from "./kinds.ts";
import type { Backend } from "./local.ts";
import { keepLog } from "./log.ts";
import { muxChannel, type MuxHandlers } from "./mux.ts";
import { planTls } from "./roles.ts";
import { type ChardevServer, serveChardev } from "./serve.ts";
import { sendTyped } from "./typed.ts";

/** What a socket tells whoever opened it; every one of them goes on. */
export interface SocketEvents {
  /** `waiting`: its name, where nothing goes on without its first client. */
  listening(address: ChardevServer["address"], waiting?: string): void;
  connected(channel: ChardevChannel): void;
  /** In words, as {@linkcode describeEnd} gives it. */
  left(how: string): void;
  /** A client was sent away, or a peer refused us. */
  refused(peer: string, error: unknown): void;
  /** It did not come up or broke, and is dialled again after `wait` ms. */
  retrying(error: unknown, wait: number): void;
  logFailed(error: unknown): void;
}

/** How a socket is opened. */
export interface SocketEndOptions {
  readonly objects: ObjectRegistry;
  readonly events: SocketEvents;
  /** Longest time of a handshake in ms. */
  readonly handshakeTimeout?: number;
  /** A server ends when its client has left and no other waits. */
  readonly once?: boolean;
  /** What the escape key does where there is one (`mux=on`). */
  readonly keys?: MuxHandlers;
  /** Gives up a device that still waits for its first client. */
  readonly signal?: AbortSignal;
}

/**
 * Opens a socket: a server serves one client after the other, a client with `reconnect` is there as
 * long as it is asked, one without is dialled at once and ends with its connection. A server with
 * `wait` is open when its first client is verified.
 *
 * What is written before the first connection waits for it; what is written between two connections
 * is dropped, as on a serial line.
 *
 * @throws {ChannelError}, {EngineError} or {CredsError} If it cannot listen, or not connect; the
 * reason of the signal if it aborts while a first client is waited for.
 */
export async function socketEnd(
  chardev: SocketChardev,
  options: SocketEndOptions,
): Promise<Backend> {
  const { objects, events, handshakeTimeout } = options;
  const plan = planTls(chardev, objects);
  const tls = plan === undefined ? {} : { tls: plan };
  const limit = handshakeTimeout === undefined ? {} : { handshakeTimeout };
  const log = keepLog(chardev, events.logFailed);
  const stop = new AbortController();
  const { signal } = stop;
  const first = Promise.withResolvers<void>();
  first.promise.catch(() => {});
  const pauses = backoff(chardev.reconnect);
  let current: ChardevChannel | undefined;
  let server: ChardevServer | undefined;
  let over = false;
  let started = 0;
  let received = 0;

  const name = () =>
    current === undefined
      ? disconnectedName(chardev, server?.address)
      : connectedName(chardev, current, server?.address);
  const dial = () => dialChardev(chardev, { ...tls, ...limit, signal });

  function join(channel: ChardevChannel): ChardevChannel {
    const joined = chardev.mux ? muxChannel(channel, options.keys) : channel;
    joined.onBreak = () => end.onBreak?.();
    [started, received] = [performance.now(), 0];
    current = joined;
    events.connected(joined);
    first.resolve();
    return joined;
  }

  /** Gives the connection there is, or the next one; nothing once there will be none. */
  async function connection(): Promise<ChardevChannel | undefined> {
    for (;;) {
      if (current !== undefined) return current;
      if (over) return undefined;
      if (server !== undefined) return join(await server.accept(signal));
      if (chardev.reconnect === 0) return undefined;
      try {
        return join(await dial());
      } catch (error) {
        if (signal.aborted || !isPeerFault(error)) throw error;
        await again(error);
      }
    }
  }

  async function again(error: unknown): Promise<void> {
    const wait = pauses.next();
    events.retrying(error, wait);
    await pause(wait, signal);
  }

  /** Tells why a connection is gone; a client that would end with it throws that instead. */
  async function leave(channel: ChardevChannel, fault?: unknown): Promise<void> {
    current = undefined;
    if (fault === undefined) await sayGoodbye(channel);
    else channel.close();
    if (signal.aborted) return;
    const end = fault === undefined
      ? { by: "peer" as const, received, sent: 0 }
      : isPeerFault(fault)
      ? { by: "fault" as const, error: fault, received, sent: 0 }
      : undefined;
    if (end === undefined) throw fault;
    const refusal = hangUp(channel, end, performance.now() - started) ?? fault;
    if (received > 0) pauses.reset();
    if (server !== undefined) {
      if (refusal === undefined) events.left(describeEnd(channel, true));
      else events.refused(channel.peer, refusal);
      over = options.once === true && refusal === undefined && server.waiting === 0;
    } else if (chardev.reconnect > 0) {
      events.left(describeEnd(channel, true));
      await again(refusal ?? `${channel.peer} has left`);
    } else if (refusal !== undefined) throw refusal;
    else events.left(describeEnd(channel, true));
  }

  const end: Backend = {
    get filename() {
      return chardev.mux ? "mux" : name();
    },
    get base() {
      return chardev.mux ? name() : undefined;
    },
    read: pullReader(async (into) => {
      try {
        for (;;) {
          const channel = current ?? await connection();
          if (channel === undefined) return null;
          let count: number | null = null;
          let fault: unknown;
          try {
            count = await channel.read(into);
          } catch (error) {
            fault = error;
          }
          if (count === null) await leave(channel, fault);
          else {
            received += count;
            log.write(into.subarray(0, count));
            return count;
          }
        }
      } catch (error) {
        if (signal.aborted) return null;
        first.reject(error);
        throw error;
      }
    }),
    async write(bytes) {
      if (current === undefined) await first.promise;
      const channel = current;
      try {
        await (channel?.facts === undefined ? channel?.write(bytes) : sendTyped(channel, bytes));
      } catch {
        // The read that is under way finds out, and tells.
        channel?.close();
      }
    },
    async connect() {
      await connection();
    },
    async endWrite() {
      await current?.closeWrite().catch(() => {});
    },
    async sendBreak() {
      await current?.sendBreak?.().catch(() => {});
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      first.reject(signal.reason);
      if (current !== undefined) await sayGoodbye(current);
      await server?.[Symbol.asyncDispose]();
      log[Symbol.dispose]();
    },
  };
  try {
    if (chardev.server) {
      server = await serveChardev(chardev, { ...tls, ...limit, onRefused: events.refused });
      events.listening(server.address, chardev.wait ? name() : undefined);
      if (chardev.wait) {
        const coming = connection();
        coming.catch(() => {});
        await unlessAborted(coming, options.signal);
      }
    } else if (chardev.reconnect === 0) join(await dial());
  } catch (error) {
    await end[Symbol.asyncDispose]();
    throw error;
  }
  return end;
}
