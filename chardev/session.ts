/** One connection of a device, from its verification to its end. */

import type { ChardevChannel } from "./describe.ts";
import type { LocalEnd } from "./local.ts";
import type { GuestLog } from "./log.ts";
import { splice, type SpliceEnd } from "./splice.ts";
import { ESCAPE, rawTerminal } from "./terminal.ts";

/** What a connection is joined with. */
export interface SessionOptions {
  readonly local: LocalEnd;
  readonly log: GuestLog;
  /** Hears that it is joined from now on. `raw`: to a raw terminal. */
  readonly onJoined: (channel: ChardevChannel, raw: boolean) => void;
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
  const { local, log, onJoined, signal } = options;
  using terminal = rawTerminal();
  onJoined(channel, terminal.raw);
  return await splice(channel, local, {
    tls: channel.facts !== undefined,
    ...(terminal.raw ? { escape: ESCAPE } : {}),
    onReceived: log.write,
    ...(signal === undefined ? {} : { signal }),
  });
}
