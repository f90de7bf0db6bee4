/**
 * Pre-copy: pass after pass over what a running guest has written, until what is left can be sent
 * in the time that it may stand still (QEMU migration/migration.c and ram.c).
 */

import type { LiveGuest } from "./live_guest.ts";
import { type MultifdWriter, PAGES_PER_PACKET } from "./multifd_writer.ts";
import { Pace } from "./pace.ts";
import { PageBitmap } from "./page_bitmap.ts";
import type { MigrationCapabilities } from "./capabilities.ts";
import type { MigrationParameters } from "./parameters.ts";
import {
  countPass,
  initialRam,
  type MigrationState,
  type RamProgress,
  setStatus,
} from "./state.ts";
import { DEFAULT_PAGE_SIZE, RamSaveFlag, SectionType } from "./stream_constants.ts";
import { StreamWriter } from "./stream_writer.ts";

/** What a migration keeps to while it runs; the parameters may change meanwhile. */
export interface PrecopyOptions {
  readonly parameters: Readonly<MigrationParameters>;
  readonly capabilities: Readonly<MigrationCapabilities>;
  /** The machine type that the stream names. */
  readonly machine: string;
  /** The name of the only block of memory. */
  readonly block: string;
  /** Where pages go that do not go with the stream. */
  readonly multifd?: MultifdWriter;
  /** Kept up to date: bytes, pages, passes, status. */
  readonly state: MigrationState;
  /** Told when the guest stands still. */
  readonly onStopped?: () => void;
  /** Waits, the guest stopped, until it may be switched over for good. */
  readonly beforeSwitchover?: () => Promise<void>;
}

const RAM_SECTION = 2;
/** Pages sent between two looks at the clock: 1 MiB. */
const BATCH = 256;
/** Pages of one section, as a source that looks at its bandwidth cuts them. */
const PAGES_PER_PART = 4096;
/** The same where each section's end halts all channels. */
const PAGES_PER_SYNC = 65_536;
const RECORD = 8 + DEFAULT_PAGE_SIZE;
/** Shortest time in ms over which the dirty rate is taken. */
const RATE_PERIOD = 1000;

type Chunk = Uint8Array<ArrayBuffer>;

/** Migrates a guest: gives the main stream; a chunk is valid until the next one is asked for. */
export async function* precopy(
  guest: LiveGuest,
  options: PrecopyOptions,
): AsyncGenerator<Chunk, void, void> {
  yield* new Precopy(guest, options).run();
}

class Precopy {
  readonly #pending: PageBitmap;
  readonly #state: MigrationState;
  readonly #ram: RamProgress;
  readonly #pace: Pace;
  readonly #batch: Batch;
  #stopped = false;
  #handedOver = false;
  /** Since when, and after how many bytes, the dirty rate is taken. */
  #period = { start: 0, dirty: 0, sent: 0 };
  /** Passes in a row in which the guest wrote too much. */
  #tooFast = 0;

  constructor(readonly guest: LiveGuest, readonly options: PrecopyOptions) {
    this.#pending = new PageBitmap(guest.pages);
    this.#state = options.state;
    this.#ram = this.#state.ram ??= initialRam(guest.pages * DEFAULT_PAGE_SIZE);
    this.#pace = new Pace(() => this.#stopped ? 0 : options.parameters["max-bandwidth"]);
    this.#batch = new Batch(guest, options.block);
  }

  async *run(): AsyncGenerator<Chunk, void, void> {
    const { guest, options } = this;
    const { multifd } = options;
    guest.log.clear();
    guest.throttle = 0;
    guest.run();
    try {
      yield this.#head();
      await multifd?.sync();
      yield* this.#endRound();
      this.#pending.addAll();
      this.#period.start = performance.now();
      // Whoever knows of the connection has counted the first pass with it.
      if (this.#ram.passes === 0) countPass(this.#state);
      const part = multifd === undefined ? PAGES_PER_PART : PAGES_PER_SYNC;
      do {
        yield* this.#round(SectionType.QEMU_VM_SECTION_PART, part);
        this.#sync();
      } while (this.#remaining() > this.#threshold());
      yield* this.#switchOver();
    } finally {
      // Whoever breaks it off gets the guest back as it was.
      guest.throttle = 0;
      if (!this.#handedOver) guest.run();
    }
  }

  async *#switchOver(): AsyncGenerator<Chunk, void, void> {
    const { guest, options } = this;
    const [state, ram] = [this.#state, this.#ram];
    guest.stop();
    options.onStopped?.();
    const stopped = performance.now();
    if (options.capabilities["pause-before-switchover"]) {
      setStatus(state, "pre-switchover");
      await options.beforeSwitchover?.();
      setStatus(state, "device");
    }
    this.#stopped = true;
    this.#pending.take(guest.log);
    countPass(state);
    const before = state.bytes;
    yield* this.#round(SectionType.QEMU_VM_SECTION_END, Infinity);
    const tail = new StreamWriter().end({ page_size: DEFAULT_PAGE_SIZE, devices: [] }).finish();
    this.#handedOver = true;
    state.bytes += tail.length;
    yield tail;
    ram.downtimeBytes = state.bytes - before;
    state.downtime = performance.now() - stopped;
  }

  /** Sends all that is pending, in sections of so many pages; an END is sent in any case. */
  async *#round(type: number, most: number): AsyncGenerator<Chunk, void, void> {
    let page = this.#pending.next(0);
    do {
      const head = new StreamWriter().ramPart(type, RAM_SECTION).finish();
      yield head;
      this.#state.bytes += head.length;
      for (let left = most; page >= 0 && left > 0;) {
        this.guest.advance();
        const found = this.#batch.take(this.#pending, page, Math.min(BATCH, left));
        left -= found.pages;
        page = this.#pending.next(found.next);
        const { multifd } = this.options;
        const chunk = multifd === undefined
          ? this.#batch.records(true)
          : await this.#beside(multifd);
        if (chunk.length > 0) yield chunk;
        await this.#spend(chunk.length);
      }
      await this.options.multifd?.sync();
      yield* this.#endRound();
    } while (page >= 0);
  }

  /** Sends the batch on the channels; gives what the main one carries of it. */
  async #beside(multifd: MultifdWriter): Promise<Chunk> {
    const { normal, zero, copy } = this.#batch;
    const { block } = this.options;
    const { zeroPages } = multifd.settings;
    const before = multifd.bytes;
    for (let at = 0; at < normal.length; at += PAGES_PER_PACKET) {
      await multifd.send(block, normal.slice(at, at + PAGES_PER_PACKET), [], copy);
    }
    for (let at = 0; zeroPages && at < zero.length; at += PAGES_PER_PACKET) {
      await multifd.send(block, [], zero.slice(at, at + PAGES_PER_PACKET), copy);
    }
    const sent = multifd.bytes - before;
    this.#ram.multifdBytes += sent;
    this.#state.bytes += sent;
    await this.#pace.spend(sent);
    return zeroPages ? new Uint8Array(0) : this.#batch.records(false);
  }

  *#endRound(): Generator<Chunk, void, void> {
    const bytes = new StreamWriter().endOfRound(RAM_SECTION, this.options.multifd?.settings)
      .finish();
    this.#state.bytes += bytes.length;
    yield bytes;
  }

  #head(): Chunk {
    const { machine, block } = this.options;
    const writer = new StreamWriter().header(machine).command("OPEN_RETURN_PATH")
      .ramStart(RAM_SECTION, [{ name: block, usedLength: this.#ram.total }]);
    const head = writer.finish();
    // What ends the list is written when the channels have got their sync.
    const bytes = head.subarray(0, head.length - 8 - 5);
    this.#state.bytes += bytes.length;
    return bytes;
  }

  #remaining(): number {
    return this.#pending.count * DEFAULT_PAGE_SIZE;
  }

  /** Bytes that can be sent in the time that the guest may stand still. */
  #threshold(): number {
    return this.#pace.bandwidth * this.options.parameters["downtime-limit"];
  }

  /** Looks at what the guest has written since the last time. */
  #sync(): void {
    this.guest.advance();
    this.#period.dirty += this.#pending.take(this.guest.log);
    const elapsed = performance.now() - this.#period.start;
    if (elapsed >= RATE_PERIOD) this.#rate(elapsed);
    countPass(this.#state);
  }

  #rate(elapsed: number): void {
    const { parameters, capabilities } = this.options;
    const { dirty, sent } = this.#period;
    this.#ram.dirtyRate = dirty / elapsed * 1000;
    const written = dirty * DEFAULT_PAGE_SIZE;
    const share = parameters["throttle-trigger-threshold"] / 100;
    if (capabilities["auto-converge"] && written > (this.#state.bytes - sent) * share) {
      // Once may be chance.
      if (++this.#tooFast >= 2) this.#slowDown();
    } else this.#tooFast = 0;
    this.#period = { start: performance.now(), dirty: 0, sent: this.#state.bytes };
  }

  #slowDown(): void {
    const { parameters } = this.options;
    const { guest } = this;
    this.#tooFast = 0;
    guest.throttle = guest.throttle === 0
      ? parameters["cpu-throttle-initial"]
      : guest.throttle + parameters["cpu-throttle-increment"];
    guest.throttle = Math.min(guest.throttle, parameters["max-cpu-throttle"]);
    this.#state.throttle = guest.throttle;
  }

  async #spend(bytes: number): Promise<void> {
    const ram = this.#ram;
    ram.normal += this.#batch.normal.length;
    ram.duplicate += this.#batch.zero.length;
    // As QEMU counts: what is written meanwhile is seen at the next pass.
    ram.remaining = this.#remaining();
    this.#state.bytes += bytes;
    await this.#pace.spend(bytes);
    const { bandwidth } = this.#pace;
    this.#state.expectedDowntime = bandwidth === 0
      ? this.options.parameters["downtime-limit"]
      : this.#remaining() / bandwidth;
  }
}

/** Pages that are sent together. */
class Batch {
  /** Offsets of pages with bytes, and of those that are zero. */
  normal: number[] = [];
  zero: number[] = [];
  readonly #bytes: Chunk;
  readonly #view: DataView;
  readonly #name: Uint8Array;
  /** Whether a record has named the block. */
  #named = false;

  constructor(readonly guest: LiveGuest, block: string) {
    this.#name = new TextEncoder().encode(block);
    this.#bytes = new Uint8Array(BATCH * RECORD + 1 + this.#name.length);
    this.#view = new DataView(this.#bytes.buffer);
  }

  readonly copy = (offset: number, into: Uint8Array, view: DataView, at: number): void => {
    this.guest.read(offset / DEFAULT_PAGE_SIZE, into, view, at);
  };

  /** Takes up to so many pages out of a bitmap, of which `first` is one. */
  take(pending: PageBitmap, first: number, most: number): { pages: number; next: number } {
    this.normal = [];
    this.zero = [];
    let [page, pages, next] = [first, 0, first];
    for (; page >= 0 && pages < most; page = pending.next(next), pages++) {
      pending.delete(page);
      (this.guest.isZero(page) ? this.zero : this.normal).push(page * DEFAULT_PAGE_SIZE);
      next = page + 1;
    }
    return { pages, next };
  }

  /** The records of the main stream: all pages, or those of zeros alone. */
  records(all: boolean): Chunk {
    let at = 0;
    if (all) {
      for (const offset of this.normal) {
        at = this.#word(at, offset, RamSaveFlag.RAM_SAVE_FLAG_PAGE);
        this.copy(offset, this.#bytes, this.#view, at);
        at += DEFAULT_PAGE_SIZE;
      }
    }
    for (const offset of this.zero) {
      at = this.#word(at, offset, RamSaveFlag.RAM_SAVE_FLAG_ZERO);
      this.#bytes[at++] = 0;
    }
    return this.#bytes.subarray(0, at);
  }

  #word(at: number, offset: number, flags: number): number {
    const same = this.#named ? RamSaveFlag.RAM_SAVE_FLAG_CONTINUE : 0;
    this.#view.setUint32(at, Math.floor(offset / 2 ** 32));
    this.#view.setUint32(at + 4, offset % 2 ** 32 + flags + same);
    if (this.#named) return at + 8;
    this.#named = true;
    this.#bytes[at + 8] = this.#name.length;
    this.#bytes.set(this.#name, at + 9);
    return at + 9 + this.#name.length;
  }
}
