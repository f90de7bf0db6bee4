/** A dialling device, from its first connection to its last. */

import { pause } from "../base/mod.ts";
import type { ObjectRegistry } from "../creds/mod.ts";
import { isBare, refuseTls } from "./_meets_tls.ts";
import type { ChardevChannel } from "./describe.ts";
import { dialChardev } from "./dial.ts";
import { type DialKeys, dialKeys } from "./dial_keys.ts";
import { backoff } from "./backoff.ts";
import { isPeerFault } from "./error.ts";
import { hangUp, plainHangUp } from "./hang_up.ts";
import type { LocalEnd } from "./local.ts";
import { keepLog } from "./log.ts";
import type { SocketChardev } from "./kinds.ts";
import type { MuxHandlers } from "./mux.ts";
import { planTls } from "./roles.ts";
import { runSession } from "./session.ts";
import type { SpliceEnd } from "./splice.ts";
import { untilQuit } from "./until_quit.ts";

/** What a client tells whoever started it. */
export interface ClientEvents {
  /** It is joined from now on. `raw`: to a raw terminal. */
  connected(channel: ChardevChannel, raw: boolean): void;
  left(channel: ChardevChannel, end: SpliceEnd): void;
  /** With `reconnect`: it did not come up or broke, and is dialled again after `wait` ms. */
  retrying(error: unknown, wait: number): void;
  /** With `reconnect`, on a raw terminal: what is typed is dropped until it is joined. */
  dialling?(): void;
  /** The log cannot be written any more; the client goes on without. */
  logFailed(error: unknown): void;
}

/** How a client runs. */
export interface RunClientOptions {
  readonly objects: ObjectRegistry;
  readonly local: LocalEnd;
  readonly events: ClientEvents;
  /** Longest time of a handshake in ms. */
  readonly handshakeTimeout?: number;
  /** The local side may speak TLS of its own through a device without: its first bytes pass. */
  readonly carriesTls?: boolean;
  /** What the escape key of `mux=on` does. */
  readonly keys?: MuxHandlers;
  readonly signal?: AbortSignal;
}

/**
 * Connects and joins the connection with the local side until either ends; with `reconnect` the
 * end of the connection is no end, only that of the local side is. A key of the local side that
 * ends it all does so at any time.
 *
 * @throws {ChannelError}, {EngineError} or {CredsError} If it does not connect or breaks.
 * @throws {ChardevError} `HUNG_UP` if the peer ended it as one does who refuses a client.
 */
export async function runClient(chardev: SocketChardev, options: RunClientOptions): Promise<void> {
  const { local, events, signal } = options;
  using keys = dialKeys(local, () => events.dialling?.());
  await untilQuit([local, keys], signal, (either) => run(chardev, options, keys, either));
}

/** @param signal Aborts with the caller's, and at a key that ends it all. */
async function run(
  chardev: SocketChardev,
  options: RunClientOptions,
  keys: DialKeys,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { objects, events } = options;
  const tls = planTls(chardev, objects);
  using log = keepLog(chardev, events.logFailed);

  async function once(onGood: () => void): Promise<SpliceEnd["by"]> {
    const channel: ChardevChannel = await dialChardev(chardev, {
      ...(tls === undefined ? {} : { tls }),
      ...(options.handshakeTimeout === undefined
        ? {}
        : { handshakeTimeout: options.handshakeTimeout }),
      ...(signal === undefined ? {} : { signal }),
    });
    if (options.carriesTls !== true && isBare(chardev)) refuseTls(channel);
    keys.stop();
    const started = performance.now();
    const end = await runSession(channel, {
      ...options,
      log,
      mux: chardev.mux,
      onJoined: events.connected,
    });
    const refusal = hangUp(channel, end, performance.now() - started) ??
      plainHangUp(channel, end);
    if (end.received > 0) onGood();
    if (refusal !== undefined) throw refusal;
    if (end.by === "fault") throw end.error;
    events.left(channel, end);
    return end.by;
  }

  const pauses = backoff(chardev.reconnect);
  for (;;) {
    let wait: number;
    if (chardev.reconnect > 0) keys.start();
    try {
      if (await once(pauses.reset) !== "peer" || chardev.reconnect === 0) return;
      wait = pauses.next();
    } catch (error) {
      if (chardev.reconnect === 0 || signal?.aborted || !isPeerFault(error)) throw error;
      wait = pauses.next();
      events.retrying(error, wait);
    }
    keys.start();
    await pause(wait, signal);
  }
}
