/** The first bytes of a connection: they tell what it is for. */

import type { TlsChannel } from "../channel/mod.ts";
import type { ByteChannel } from "../engine/mod.ts";
import { readFull } from "./_read_exact.ts";
import { watchChannel, type WatchOptions } from "./_watch.ts";
import { noFirstByte, type ReceiveOptions } from "./receive.ts";

/** Longest time in ms that a source may take for its first byte. */
const FIRST_BYTE_TIMEOUT = 30_000;

/**
 * Reads so many bytes; a failure closes the channel.
 *
 * @throws {MigrationError} `PEER_CLOSED` if they do not come, `PEER_SILENT` if not in time.
 */
export async function firstBytes(
  channel: ByteChannel,
  count: number,
  options: Pick<ReceiveOptions, "firstByteTimeout" | "signal"> & Pick<WatchOptions, "maySleep">,
): Promise<Uint8Array<ArrayBuffer>> {
  using watch = watchChannel(channel, {
    idleTimeout: options.firstByteTimeout ?? FIRST_BYTE_TIMEOUT,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    ...(options.maySleep === undefined ? {} : { maySleep: options.maySleep }),
  });
  const bytes = new Uint8Array(count);
  try {
    if (await readFull(channel, bytes, watch) < count) throw noFirstByte(channel);
    return bytes;
  } catch (error) {
    channel.close();
    throw watch.cause ?? error;
  }
}

/** The channel as it was before bytes were read from it. */
export function pushedBack(channel: ByteChannel, bytes: Uint8Array): ByteChannel {
  let rest = bytes;
  return readBy(channel, (into) => {
    if (rest.length === 0) return channel.read(into);
    const count = Math.min(rest.length, into.length);
    into.set(rest.subarray(0, count));
    rest = rest.subarray(count);
    return Promise.resolve(count);
  });
}

/** The channel with another way to read from it. */
export function readBy(channel: ByteChannel, read: ByteChannel["read"]): ByteChannel {
  return {
    peer: channel.peer,
    read,
    write: (bytes) => channel.write(bytes),
    closeWrite: () => channel.closeWrite(),
    close: () => channel.close(),
    [Symbol.asyncDispose]: () => channel[Symbol.asyncDispose](),
  };
}

/** What is the same for all connections of a source: the host, and who it proved to be. */
export function sourceOf(channel: ByteChannel, tls: TlsChannel | undefined): string {
  const host = channel.peer.startsWith("unix:") ? "unix" : channel.peer.replace(/:\d+$/, "");
  const { peerChain: [leaf] = [], pskIdentity = "" } = tls?.facts ?? {};
  const certificate = leaf === undefined ? "" : leaf.toHex();
  return `${host} ${pskIdentity} ${certificate}`;
}
