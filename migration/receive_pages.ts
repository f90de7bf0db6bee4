/** The receiving end of one migration whose pages are looked at: one channel or several. */

import type { ByteChannel } from "../engine/mod.ts";
import { lostAfterSwitch, PostcopyPages } from "./_postcopy.ts";
import { readSome, restAfter } from "./_read_exact.ts";
import { StreamRecords } from "./_stream_records.ts";
import { SyncGate } from "./_sync_gate.ts";
import { lastWord, receiveUrgentPages, type UrgentConnections } from "./_urgent_pages.ts";
import { type Watch, watchChannel } from "./_watch.ts";
import { WayBack } from "./_way_back.ts";
import { MigrationError } from "./error.ts";
import { receiveMultifdChannel } from "./multifd_channel.ts";
import type { MultifdCompression } from "./multifd_packet.ts";
import type { PageSink } from "./page_sink.ts";
import { IDLE_TIMEOUT, type ReceiveOptions, type Reception, refusePostcopy } from "./receive.ts";
import type { RamBlock } from "./stream_ram.ts";
import type { StreamCommand } from "./stream_command.ts";
import { readStream, type StreamReader } from "./stream_reader.ts";
import { StreamWriter } from "./stream_writer.ts";

/** Bytes read at a time from the main connection; page by page it may be all there is. */
const CHUNK = 1024 * 1024;

/** How pages are received. */
export interface PageReceiveOptions extends Omit<ReceiveOptions, "begin"> {
  /** Opens the sink; a throw refuses the source. */
  readonly begin: () => PageSink;
  /** Channels beside the main one, by their numbers, their first messages read. */
  readonly channels?: readonly ByteChannel[];
  readonly compression?: MultifdCompression;
  /** Where the pages may come from that are asked for; the source may switch to post-copy then. */
  readonly urgent?: UrgentConnections;
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

/** Commands that mean something without post-copy. */
const KEPT: ReadonlySet<string> = new Set(["OPEN_RETURN_PATH", "PING", "SWITCHOVER_START"]);

class PageReceiver {
  readonly #channels: readonly ByteChannel[];
  readonly #gate: SyncGate;
  readonly #watch: Watch;
  readonly #back: WayBack;
  readonly #blocks = new Map<string, RamBlock>();
  readonly #records: StreamRecords;
  #reader: StreamReader;
  readonly #postcopy: PostcopyPages | undefined;
  /** The devices that came in a package, and stand behind the memory in a plain stream. */
  #package: StreamWriter | undefined;
  #sink: PageSink | undefined;
  /** Whether the guest was switched over before all of it had come. */
  #switched = false;
  #urgent: Promise<void> | undefined;
  #urgentChannel: ByteChannel | undefined;
  #failure: { readonly error: unknown } | undefined;
  /** What the channels beside the main one have brought. */
  readonly #counted = { bytes: 0, normal: 0, zero: 0 };
  #beside: Promise<unknown> | undefined;

  constructor(readonly main: ByteChannel, readonly options: PageReceiveOptions) {
    this.#channels = options.channels ?? [];
    this.#gate = new SyncGate(this.#channels.length);
    this.#back = new WayBack(main);
    this.#records = new StreamRecords((bytes) =>
      this.#package === undefined ? this.#sink!.records(bytes) : this.#package.bytes(bytes)
    );
    this.#postcopy = options.urgent !== undefined
      ? new PostcopyPages((message) => this.#back.send(message))
      : undefined;
    this.#reader = readStream({
      multifd: this.#channels.length > 0,
      postcopy: options.urgent !== undefined,
      visitor: {
        blocks: (...list) => this.#list(...list),
        page: (...page) => this.#sink!.page(...page),
        zero: (...page) => this.#sink!.zero(...page),
        end: () => this.#endOfMemory(),
      },
      onBorder: (kind, offset) => this.#records.border(kind, offset),
      onCommand: (command) => this.#command(command),
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
      const own = this.options.begin();
      const sink = this.#sink = this.#postcopy?.through(own) ?? own;
      await this.#pump(sink);
      if (this.#gate.arrived > 0) throw this.#channelsAhead();
      if (this.#switched) {
        await this.#endOfUrgentPages();
        this.#postcopy?.finish(this.#reader.bytes);
        this.#closeMemory();
        sink.records(this.#description());
      }
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
      if (this.#urgentChannel !== undefined) await this.#urgent;
      this.#sink?.discard();
      throw this.#switched ? lostAfterSwitch(watch.cause ?? error) : watch.cause ?? error;
    } finally {
      this.#close();
      // One that has more to say than the stream knows of must not wait for it for ever.
      this.#gate.fail(this.#channelsAhead());
      await this.#beside;
    }
  }

  #channelsAhead(): MigrationError {
    return new MigrationError("STREAM", {
      text: "channels of multifd have halted more often than the main connection",
      offset: this.#reader.bytes,
    });
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
      if (!this.#reader.complete) this.#postcopy?.ask();
      this.#progress();
      // After the switch a running guest waits for each page.
      if (!this.#reader.complete && !this.#switched) await restAfter(count);
    }
  }

  async #settle(): Promise<void> {
    this.#records.settle(this.#reader.bytes);
    this.#watch.pause(true);
    await this.#sink!.drain();
    this.#watch.pause(false);
  }

  #command(command: StreamCommand): void {
    if (this.#postcopy === undefined) refusePostcopy(command);
    else if (command.name === "POSTCOPY_ADVISE" && command.length > 0) this.#postcopy.advise();
    this.#back.take(command);
    if (command.discard !== undefined) this.#postcopy?.discard(command.discard);
    if (command.name === "PACKAGED") this.#package = new StreamWriter();
    if (command.name === "POSTCOPY_RUN") {
      this.#switched = true;
      this.#package ??= new StreamWriter();
      this.#postcopy?.run();
      this.#awaitUrgentPages();
    }
    // What is left is a stream without post-copy.
    const { name, value } = command;
    if (this.#package !== undefined || this.#switched || !KEPT.has(name)) return;
    const data = value === undefined ? undefined : new StreamWriter().u32(value).finish();
    this.#sink!.records(new StreamWriter().command(name, data).finish());
  }

  #endOfMemory(): void {
    // After a switch the last pages may still be on their way on the connection of urgent ones.
    if (!this.#switched) this.#closeMemory();
  }

  #closeMemory(): void {
    this.#sink!.end();
    if (this.#package === undefined) return;
    const devices = this.#package.finish();
    this.#package = undefined;
    this.#sink!.records(devices);
  }

  #awaitUrgentPages(): void {
    this.#urgent = this.options.urgent!.joined.then(async (channel) => {
      this.#urgentChannel = channel;
      try {
        await this.#receiveUrgentPages(channel);
      } catch (error) {
        this.#failure ??= { error };
        this.main.close();
      }
    });
  }

  async #receiveUrgentPages(channel: ByteChannel): Promise<void> {
    const last = { bytes: 0, normal: 0, zero: 0 };
    await receiveUrgentPages(channel, {
      pageSize: this.#reader.summary().pageSize,
      blocks: [...this.#blocks.values()],
      visitor: this.#sink!,
      watch: this.#watch,
      onPages: async (bytes, { normal, zero }) => {
        this.#counted.bytes += bytes - last.bytes;
        this.#counted.normal += normal - last.normal;
        this.#counted.zero += zero - last.zero;
        Object.assign(last, { bytes, normal, zero });
        await this.#sink!.drain();
        if (!this.#reader.complete) this.#postcopy?.ask();
        this.#progress();
      },
    });
  }

  /**
   * What was asked for may be on its way when the main connection has come to its end; and a source
   * fails that cannot say its last word, even where nothing was asked for.
   */
  async #endOfUrgentPages(): Promise<void> {
    const { isExpected, joined } = this.options.urgent!;
    const mustCome = isExpected || this.#postcopy!.missing > 0;
    if (this.#urgentChannel === undefined && mustCome) await lastWord(joined);
    if (this.#urgentChannel !== undefined) await this.#urgent;
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** A post-copy stream has no description of its devices; a plain one ends with one. */
  #description(): Uint8Array {
    const { devices, pageSize } = this.#reader.summary();
    const described = devices.map(({ idstr, instanceId, versionId, length }) => ({
      name: idstr,
      instance_id: instanceId,
      vmsd_name: idstr,
      version: versionId,
      fields: [{ name: "data", size: length, type: "buffer" }],
    }));
    // The end marker itself has come.
    return new StreamWriter().end({ page_size: pageSize, devices: described }).finish().subarray(1);
  }

  /** Settles when all have ended, one way or another. */
  #startChannels(sink: PageSink, pageSize: number): Promise<unknown> {
    const { compression = "none" } = this.options;
    return Promise.all(this.#channels.map(async (channel, id) => {
      try {
        const bytes = await receiveMultifdChannel(channel, {
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
        this.#gate.fail(endedEarly(channel, id, bytes));
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
      // Every page is there, and the package was as long as its devices.
      ...(this.#switched
        ? { validation: { kind: "sections" as const, devices: summary.devices.length } }
        : {}),
      bytes: summary.bytes + bytes,
      pages: { ...pages, normal: pages.normal + normal, zero: pages.zero + zero },
    };
  }

  #close(): void {
    this.main.close();
    this.#urgentChannel?.close();
    for (const channel of this.#channels) channel.close();
  }
}

function endedEarly(channel: ByteChannel, id: number, offset: number): MigrationError {
  return new MigrationError("PEER_CLOSED", {
    peer: channel.peer,
    cause: `of multifd channel ${id} at byte ${offset}, before the end of the stream`,
    offset,
    hint: "the cause is in the source's log",
  });
}
