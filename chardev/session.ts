/** One connection of a device, from its verification to its end. */

import type { ChardevChannel } from "./describe.ts";
import type { LocalEnd } from "./local.ts";
import type { GuestLog } from "./log.ts";
import { splice, type SpliceEnd } from "./splice.ts";
import { muxChannel, type MuxHandlers } from "./mux.ts";
import { ESCAPE } from "./terminal.ts";

/** What a connection is joined with. */
export interface SessionOptions {
  readonly local: LocalEnd;
  readonly log: GuestLog;
  /** Hears that it is joined from now on. `raw`: to a raw terminal. */
  readonly onJoined: (channel: ChardevChannel, raw: boolean) => void;
  /** Whether the peer has an escape key. */
  readonly mux?: boolean;
  /** What it does. */
  readonly keys?: MuxHandlers;
  readonly signal?: AbortSignal;
}

/**
 * Joins a connection with the local side, which, if it is a terminal, is raw until the end.
 *
 * @throws as {@linkcode splice}.
 */
export async function runSession(
  channel: ChardevChannel,
  options: SessionOptions,
): Promise<SpliceEnd> {
  const { local, log, onJoined, signal, mux = false, keys = {} } = options;
  using attached = local.attach?.() ?? { raw: false, [Symbol.dispose]() {} };
  const joined = mux ? muxChannel(channel, keys) : channel;
  joined.onBreak = () => void local.sendBreak?.();
  local.onBreak = () => void joined.sendBreak?.().catch(() => {});
  onJoined(channel, attached.raw);
  return await splice(joined, local, {
    tls: channel.facts !== undefined,
    ...(attached.raw ? { escape: ESCAPE } : {}),
    onReceived: log.write,
    ...(signal === undefined ? {} : { signal }),
  });
}
