/** A listening device from its first to its last client. */

import type { ObjectRegistry } from "../creds/mod.ts";
import type { ChardevChannel } from "./describe.ts";
import { type ReadAhead, readAhead } from "./_ahead.ts";
import { isBare, refuseTls } from "./_meets_tls.ts";
import { disconnectedName } from "./filename.ts";
import { hangUp } from "./hang_up.ts";
import type { LocalEnd } from "./local.ts";
import { keepLog } from "./log.ts";
import type { SocketChardev } from "./kinds.ts";
import type { MuxHandlers } from "./mux.ts";
import { planTls } from "./roles.ts";
import { type ChardevServer, serveChardev } from "./serve.ts";
import { runSession } from "./session.ts";
import type { SpliceEnd } from "./splice.ts";
import { untilQuit } from "./until_quit.ts";

/** What a server tells whoever started it. */
export interface ServerEvents {
  /** `waiting`: its name, where nothing goes on without its first client. */
  listening(address: ChardevServer["address"], waiting?: string): void;
  /** A client was let in and is joined from now on. `raw`: to a raw terminal. */
  connected(channel: ChardevChannel, raw: boolean): void;
  left(channel: ChardevChannel, end: SpliceEnd): void;
  /** A client was sent away, or refused us before a byte was passed; the server goes on. */
  refused(peer: string, error: unknown): void;
  /** The connection of a client broke; the server goes on. */
  broken(peer: string, error: unknown): void;
  /** The log cannot be written any more; the server goes on without. */
  logFailed(error: unknown): void;
}

/** How a server runs. */
export interface RunServerOptions {
  readonly objects: ObjectRegistry;
  /** The local side, or what opens it; with `wait`, once the first client is there. */
  readonly local: LocalEnd | (() => Promise<LocalEnd>);
  readonly events: ServerEvents;
  /** Go on after the last client has left, until the local side ends. */
  readonly keep?: boolean;
  /** Longest time of a handshake in ms. */
  readonly handshakeTimeout?: number;
  /** The local side may speak TLS of its own through a device without: its first bytes pass. */
  readonly carriesTls?: boolean;
  /** What the escape key of `mux=on` does. */
  readonly keys?: MuxHandlers;
  readonly signal?: AbortSignal;
}

/**
 * Serves clients one after the other until the local side ends or, without `keep`, until a client
 * has left and no other waits. Clients that were refused, or refused us, do not count.
 *
 * @throws {ChannelError} If it cannot listen, or the connection of the last client breaks.
 * @throws {CredsError} or {ChardevError} If TLS is not set up right.
 */
export async function runServer(chardev: SocketChardev, options: RunServerOptions): Promise<void> {
  const { objects, events, local, signal } = options;
  const tls = planTls(chardev, objects);
  using log = keepLog(chardev, events.logFailed);
  await using server = await serveChardev(chardev, {
    ...(tls === undefined ? {} : { tls }),
    ...(options.handshakeTimeout === undefined
      ? {}
      : { handshakeTimeout: options.handshakeTimeout }),
    onRefused: events.refused,
  });
  const waiting = chardev.wait ? disconnectedName(chardev, server.address) : undefined;
  events.listening(server.address, waiting);
  if (typeof local !== "function") return await serve(local);
  const held = chardev.wait ? await server.accept(signal) : undefined;
  try {
    await serve(await local(), held);
  } finally {
    held?.close();
  }

  async function serve(local: LocalEnd, first?: ChardevChannel): Promise<void> {
    await untilQuit([local], signal, async (either) => {
      using ahead = readAhead(local);
      let channel = first ?? await nextClient(server, ahead, either);
      while (channel !== undefined && !await isLast(channel, ahead.local)) {
        channel = await nextClient(server, ahead, either);
      }
    });
  }

  /** Serves a client to its end; gives whether no other is served after it. */
  async function isLast(channel: ChardevChannel, local: LocalEnd): Promise<boolean> {
    if (options.carriesTls !== true && isBare(chardev)) refuseTls(channel);
    const started = performance.now();
    const end = await runSession(channel, {
      ...options,
      local,
      log,
      mux: chardev.mux,
      onJoined: events.connected,
    });
    const refusal = hangUp(channel, end, performance.now() - started);
    if (refusal !== undefined && end.sent === 0) {
      events.refused(channel.peer, refusal);
      return false;
    }
    const last = !options.keep && server.waiting === 0;
    if (end.by !== "fault") events.left(channel, end);
    else if (last) throw end.error;
    else events.broken(channel.peer, end.error);
    return last || end.by === "local" || end.by === "escape";
  }
}

/** Waits for a client; nothing once the local side has ended that gave something before. */
async function nextClient(
  server: ChardevServer,
  ahead: ReadAhead,
  signal: AbortSignal | undefined,
): Promise<ChardevChannel | undefined> {
  const stop = new AbortController();
  const accepting = server.accept(
    signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]),
  );
  const ended = ahead.ended().then(() => undefined);
  ended.catch(() => {});
  try {
    const channel = await Promise.race([accepting, ended]);
    // One that comes in the same moment is sent away.
    if (channel === undefined) accepting.then((late) => late.close(), () => {});
    return channel;
  } finally {
    stop.abort();
  }
}
