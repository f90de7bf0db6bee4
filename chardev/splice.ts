/** A connection joined to the local side, until either side ends. */

import { pause, unlessAborted, type VirtcredsError } from "../base/mod.ts";
import type { ChardevChannel } from "./describe.ts";
import { isPeerFault } from "./error.ts";
import { grown } from "./_receive_buffer.ts";
import { sayGoodbye } from "./farewell.ts";
import type { LocalEnd } from "./local.ts";
import { sendTyped } from "./typed.ts";
import { untilQuit } from "./until_quit.ts";

/**
 * How long in ms a peer may be silent after the local input has ended before it is told, and again
 * before it is left. Telling it at once would lose its answer: QEMU hangs up on a half-close.
 */
export const QUIET = 1000;

/** How many bytes are received at once at first: most consoles never say more. */
const FIRST_BUFFER = 4 * 1024;

/** How a connection is joined. */
export interface SpliceOptions {
  /** What is sent goes through TLS, whose records an old QEMU may leave half read. */
  readonly tls?: boolean;
  /** A typed byte that ends it. */
  readonly escape?: number;
  /** Gets a copy of what is received, before the local side does. */
  readonly onReceived?: (bytes: Uint8Array) => void;
  readonly signal?: AbortSignal;
  /** {@linkcode QUIET} by default. */
  readonly quiet?: number;
}

/** Who ended it: `escape` is a key of the local side, `fault` a broken connection. */
export type SpliceCause =
  | { readonly by: "peer" | "local" | "escape" }
  | { readonly by: "fault"; readonly error: VirtcredsError };

/** How it ended, and what went through, in bytes. */
export type SpliceEnd = SpliceCause & { readonly received: number; readonly sent: number };

/**
 * Joins a connection with a local end and closes the connection at the end.
 *
 * The end of the local input is not the end at once: what the peer still sends is passed on until
 * it has been silent for `quiet`, then the peer gets the end of the stream and has as long again.
 * A local input that ends before its first byte (`</dev/null`) is no side at all: the connection
 * is only listened to, until the peer ends it. A key that ends it all does so at once. Inside TLS
 * the peer is told of every end.
 *
 * @throws What the local end throws, and the reason of the signal if it aborts.
 */
export async function splice(
  channel: ChardevChannel,
  local: LocalEnd,
  options: SpliceOptions = {},
): Promise<SpliceEnd> {
  const quiet = options.quiet ?? QUIET;
  const stop = new AbortController();
  let sent = 0;
  let received = 0;
  let heard = performance.now();
  let broken = false;

  async function receive(): Promise<"peer" | "gone"> {
    let buffer = new Uint8Array(FIRST_BUFFER);
    for (;;) {
      const count = await channel.read(buffer);
      if (count === null) return "peer";
      const bytes = buffer.subarray(0, count);
      received += count;
      heard = performance.now();
      options.onReceived?.(bytes);
      try {
        await local.write(bytes);
      } catch (error) {
        if (error instanceof Deno.errors.BrokenPipe) return "gone";
        throw error;
      }
      buffer = grown(buffer, count);
    }
  }

  async function send(): Promise<"local" | "escape"> {
    for (;;) {
      const chunk = await local.read(stop.signal);
      if (chunk === null) return "local";
      const end = options.escape === undefined ? -1 : chunk.indexOf(options.escape);
      const bytes = end < 0 ? chunk : chunk.subarray(0, end);
      await (options.tls ? sendTyped(channel, bytes) : channel.write(bytes));
      sent += bytes.length;
      if (end >= 0) return "escape";
    }
  }

  /** Waits until nothing can be received any more or the peer has been silent long enough. */
  async function listenOn(receiving: ReturnType<typeof receive>): Promise<"peer" | "local"> {
    heard = performance.now();
    for (;;) {
      const left = heard + quiet - performance.now();
      if (left <= 0) return "local";
      const timer = new AbortController();
      try {
        const silence = pause(left, timer.signal).then(() => "silence" as const);
        silence.catch(() => {});
        const end = await Promise.race([receiving, silence]);
        if (end !== "silence") return end === "gone" ? "local" : end;
      } finally {
        timer.abort();
      }
    }
  }

  async function join(): Promise<"peer" | "local" | "escape"> {
    const receiving = receive();
    const sending = send();
    for (const promise of [receiving, sending]) promise.catch(() => {});
    let by: "peer" | "gone" | "local" | "escape";
    try {
      by = await Promise.race([receiving, sending]);
    } catch (error) {
      // A peer that has gone may have left something to read.
      if (await listenOn(receiving) === "peer") return "peer";
      throw error;
    }
    if (by === "local" && sent === 0) by = await receiving;
    if (by === "gone") return "local";
    if (by !== "local") return by;
    if (await listenOn(receiving) === "peer") return "peer";
    await channel.closeWrite();
    await listenOn(receiving);
    return "local";
  }

  try {
    const by = await untilQuit([local], options.signal, (signal) =>
      unlessAborted(join(), signal)) ??
      "escape";
    return { by, received, sent };
  } catch (error) {
    if (!isPeerFault(error)) throw error;
    broken = true;
    return { by: "fault", error, received, sent };
  } finally {
    stop.abort();
    if (broken) channel.close();
    else await sayGoodbye(channel);
  }
}
