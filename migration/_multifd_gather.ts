/** Channels of multifd that have come and wait for the main connection of their source. */

import type { ByteChannel } from "../engine/mod.ts";
import { MigrationError } from "./error.ts";
import type { MultifdInit } from "./multifd_packet.ts";

/** Longest time in ms from a source's first channel to its last one. */
const GATHER_TIMEOUT = 30_000;
/** Longest time in ms from a source's main connection to its first channel: it opens both at once. */
const FIRST_CHANNEL_TIMEOUT = 10_000;
/** Sources whose channels wait at once; the oldest makes room. */
const MAX_SOURCES = 16;

interface Group {
  readonly channels: (ByteChannel | undefined)[];
  uuid?: string;
  count: number;
  readonly all: PromiseWithResolvers<ByteChannel[]>;
  timer?: ReturnType<typeof setTimeout>;
}

/** What has come so far, by the source that it came from. */
export class MultifdGathering implements Disposable {
  readonly #groups = new Map<string, Group>();

  /**
   * @param count Channels that each source must open.
   * @param patience Longest silence in ms, where it is shorter than what is waited for otherwise.
   */
  constructor(readonly count: number, readonly patience: number = GATHER_TIMEOUT) {}

  /** Whether all channels of a source are there. */
  isWhole(source: string): boolean {
    return this.#groups.get(source)?.count === this.count;
  }

  /**
   * Takes a channel, which is the gathering's until its source's main connection has it.
   *
   * @param source What is the same for all connections of one source, and of no other.
   * @throws {MigrationError} `STREAM` in QEMU's words if the channel does not belong here.
   */
  join(source: string, { channel: id, uuid }: MultifdInit, channel: ByteChannel): void {
    const group = this.#group(source);
    const bad = (text: string, hint?: string) =>
      new MigrationError("STREAM", {
        text: `failed to receive packet via multifd channel ${id}: ${text}`,
        offset: 0,
        ...(hint === undefined ? {} : { hint }),
      });
    if (id >= this.count) {
      throw bad(
        `multifd: received channel id ${id} is greater than number of channels ${this.count}`,
        "multifd-channels must be the same on both sides",
      );
    }
    if (group.uuid !== undefined && group.uuid !== uuid) {
      throw bad(
        `multifd: received uuid '${uuid}' and expected uuid '${group.uuid}' for channel ${id}`,
      );
    }
    if (group.channels[id] !== undefined) throw bad(`multifd: received id '${id}' already setup'`);
    group.uuid = uuid;
    group.channels[id] = channel;
    if (++group.count === this.count) group.all.resolve(group.channels as ByteChannel[]);
  }

  /**
   * Waits for all channels of a source, which belong to the caller then.
   *
   * @throws {MigrationError} `REFUSED` if none comes, `PEER_CLOSED` if not all of them come.
   */
  async take(source: string): Promise<ByteChannel[]> {
    const group = this.#group(source);
    const limit = Math.min(FIRST_CHANNEL_TIMEOUT, this.patience);
    const first = setTimeout(() => {
      if (group.count === 0) this.drop(source, noChannel(limit));
    }, limit);
    const channels = await group.all.promise.finally(() => clearTimeout(first));
    clearTimeout(group.timer);
    if (this.#groups.get(source) === group) this.#groups.delete(source);
    return channels;
  }

  /** Closes the channels of a source whose main connection did not come to anything. */
  drop(source: string, cause: unknown): void {
    const group = this.#groups.get(source);
    if (group === undefined) return;
    this.#groups.delete(source);
    clearTimeout(group.timer);
    group.all.reject(cause);
    for (const channel of group.channels) channel?.close();
  }

  [Symbol.dispose](): void {
    for (const source of [...this.#groups.keys()]) this.drop(source, new MigrationError("ABORTED"));
  }

  #group(source: string): Group {
    const known = this.#groups.get(source);
    if (known !== undefined) return known;
    const [oldest] = this.#groups.keys();
    if (this.#groups.size >= MAX_SOURCES) {
      this.drop(oldest!, this.#late(this.#groups.get(oldest!)!));
    }
    const group: Group = {
      channels: new Array(this.count).fill(undefined),
      count: 0,
      all: Promise.withResolvers(),
    };
    group.all.promise.catch(() => {});
    group.timer = setTimeout(() => this.drop(source, this.#late(group)), this.#limit);
    this.#groups.set(source, group);
    return group;
  }

  get #limit(): number {
    return Math.min(GATHER_TIMEOUT, this.patience);
  }

  #late({ count }: Group): MigrationError {
    if (count === 0) return noChannel(this.#limit);
    return new MigrationError("PEER_CLOSED", {
      cause: `before its channels were there: ${count} of ${this.count} came within ${
        this.#limit / 1000
      } s`,
      hint: "multifd-channels must be the same on both sides",
    });
  }
}

function noChannel(limit: number): MigrationError {
  return new MigrationError("REFUSED", {
    text: `the source has multifd off: it sent its stream and no channel within ${limit / 1000} s`,
    hint: [
      "set it there: migrate_set_capability multifd on",
      "or do without it here: --capability multifd=off",
    ],
  });
}
