/** Ends a channel that is silent for too long, or that the caller has enough of. */

import type { ByteChannel } from "../engine/mod.ts";
import { MigrationError } from "./error.ts";

/** A channel under watch. */
export interface Watch extends Disposable {
  /** Notes that something moved; cheap enough for every read. */
  touch(): void;
  /** Suspends the time limit, as long as our own side is what takes the time. */
  pause(paused: boolean): void;
  /** Why the watch closed the channel, if it did. */
  readonly cause: unknown;
}

/** How long and for whom. */
export interface WatchOptions {
  /** Longest silence in ms. */
  readonly idleTimeout: number;
  readonly signal?: AbortSignal;
  /** Whether silence is no fault for now. */
  readonly maySleep?: () => boolean;
}

/** Watches until disposed; one coarse timer for all reads instead of one for each. */
export function watchChannel(
  channel: Pick<ByteChannel, "peer" | "close">,
  options: WatchOptions,
): Watch {
  const { idleTimeout, signal, maySleep } = options;
  let cause: unknown;
  let last = performance.now();
  let paused = false;
  const end = (why: unknown) => {
    cause ??= why;
    channel.close();
  };
  const timer = setInterval(() => {
    if (paused || performance.now() - last < idleTimeout || maySleep?.()) return;
    end(
      new MigrationError("PEER_SILENT", {
        peer: channel.peer,
        value: `${Math.round(idleTimeout / 1000)} s`,
      }),
    );
  }, Math.min(1000, Math.max(10, idleTimeout / 4)));
  const abort = () => end(signal?.reason);
  if (signal?.aborted) abort();
  else signal?.addEventListener("abort", abort, { once: true });
  return {
    touch: () => {
      last = performance.now();
    },
    pause: (value) => {
      paused = value;
      last = performance.now();
    },
    get cause() {
      return cause;
    },
    [Symbol.dispose]() {
      clearInterval(timer);
      signal?.removeEventListener("abort", abort);
    },
  };
}
