/** The sending end of multifd: pages on N channels, a sync on all of them. */

import type { ByteChannel } from "../engine/mod.ts";
import { type MultifdCodec, multifdEncoder } from "./_multifd_codec.ts";
import { MigrationError } from "./error.ts";
import {
  MULTIFD_HEADER_BYTES,
  MULTIFD_PACKET_BYTES,
  type MultifdCompression,
  MultifdFlag,
  writeMultifdHeader,
} from "./multifd_packet.ts";
import { DEFAULT_PAGE_SIZE } from "./stream_constants.ts";

/** How pages are sent. */
export interface MultifdSettings {
  /** Connections beside the main one. */
  readonly channels: number;
  readonly compression: MultifdCompression;
  readonly level: number;
  /** Whether packets list pages of zeros too, as QEMU's do from 9.0 on. */
  readonly zeroPages: boolean;
  /** Whether a word of its own halts the channels, and not the end of each section. */
  readonly flushWord: boolean;
}

/** Whether a machine type's QEMU halts its channels at a word of its own: those from 8.1 on do. */
export function flushesByWord(machine: string | undefined): boolean {
  const [, major, minor] = /-(\d+)\.(\d+)$/.exec(machine ?? "") ?? [];
  return Number(major) > 8 || (Number(major) === 8 && Number(minor) >= 1);
}

/** Pages that one packet has room for. */
export const PAGES_PER_PACKET = MULTIFD_PACKET_BYTES / DEFAULT_PAGE_SIZE;
const LIST = 8 * PAGES_PER_PACKET;
const DATA = MULTIFD_HEADER_BYTES + LIST;

/** Copies the bytes of a page to a place in a buffer. */
export type CopyPage = (offset: number, into: Uint8Array, view: DataView, at: number) => void;

/** The error of a channel that the peer has dropped. */
export function channelLost(
  { peer }: Pick<ByteChannel, "peer">,
  id: number,
  error?: unknown,
): MigrationError {
  const reason = error instanceof Error ? `: ${error.message}` : "";
  return new MigrationError("PEER_CLOSED", {
    peer,
    cause: `of multifd channel ${id} to ${peer} before the end of the stream${reason}`,
    hint: [
      "multifd and multifd-channels must be the same there; its log says why it refused",
      "a QEMU with -uuid takes channels of its own guest alone: --guest-uuid UUID",
    ],
  }, { cause: error });
}

interface Lane {
  readonly id: number;
  readonly channel: ByteChannel;
  readonly codec: MultifdCodec | undefined;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView;
  /** Settles when the lane is free. */
  busy: Promise<void> | undefined;
}

/** Sends pages; whoever uses it awaits each call before the next. */
export class MultifdWriter {
  /** Bytes that went out. */
  bytes = 0;
  readonly #lanes: readonly Lane[];
  #turn = 0;
  #packet = 0;
  #failure: { readonly error: unknown } | undefined;
  #finished = false;

  /** @param channels Connections whose first messages have been sent. */
  constructor(channels: readonly ByteChannel[], readonly settings: MultifdSettings) {
    const { compression, level } = settings;
    this.#lanes = channels.map((channel, id) => {
      const bytes = new Uint8Array(DATA + MULTIFD_PACKET_BYTES);
      const lane: Lane = {
        id,
        channel,
        codec: multifdEncoder(compression, level),
        bytes,
        view: new DataView(bytes.buffer),
        busy: undefined,
      };
      this.#listen(channel, id);
      return lane;
    });
  }

  /**
   * Sends pages of a block; their bytes are copied before it returns.
   *
   * @param offsets Of pages with bytes, in bytes within the block.
   * @param zeros Of pages of zeros.
   * @throws {MigrationError} `PEER_CLOSED` if a channel broke.
   */
  async send(
    block: string,
    offsets: readonly number[],
    zeros: readonly number[],
    copy: CopyPage,
  ): Promise<void> {
    const lane = await this.#free();
    const { bytes, view } = lane;
    let at = MULTIFD_HEADER_BYTES;
    for (const list of [offsets, zeros]) {
      for (const offset of list) {
        view.setUint32(at, Math.floor(offset / 2 ** 32));
        view.setUint32(at + 4, offset % 2 ** 32);
        at += 8;
      }
    }
    for (let i = 0; i < offsets.length; i++) {
      copy(offsets[i]!, bytes, view, DATA + i * DEFAULT_PAGE_SIZE);
    }
    const size = offsets.length * DEFAULT_PAGE_SIZE;
    this.#occupy(lane, async () => {
      const packed = size === 0
        ? undefined
        : await lane.codec?.run(bytes.subarray(DATA, DATA + size), size);
      this.#header(lane, {
        flags: packed === undefined ? 0 : lane.codec!.flags,
        normalPages: offsets.length,
        zeroPages: zeros.length,
        dataBytes: packed?.length ?? size,
        block,
      });
      await this.#write(lane, bytes.subarray(0, packed === undefined ? DATA + size : DATA));
      if (packed !== undefined) await this.#write(lane, packed);
    });
  }

  /** Has each channel say that all pages so far are sent. */
  async sync(): Promise<void> {
    for (const lane of this.#lanes) {
      await lane.busy;
      this.#occupy(lane, async () => {
        const flags = MultifdFlag.MULTIFD_FLAG_SYNC;
        this.#header(lane, { flags, normalPages: 0, zeroPages: 0, dataBytes: 0, block: "" });
        await this.#write(lane, lane.bytes.subarray(0, DATA));
      });
    }
    this.#check();
  }

  /** Ends the channels with a goodbye, which a QEMU from 10.0 on waits for. */
  async finish(): Promise<void> {
    this.#finished = true;
    await Promise.all(this.#lanes.map(({ busy }) => busy));
    this.#check();
    await Promise.allSettled(this.#lanes.map(({ channel }) => channel.closeWrite()));
  }

  close(): void {
    this.#finished = true;
    for (const { channel, codec } of this.#lanes) {
      codec?.[Symbol.dispose]();
      channel.close();
    }
  }

  async #free(): Promise<Lane> {
    for (;;) {
      this.#check();
      for (let i = 0; i < this.#lanes.length; i++) {
        const lane = this.#lanes[(this.#turn + i) % this.#lanes.length]!;
        if (lane.busy !== undefined) continue;
        this.#turn = (this.#turn + i + 1) % this.#lanes.length;
        return lane;
      }
      await Promise.race(this.#lanes.map(({ busy }) => busy));
    }
  }

  /** Work on a lane never rejects: what went wrong is everybody's. */
  #occupy(lane: Lane, work: () => Promise<void>): void {
    const busy = work().catch((error) => {
      this.#failure ??= { error };
    }).then(() => {
      if (lane.busy === busy) lane.busy = undefined;
    });
    lane.busy = busy;
  }

  #header(lane: Lane, header: {
    readonly flags: number;
    readonly normalPages: number;
    readonly zeroPages: number;
    readonly dataBytes: number;
    readonly block: string;
  }): void {
    writeMultifdHeader(lane.bytes, {
      slots: PAGES_PER_PACKET,
      packet: this.#packet++,
      ...header,
    });
  }

  async #write(lane: Lane, bytes: Uint8Array): Promise<void> {
    await lane.channel.write(bytes).catch((error) => {
      throw channelLost(lane.channel, lane.id, error);
    });
    this.bytes += bytes.length;
  }

  /** With TLS 1.3 a server refuses a client only after the client's own handshake. */
  async #listen(channel: ByteChannel, id: number): Promise<void> {
    let lost: unknown;
    try {
      const bytes = new Uint8Array(64);
      while (await channel.read(bytes) !== null);
    } catch (error) {
      lost = error;
    }
    if (this.#finished) return;
    this.#failure ??= { error: channelLost(channel, id, lost) };
    // Whoever waits for a lane must not wait for ever.
    for (const lane of this.#lanes) lane.channel.close();
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
