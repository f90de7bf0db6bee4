/** The receiving end of one channel of multifd: packets in, pages out, a halt at each sync. */

import { printable } from "../base/mod.ts";
import type { ByteChannel } from "../engine/mod.ts";
import { COMPRESSION_FLAGS, multifdDecoder } from "./_multifd_codec.ts";
import { readFull } from "./_read_exact.ts";
import type { SyncGate } from "./_sync_gate.ts";
import type { Watch } from "./_watch.ts";
import { MigrationError } from "./error.ts";
import {
  MULTIFD_HEADER_BYTES,
  MULTIFD_PACKET_BYTES,
  type MultifdCompression,
  MultifdFlag,
  type MultifdHeader,
  readMultifdHeader,
} from "./multifd_packet.ts";
import type { PageSink } from "./page_sink.ts";
import type { RamBlock } from "./stream_ram.ts";

/** What a channel works with. */
export interface MultifdChannelOptions {
  /** 0 and up. */
  readonly id: number;
  readonly compression: MultifdCompression;
  /** Bytes of a page of the target. */
  readonly pageSize: number;
  /** Finds a block that the main channel has listed. */
  readonly blockOf: (name: string) => RamBlock | undefined;
  readonly sink: PageSink;
  readonly gate: SyncGate;
  readonly watch: Watch;
  /** Told of each packet. */
  readonly onPacket?: (bytes: number, header: MultifdHeader) => void;
}

/**
 * Reads packets until the channel ends.
 *
 * @returns Bytes that came.
 * @throws {MigrationError} If a packet is broken, or the channel ends within one.
 */
export async function receiveMultifdChannel(
  channel: ByteChannel,
  options: MultifdChannelOptions,
): Promise<number> {
  const { id, compression, pageSize, sink, gate, watch } = options;
  using decoder = multifdDecoder(compression, id);
  const expected = decoder?.flags ?? 0;
  const head = new Uint8Array(MULTIFD_HEADER_BYTES);
  let body = new Uint8Array(MULTIFD_PACKET_BYTES + 8 * MULTIFD_PACKET_BYTES / pageSize);
  for (let offset = 0;;) {
    const got = await readFull(channel, head, watch);
    if (got === 0) return offset;
    if (got < head.length) throw truncated(id, offset + got);
    const header = named(id, offset, () => readMultifdHeader(head, pageSize, offset));
    const { normalPages, zeroPages, slots, dataBytes, flags } = header;
    const size = 8 * slots + dataBytes;
    if (size > body.length) body = new Uint8Array(size);
    const bytes = body.subarray(0, size);
    const read = await readFull(channel, bytes, watch);
    if (read < size) throw truncated(id, offset + head.length + read);
    if (normalPages > 0) {
      const raw = bytes.subarray(8 * slots);
      if ((flags & COMPRESSION_FLAGS) !== expected) {
        throw otherCompression(id, offset, flags, expected);
      }
      const length = normalPages * pageSize;
      if (decoder === undefined && dataBytes !== length) {
        throw broken(
          id,
          offset,
          `multifd ${id}: packet size received ${dataBytes} size expected ${length}`,
        );
      }
      const data = decoder === undefined ? raw : await decoder.run(raw, length, offset);
      place(header, bytes, data, options, offset);
    } else if (zeroPages > 0) place(header, bytes, bytes.subarray(0, 0), options, offset);
    offset += head.length + size;
    options.onPacket?.(head.length + size, header);
    watch.pause(true);
    await sink.drain();
    if (flags & MultifdFlag.MULTIFD_FLAG_SYNC) await gate.arrive();
    watch.pause(false);
  }
}

function place(
  { block: name, normalPages, zeroPages }: MultifdHeader,
  list: Uint8Array,
  data: Uint8Array,
  { id, pageSize, blockOf, sink }: MultifdChannelOptions,
  at: number,
): void {
  const block = blockOf(name);
  if (block === undefined) throw broken(id, at, `multifd: unknown ram block ${printable(name)}`);
  const view = new DataView(list.buffer, list.byteOffset);
  for (let i = 0; i < normalPages + zeroPages; i++) {
    const offset = view.getUint32(8 * i) * 2 ** 32 + view.getUint32(8 * i + 4);
    if (offset > block.usedLength - pageSize || offset % pageSize !== 0) {
      throw broken(
        id,
        at,
        `multifd: offset too long ${view.getBigUint64(8 * i)} (max ${block.usedLength - pageSize})`,
      );
    }
    if (i < normalPages) sink.page(block, offset, data.subarray(i * pageSize, (i + 1) * pageSize));
    else sink.zero(block, offset, 0);
  }
}

function named<T>(id: number, at: number, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof MigrationError) || error.code !== "STREAM") throw error;
    throw broken(id, at, error.facts.text ?? "");
  }
}

function broken(id: number, offset: number, text: string): MigrationError {
  return new MigrationError("STREAM", {
    text: `failed to receive packet via multifd channel ${id}: ${text}`,
    offset,
  });
}

function truncated(id: number, offset: number): MigrationError {
  return new MigrationError("STREAM_TRUNCATED", {
    offset,
    cause: `inside a packet of multifd channel ${id}`,
  });
}

function otherCompression(
  id: number,
  offset: number,
  flags: number,
  expected: number,
): MigrationError {
  return new MigrationError("STREAM", {
    text: `multifd ${id}: flags received ${(flags & COMPRESSION_FLAGS).toString(16)} ` +
      `flags expected ${expected.toString(16)}`,
    offset,
    hint: "multifd-compression must be the same on both sides",
  });
}
