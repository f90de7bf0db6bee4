/** Reads of a known length, from a channel that may end or break in between. */

import { VirtcredsError } from "../base/mod.ts";
import { ChannelError } from "../channel/mod.ts";
import type { ByteChannel } from "../engine/mod.ts";
import type { Watch } from "./_watch.ts";
import { MigrationError } from "./error.ts";
import { DEFAULT_PAGE_SIZE } from "./stream_constants.ts";

/** Bytes that are worth being woken for. */
const WORTH = 64 * 1024;
/** ms in which a fast source sends about as much. */
const REST = 1;

/**
 * Reads at least one byte; a channel that broke is told apart from a stream that is broken.
 *
 * @throws {MigrationError} `PEER_CLOSED` if the channel broke; else what the watch closed it for.
 * @throws {ChannelError} `COMMAND_FAILED`.
 */
export async function readSome(
  channel: ByteChannel,
  into: Uint8Array,
  watch: Watch,
): Promise<number | null> {
  try {
    const count = await channel.read(into);
    watch.touch();
    if (watch.cause !== undefined) throw watch.cause;
    return count;
  } catch (error) {
    if (watch.cause !== undefined) throw watch.cause;
    if (!(error instanceof VirtcredsError) || isCommandFailed(error)) throw error;
    throw new MigrationError("PEER_CLOSED", {
      peer: channel.peer,
      cause: `before the end of the stream: ${error.message}`,
      hint: "the cause is in the source's log",
    }, { cause: error });
  }
}

/** Whether a command of `exec:` has failed, which says that better than any word about a peer. */
export function isCommandFailed(error: unknown): boolean {
  return error instanceof ChannelError && error.code === "COMMAND_FAILED";
}

/**
 * Lets bytes gather where a read brought a few pages: a QEMU puts each of them into a record of
 * its own, and each would wake us. Less than a page is no memory, and nobody is kept waiting.
 */
export async function restAfter(count: number): Promise<void> {
  if (count < DEFAULT_PAGE_SIZE || count >= WORTH) return;
  await new Promise((resolve) => setTimeout(resolve, REST));
}

/**
 * Fills a buffer.
 *
 * @returns Bytes that came before the channel ended.
 */
export async function readFull(
  channel: ByteChannel,
  into: Uint8Array,
  watch: Watch,
): Promise<number> {
  let done = 0;
  while (done < into.length) {
    const count = await readSome(channel, into.subarray(done), watch);
    if (count === null) break;
    done += count;
    if (done < into.length) await restAfter(count);
  }
  return done;
}
