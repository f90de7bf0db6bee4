/**
 * The connection on which a source of post-copy sends the pages that were asked for (capability
 * `postcopy-preempt`): it says nothing before the switch, and nothing at all of what it is for.
 */

import { unlessLate } from "../base/mod.ts";
import type { ByteChannel } from "../engine/mod.ts";
import { StreamInput } from "./_stream_input.ts";
import { readSome } from "./_read_exact.ts";
import type { Watch } from "./_watch.ts";
import { type RamBlock, type RamPages, RamState, type RamVisitor } from "./stream_ram.ts";

/** Bytes read at a time: a guest waits for each page. */
const CHUNK = 64 * 1024;
/** Longest time in ms from the end of the stream to the first word of such a connection. */
const LAST_WORD_TIMEOUT = 10_000;

/** A connection that has said nothing yet. */
export interface Silent {
  /** Whose it is, once that is known. */
  source?: string;
  channel?: ByteChannel;
}

/** The connections of a target that have said nothing yet, and the one that is of use. */
export class UrgentConnections {
  readonly #silent = new Set<Silent>();
  #active:
    | { readonly source: string; readonly joined: PromiseWithResolvers<ByteChannel> }
    | undefined;
  #taken: ByteChannel | undefined;

  /** A connection has come, of nobody knows whom. */
  enter(): Silent {
    const one: Silent = {};
    this.#silent.add(one);
    return one;
  }

  leave(one: Silent): void {
    this.#silent.delete(one);
  }

  /** Whether a connection of this source may be for the migration that runs. */
  belongs(source: string): boolean {
    return this.#active?.source === source;
  }

  /**
   * Waits for a connection's first bytes.
   *
   * @returns Nothing if it has none, and could have been for a migration that tells its own end.
   */
  async silence<T>(
    one: Silent,
    source: string,
    channel: ByteChannel,
    first: () => Promise<T>,
  ): Promise<T | undefined> {
    one.source = source;
    one.channel = channel;
    try {
      const bytes = await first();
      return this.#silent.has(one) ? bytes : undefined;
    } catch (error) {
      if (this.#silent.has(one) && !this.belongs(source)) throw error;
      return undefined;
    }
  }

  /** A migration that may switch to post-copy begins. */
  begin(source: string): void {
    this.#active = { source, joined: Promise.withResolvers() };
    this.#taken = undefined;
  }

  /** It is over, and so are the connections that have waited for its switch. */
  end(): void {
    const source = this.#active?.source;
    this.#active = undefined;
    this.#taken?.close();
    for (const one of [...this.#silent]) {
      if (one.source !== source) continue;
      this.#silent.delete(one);
      one.channel?.close();
    }
  }

  /** Gives a connection to the migration that runs; false if it has one. */
  join(one: Silent, channel: ByteChannel): boolean {
    if (this.#active === undefined || this.#taken !== undefined) return false;
    this.leave(one);
    this.#taken = channel;
    this.#active.joined.resolve(channel);
    return true;
  }

  /** The connection of the migration that runs, once it has said something. */
  get joined(): Promise<ByteChannel> {
    return this.#active!.joined.promise;
  }

  /** Whether there is one that may still say something: one in its handshake may, too. */
  get isExpected(): boolean {
    return [...this.#silent].some(({ source }) => source === undefined || this.belongs(source));
  }
}

/** Waits for one that is late, but not for ever. */
export async function lastWord(joined: Promise<unknown>): Promise<void> {
  await unlessLate(joined, LAST_WORD_TIMEOUT);
}

/** What the pages of such a connection go through. */
export interface UrgentPagesOptions {
  readonly pageSize: number;
  readonly blocks: readonly RamBlock[];
  readonly visitor: RamVisitor;
  readonly watch: Watch;
  /** Called when all that has come is looked at, with the bytes and pages so far. */
  readonly onPages: (bytes: number, pages: RamPages) => Promise<void>;
}

/**
 * Reads pages up to the word that ends them: there is no header before them.
 *
 * @throws {MigrationError} If they are broken, or the connection ends before that word.
 */
export async function receiveUrgentPages(
  channel: ByteChannel,
  { pageSize, blocks, visitor, watch, onPages }: UrgentPagesOptions,
): Promise<void> {
  const input = new StreamInput();
  input.where = "among the pages that were asked for";
  const ram = new RamState(pageSize, { ignoreShared: false, visitor }, blocks);
  const parser = ram.payload(input, false, true);
  const buffer = new Uint8Array(CHUNK);
  for (let ended = false; !ended;) {
    const count = await readSome(channel, buffer, watch);
    if (count === null) input.ended = true;
    else input.feed(buffer.subarray(0, count));
    ended = parser.next().done === true;
    if (!ended) input.release();
    await onPages(input.offset, ram.pages);
  }
}
