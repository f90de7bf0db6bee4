/**
 * The packets of multifd: what the connections beside the main one carry (QEMU
 * migration/multifd.h, version 1). All integers are big-endian.
 */

import { MigrationError } from "./error.ts";
import { MULTIFD_MAGIC } from "./stream_constants.ts";
import { NO_UUID } from "./uuid.ts";

/** The only version there is. */
export const MULTIFD_VERSION = 1;
/** Bytes of the first message on each connection. */
export const MULTIFD_INIT_BYTES = 64;
/** Bytes of a packet before its list of offsets. */
export const MULTIFD_HEADER_BYTES = 320;
/** Bytes of pages that a packet has room for (`MULTIFD_PACKET_SIZE`). */
export const MULTIFD_PACKET_BYTES = 512 * 1024;

/** Bits of a packet's flags. */
export const MultifdFlag = {
  MULTIFD_FLAG_SYNC: 1,
  MULTIFD_FLAG_ZLIB: 2,
  MULTIFD_FLAG_ZSTD: 4,
  MULTIFD_FLAG_DEVICE_STATE: 64,
} as const;

const NAME_AT = 64;
const NAME_BYTES = 256;

/** How pages are packed on the channels; the names are those of `multifd-compression`. */
export type MultifdCompression = "none" | "zlib" | "zstd";

/** What the first message says. */
export interface MultifdInit {
  /** Of the virtual machine; all zero where it has none. */
  readonly uuid: string;
  /** 0 and up. */
  readonly channel: number;
}

/** A packet's header. */
export interface MultifdHeader {
  readonly flags: number;
  /** Places in the list of offsets, 8 bytes each. */
  readonly slots: number;
  readonly normalPages: number;
  /** Pages of zeros that are listed behind the normal ones (QEMU 9.0 and later). */
  readonly zeroPages: number;
  /** Bytes of data that follow the list. */
  readonly dataBytes: number;
  /** Number of the packet over all channels. */
  readonly packet: number;
  /** Name of the RAM block. */
  readonly block: string;
}

/** Writes the first message of a channel. */
export function multifdInit({ uuid = NO_UUID, channel }: Partial<MultifdInit> & {
  readonly channel: number;
}): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(MULTIFD_INIT_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MULTIFD_MAGIC);
  view.setUint32(4, MULTIFD_VERSION);
  const digits = uuid.replaceAll("-", "").match(/../g) ?? [];
  bytes.set(digits.slice(0, 16).map((pair) => parseInt(pair, 16)), 8);
  view.setUint8(24, channel);
  return bytes;
}

/**
 * Reads the first message of a channel.
 *
 * @throws {MigrationError} `STREAM` in QEMU's words.
 */
export function readMultifdInit(bytes: Uint8Array): MultifdInit {
  const view = viewOf(bytes);
  checkMagic(view);
  const hex = [...bytes.subarray(8, 24)].map((b) => b.toString(16).padStart(2, "0")).join("");
  const uuid = hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  return { uuid, channel: view.getUint8(24) };
}

/**
 * Writes a packet's header in place.
 *
 * @param bytes At least {@linkcode MULTIFD_HEADER_BYTES} long; the list of offsets stands behind.
 */
export function writeMultifdHeader(bytes: Uint8Array, header: MultifdHeader): void {
  const view = viewOf(bytes);
  view.setUint32(0, MULTIFD_MAGIC);
  view.setUint32(4, MULTIFD_VERSION);
  view.setUint32(8, header.flags);
  view.setUint32(12, header.slots);
  view.setUint32(16, header.normalPages);
  view.setUint32(20, header.dataBytes);
  view.setUint32(24, Math.floor(header.packet / 2 ** 32));
  view.setUint32(28, header.packet % 2 ** 32);
  bytes.fill(0, 32, MULTIFD_HEADER_BYTES);
  view.setUint32(32, header.zeroPages);
  bytes.set(new TextEncoder().encode(header.block), NAME_AT);
}

/**
 * Reads a packet's header, and holds what it announces against what a packet can have.
 *
 * @param pageSize Bytes of a page of the target.
 * @param at Offset of the packet in its channel, for messages.
 * @throws {MigrationError} `STREAM` in QEMU's words; `STREAM_UNSUPPORTED` for a device's state.
 */
export function readMultifdHeader(bytes: Uint8Array, pageSize: number, at: number): MultifdHeader {
  const view = viewOf(bytes);
  checkMagic(view, at);
  const flags = view.getUint32(8);
  if (flags & MultifdFlag.MULTIFD_FLAG_DEVICE_STATE) {
    throw new MigrationError("STREAM_UNSUPPORTED", {
      cause: "it sends the state of devices over multifd",
      offset: at,
      hint: "switch x-migration-multifd-transfer off at the devices of the source",
    });
  }
  const slots = view.getUint32(12);
  const most = MULTIFD_PACKET_BYTES / pageSize;
  const bad = (text: string) => new MigrationError("STREAM", { text, offset: at });
  if (slots > most) {
    throw bad(`multifd: received packet with size ${slots} and expected a size of ${most}`);
  }
  const normalPages = view.getUint32(16);
  const zeroPages = view.getUint32(32);
  if (normalPages > slots) {
    throw bad(
      `multifd: received packet with ${normalPages} normal pages and expected maximum pages are ${slots}`,
    );
  }
  if (zeroPages > slots - normalPages) {
    throw bad(
      `multifd: received packet with ${zeroPages} zero pages and expected maximum zero pages are ${
        slots - normalPages
      }`,
    );
  }
  // Before 9.0 a packet without pages repeats the length of the one before it, and has no data.
  const dataBytes = normalPages === 0 ? 0 : view.getUint32(20);
  if (dataBytes > 2 * MULTIFD_PACKET_BYTES) {
    throw bad(`multifd: next packet size ${dataBytes} is too large`);
  }
  return {
    flags,
    slots,
    normalPages,
    zeroPages,
    dataBytes,
    packet: view.getUint32(24) * 2 ** 32 + view.getUint32(28),
    block: nameOf(bytes.subarray(NAME_AT, NAME_AT + NAME_BYTES)),
  };
}

function nameOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder("latin1").decode(end < 0 ? bytes : bytes.subarray(0, end));
}

function checkMagic(view: DataView, offset?: number): void {
  const [magic, version] = [view.getUint32(0), view.getUint32(4)];
  const facts = offset === undefined ? {} : { offset };
  if (magic !== MULTIFD_MAGIC) {
    const text = `multifd: received packet magic ${magic.toString(16)} expected ${
      MULTIFD_MAGIC.toString(16)
    }`;
    throw new MigrationError("STREAM", { text, ...facts });
  }
  if (version === MULTIFD_VERSION) return;
  throw new MigrationError("STREAM", {
    text: `multifd: received packet version ${version} expected ${MULTIFD_VERSION}`,
    ...facts,
  });
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
