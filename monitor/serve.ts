/** Serving a monitor where its address says: one client after the other. */

import { type Address, ChannelError, connect, listen, listenPassing } from "../channel/mod.ts";
import { pause } from "../base/mod.ts";
import type { MonitorChannel } from "./_session.ts";
import type { MonitorAddress } from "./address.ts";
import type { Monitor } from "./command.ts";
import { serveHmp } from "./hmp.ts";
import { serveQmp } from "./qmp.ts";
import { openStdio } from "./stdio.ts";

/** ms of rest after the kernel refused to accept. */
const ACCEPT_PAUSE = 200;

/** How a monitor is served. */
export interface ServeOptions {
  /** `hmp` for people, `qmp` for programs. */
  readonly mode: "hmp" | "qmp";
  readonly monitor: Monitor;
  readonly signal: AbortSignal;
  /** Called when it listens, with the real port. */
  readonly onListening?: (address: Address) => void;
}

/** A monitor that is served. */
export interface ServedMonitor {
  /**
   * Settles when the program may go on: it listens, and the first client is there if it is to wait
   * for one.
   *
   * @throws {ChannelError} `LISTEN_FAILED`, `CONNECT_FAILED`.
   */
  readonly ready: Promise<void>;
  /**
   * Settles when nobody will come any more: `eof` if standard input or the connection that was
   * dialled has ended, `stopped` by the signal. Clients of a listener come and go.
   */
  readonly ended: Promise<"eof" | "stopped">;
  /** Settles when no client is connected to a socket, at once if none is. */
  idle(): Promise<void>;
}

/**
 * Serves a monitor until the signal aborts. A socket has one client at a time; the next one waits
 * for its end, as in QEMU.
 */
export function serveMonitor(where: MonitorAddress, options: ServeOptions): ServedMonitor {
  const ready = Promise.withResolvers<void>();
  ready.promise.catch(() => {});
  const room = makeRoom();
  const ended = serve(where, options, ready.resolve, room).then((end) => {
    ready.resolve();
    return end;
  }, (error) => {
    ready.reject(error);
    if (options.signal.aborted) return "stopped" as const;
    throw error;
  });
  ended.catch(() => {});
  return { ready: ready.promise, ended, idle: room.idle };
}

/** Who is there. */
interface Room {
  idle(): Promise<void>;
  /** Notes a client as long as it is there. */
  hold<T>(visit: Promise<T>): Promise<T>;
}

function makeRoom(): Room {
  let visit: Promise<unknown> = Promise.resolve();
  return {
    idle: () => visit.then(() => {}, () => {}),
    hold(next) {
      visit = next;
      return next;
    },
  };
}

async function serve(
  where: MonitorAddress,
  options: ServeOptions,
  ready: () => void,
  room: Room,
): Promise<"eof" | "stopped"> {
  const { signal } = options;
  if (where.kind === "stdio") {
    using stdio = openStdio();
    ready();
    await talk(stdio.channel, options, stdio.isTerminal);
    return signal.aborted ? "stopped" : "eof";
  }
  if (!where.server) {
    const channel = await connect(where.address, { signal });
    ready();
    await room.hold(talk(channel, options, true));
    return signal.aborted ? "stopped" : "eof";
  }
  await using listener = await openListener(where.address, signal);
  options.onListening?.(listener.address);
  if (!where.wait) ready();
  for (;;) {
    const channel = await listener.accept();
    if (channel === undefined) return "stopped";
    ready();
    await room.hold(talk(channel, options, true));
  }
}

async function talk(
  channel: MonitorChannel,
  { mode, monitor, signal }: ServeOptions,
  edits: boolean,
): Promise<void> {
  if (mode === "qmp") await serveQmp(channel, monitor, signal);
  else await serveHmp(channel, monitor, { edits, signal });
}

interface MonitorListener extends AsyncDisposable {
  readonly address: Address;
  /** Nothing once the signal aborts. */
  accept(): Promise<MonitorChannel | undefined>;
}

/** A unix socket takes descriptors where FFI is allowed. */
async function openListener(address: Address, signal: AbortSignal): Promise<MonitorListener> {
  const passing = address.kind === "unix" ? await listenPassing(address) : undefined;
  const listener = passing ?? await listen(address);
  const close = () => listener.close();
  if (signal.aborted) close();
  else signal.addEventListener("abort", close, { once: true });
  return {
    address: listener.address,
    async accept() {
      for (;;) {
        try {
          return await listener.accept();
        } catch (error) {
          if (signal.aborted) return undefined;
          if (!(error instanceof ChannelError) || error.code !== "ACCEPT_FAILED") throw error;
          await pause(ACCEPT_PAUSE, signal);
        }
      }
    },
    [Symbol.asyncDispose]() {
      signal.removeEventListener("abort", close);
      close();
      return Promise.resolve();
    },
  };
}
