/**
 * A guest that runs: it writes to its memory at a rate, and notes where. What a page holds follows
 * from its number and how often it was written, so that a guest of any size takes 4 bytes a page.
 */

import { createHash } from "node:crypto";
import { PageBitmap } from "./page_bitmap.ts";
import { DEFAULT_PAGE_SIZE } from "./stream_constants.ts";

/** One page in so many is zero until it is written to. */
const ZERO_EVERY = 16;
/** Bytes of noise that pages are cut from. */
const NOISE = 2 ** 20;
/** Longest time in ms that a guest catches up on; a host that was suspended is no busy guest. */
const LONGEST_STEP = 1000;
/** Pages that are hashed at a time. */
const HASHED = 1024;

/** How a guest runs. */
export interface LiveGuestOptions {
  /** Bytes of memory, whole pages. */
  readonly ram: number;
  /** Bytes it writes a second, page by page; 0 by default. */
  readonly dirtyRate?: number;
  /** Bytes of memory that it writes to; all by default. */
  readonly workingSet?: number;
}

/** A guest that runs. */
export class LiveGuest {
  readonly pages: number;
  /** What was written since it was last looked at. */
  readonly log: PageBitmap;
  /** Percent of its time that it is kept from running. */
  throttle = 0;
  readonly #versions: Uint32Array;
  readonly #noise = noise();
  readonly #perMs: number;
  readonly #set: number;
  #last: number | undefined;
  /** Parts of a page that are owed. */
  #owed = 0;
  #random = 0x2545f491;

  constructor({ ram, dirtyRate = 0, workingSet = ram }: LiveGuestOptions) {
    this.pages = ram / DEFAULT_PAGE_SIZE;
    this.log = new PageBitmap(this.pages);
    this.#versions = new Uint32Array(this.pages);
    this.#perMs = dirtyRate / DEFAULT_PAGE_SIZE / 1000;
    this.#set = Math.max(1, Math.min(this.pages, Math.floor(workingSet / DEFAULT_PAGE_SIZE)));
  }

  get isRunning(): boolean {
    return this.#last !== undefined;
  }

  run(): void {
    this.#last ??= performance.now();
  }

  /** Does what is due, and nothing from then on. */
  stop(): void {
    this.advance();
    this.#last = undefined;
  }

  /** Writes all that it has written by now. */
  advance(): void {
    if (this.#last === undefined) return;
    const now = performance.now();
    const elapsed = Math.min(LONGEST_STEP, now - this.#last);
    this.#last = now;
    this.#owed += elapsed * this.#perMs * (1 - this.throttle / 100);
    for (; this.#owed >= 1; this.#owed--) {
      const page = this.#next() % this.#set;
      this.#versions[page] = this.#versions[page]! + 1;
      this.log.add(page);
    }
  }

  isZero(page: number): boolean {
    return this.#versions[page] === 0 && page % ZERO_EVERY === ZERO_EVERY - 1;
  }

  /** Copies a page's bytes. */
  read(page: number, into: Uint8Array, view: DataView, at: number): void {
    const version = this.#versions[page]!;
    const mixed = Math.imul(page ^ Math.imul(version + 1, 0x9e3779b1), 0x85ebca6b);
    const from = (mixed >>> 12) & ~7;
    into.set(this.#noise.subarray(from, from + DEFAULT_PAGE_SIZE), at);
    view.setUint32(at, page);
    view.setUint32(at + 4, version);
  }

  /** SHA-256 of all memory, in hexadecimal, as `sha256sum` gives it of a file with its bytes. */
  async digest(): Promise<string> {
    const hash = createHash("sha256");
    const bytes = new Uint8Array(HASHED * DEFAULT_PAGE_SIZE);
    const view = new DataView(bytes.buffer);
    for (let page = 0; page < this.pages; page += HASHED) {
      const count = Math.min(HASHED, this.pages - page);
      for (let i = 0; i < count; i++) {
        const at = i * DEFAULT_PAGE_SIZE;
        if (this.isZero(page + i)) bytes.fill(0, at, at + DEFAULT_PAGE_SIZE);
        else this.read(page + i, bytes, view, at);
      }
      hash.update(bytes.subarray(0, count * DEFAULT_PAGE_SIZE));
      // Others have their turn between two pieces.
      if (page % (16 * HASHED) === 0) await new Promise((resolve) => setTimeout(resolve, 0));
    }
    return hash.digest("hex");
  }

  /** xorshift32. */
  #next(): number {
    let x = this.#random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#random = x;
    return x >>> 0;
  }
}

/** Bytes that no cipher or disk can shorten, the same on every run (xorshift32). */
function noise(): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array((NOISE + DEFAULT_PAGE_SIZE) / 4);
  let x = 0x9e3779b9;
  for (let i = 0; i < words.length; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    words[i] = x;
  }
  return new Uint8Array(words.buffer);
}
