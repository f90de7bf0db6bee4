/** The receiving end of one migration whose pages are looked at: one channel or several. */

import type { ByteChannel } from "../engine/mod.ts";
import { readSome } from "./_read_exact.ts";
import { StreamRecords } from "./_stream_records.ts";
import { SyncGate } from "./_sync_gate.ts";
import { type Watch, watchChannel } from "./_watch.ts";
import { WayBack } from "./_way_back.ts";
import { MigrationError } from "./error.ts";
import { receiveMultifdChannel } from "./multifd_channel.ts";
import type { MultifdCompression } from "./multifd_packet.ts";
import type { PageSink } from "./page_sink.ts";
import { IDLE_TIMEOUT, type ReceiveOptions, type Reception, refusePostcopy } from "./receive.ts";
import type { RamBlock } from "./stream_ram.ts";
import { readStream, type StreamReader } from "./stream_reader.ts";

/** Bytes read at a time from the main connection; page by page it may be all there is. */
const CHUNK = 1024 * 1024;

/** How pages are received. */
export interface PageReceiveOptions extends Omit<ReceiveOptions, "begin"> {
  /** Opens the sink; a throw refuses the source. */
  readonly begin: () => PageSink;
  /** Channels beside the main one, by their numbers, their first messages read. */
  readonly channels?: readonly ByteChannel[];
  readonly compression?: MultifdCompression;
}

/**
 * Receives a stream to its end marker as {@linkcode receiveStream} does, and gives the sink each
 * page in an order in which the last one of a place is the right one, whichever channel it came on.
 *
 * @throws {MigrationError} If the stream is broken or ends early, the source is silent or gone.
 * @throws {BaseError} If the sink cannot take it.
 */
export async function receivePages(
  main: ByteChannel,
  options: PageReceiveOptions,
): Promise<Reception> {
  return await new PageReceiver(main, options).run();
}

class PageReceiver {
  readonly #channels: readonly ByteChannel[];
  readonly #gate: SyncGate;
  readonly #watch: Watch;
  readonly #back: WayBack;
  readonly #blocks = new Map<string, RamBlock>();
  readonly #records: StreamRecords;
  #reader: StreamReader;
  #sink: PageSink | undefined;
  #failure: { readonly error: unknown } | undefined;
  /** What the channels beside the main one have brought. */
  readonly #counted = { bytes: 0, normal: 0, zero: 0 };
  #beside: Promise<unknown> | undefined;

  constructor(readonly main: ByteChannel, readonly options: PageReceiveOptions) {
    this.#channels = options.channels ?? [];
    this.#gate = new SyncGate(this.#channels.length);
    this.#back = new WayBack(main);
    this.#records = new StreamRecords((bytes) => this.#sink!.records(bytes));
    this.#reader = readStream({
      multifd: this.#channels.length > 0,
      visitor: {
        blocks: (...list) => this.#list(...list),
        page: (...page) => this.#sink!.page(...page),
        zero: (...page) => this.#sink!.zero(...page),
        end: () => this.#sink!.end(),
      },
      onBorder: (kind, offset) => this.#records.border(kind, offset),
      onCommand: (command) => {
        refusePostcopy(command);
        this.#back.take(command);
      },
    });
    this.#watch = watchChannel({ peer: main.peer, close: () => this.#close() }, {
      idleTimeout: options.idleTimeout ?? IDLE_TIMEOUT,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
  }

  async run(): Promise<Reception> {
    using watch = this.#watch;
    const start = performance.now();
    try {
      const sink = this.#sink = this.options.begin();
      await this.#pump(sink);
      watch.pause(true);
      await sink.commit();
      watch.pause(false);
      const reception = { summary: this.#summary(), elapsed: performance.now() - start };
      await this.#back.sayGoodbye();
      return reception;
    } catch (thrown) {
      const error = this.#failure?.error ?? thrown;
      this.#gate.fail(error);
      if (watch.cause === undefined) await this.#back.refuse();
      this.#close();
      await this.#beside;
      this.#sink?.discard();
      throw watch.cause ?? error;
    } finally {
      this.#close();
      await this.#beside;
    }
  }

  /** Reads the main connection to the stream's end. */
  async #pump(sink: PageSink): Promise<void> {
    const buffer = new Uint8Array(CHUNK);
    while (!this.#reader.complete) {
      const count = await readSome(this.main, buffer, this.#watch);
      if (this.#failure !== undefined) throw this.#failure.error;
      if (count === null) {
        this.#reader.end();
        continue;
      }
      const bytes = buffer.subarray(0, count);
      this.#records.feed(bytes);
      this.#reader.push(bytes);
      await this.#settle();
      // How large a page is, which they must know, stands at the head of the stream.
      const { pageSize } = this.#reader.summary();
      if (pageSize > 0) this.#beside ??= this.#startChannels(sink, pageSize);
      while (this.#reader.held) {
        await this.#gate.pass();
        this.#reader.resume();
        await this.#settle();
      }
      this.#progress();
    }
  }

  async #settle(): Promise<void> {
    this.#records.settle(this.#reader.bytes);
    this.#watch.pause(true);
    await this.#sink!.drain();
    this.#watch.pause(false);
  }

  /** Settles when all have ended, one way or another. */
  #startChannels(sink: PageSink, pageSize: number): Promise<unknown> {
    const { compression = "none" } = this.options;
    return Promise.all(this.#channels.map(async (channel, id) => {
      try {
        await receiveMultifdChannel(channel, {
          id,
          compression,
          pageSize,
          blockOf: (name) => this.#blocks.get(name),
          sink,
          gate: this.#gate,
          watch: this.#watch,
          onPacket: (bytes, { normalPages, zeroPages }) => {
            this.#counted.bytes += bytes;
            this.#counted.normal += normalPages;
            this.#counted.zero += zeroPages;
            this.#progress();
          },
        });
        // The source ends its channels before the main one; nothing may need them any more.
        this.#gate.fail(endedEarly(channel, id));
      } catch (error) {
        if (this.#reader.complete) return;
        this.#failure ??= { error };
        this.#gate.fail(error);
        this.main.close();
      }
    }));
  }

  #list(blocks: readonly RamBlock[], sectionId: number, pageSize: number): void {
    for (const block of blocks) this.#blocks.set(block.name, block);
    this.#sink!.blocks(blocks, sectionId, pageSize);
  }

  #progress(): void {
    this.options.onProgress?.(this.#reader.bytes + this.#counted.bytes);
  }

  #summary(): Reception["summary"] {
    const summary = this.#reader.summary();
    const { bytes, normal, zero } = this.#counted;
    const { pages } = summary;
    return {
      ...summary,
      bytes: summary.bytes + bytes,
      pages: { ...pages, normal: pages.normal + normal, zero: pages.zero + zero },
    };
  }

  #close(): void {
    this.main.close();
    for (const channel of this.#channels) channel.close();
  }
}

function endedEarly(channel: ByteChannel, id: number): MigrationError {
  return new MigrationError("PEER_CLOSED", {
    peer: channel.peer,
    cause: `of multifd channel ${id} before the end of the stream`,
    hint: "the cause is in the source's log",
  });
}
