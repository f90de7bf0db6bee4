/**
 * What a parser of the stream reads from: a window on the bytes at hand that moves from chunk to
 * chunk without copying, except for a record that lies across a border.
 */

import { MigrationError } from "./error.ts";

/** A parser: runs until it lacks bytes, then yields. */
export type Parser<T> = Generator<void, T, void>;

const EMPTY = new Uint8Array(0);
/** A side buffer larger than this is given back once it is read. */
const KEEP_CARRY = 1024 * 1024;
/** Least number of bytes that {@linkcode StreamInput.more} joins, where there are so many. */
const JOIN = 16 * 1024;

/** The window. Hot loops read its fields and write `pos` back. */
export class StreamInput {
  /** The bytes of the window are `bytes[pos..end]`. */
  bytes: Uint8Array = EMPTY;
  view: DataView = new DataView(EMPTY.buffer);
  pos = 0;
  end = 0;
  /** True when no more bytes will come. */
  ended = false;
  /** What is being read, for the text of a truncation: `inside section 'cpu'`. */
  where = "before its header";

  /** Set while the parser waits for something that is not bytes. */
  held = false;

  #chunk: Uint8Array = EMPTY;
  #chunkPos = 0;
  #carry: Uint8Array = EMPTY;
  #fed = 0;

  /** Offset in the stream of the next byte. */
  get offset(): number {
    return this.#fed - (this.#chunk.length - this.#chunkPos) - (this.end - this.pos);
  }

  /** Gives the next chunk; the one before must have been used up. */
  feed(chunk: Uint8Array): void {
    this.#chunk = chunk;
    this.#chunkPos = 0;
    this.#fed += chunk.length;
  }

  /** Lets go of the caller's chunk: what is left of it is copied aside. */
  release(): void {
    if (this.bytes !== this.#carry) {
      if (this.pos < this.end) this.#join(0);
      else this.#show(EMPTY, 0, 0);
    }
    this.#chunk = EMPTY;
    this.#chunkPos = 0;
  }

  /** Stops here, with bytes at hand, until the reader is resumed. */
  *hold(): Parser<void> {
    this.held = true;
    yield;
    this.held = false;
  }

  /** Waits until the window holds at least so many bytes. */
  *need(count: number): Parser<void> {
    while (this.end - this.pos < count) {
      if (this.#advance(count)) continue;
      if (this.ended) throw this.truncated();
      yield;
    }
  }

  /** Waits until the window holds more than now; gives false at the end of the stream. */
  *more(): Parser<boolean> {
    const before = this.end - this.pos;
    while (this.end - this.pos === before) {
      if (this.#advance(2 * before + JOIN)) continue;
      if (this.ended) return false;
      yield;
    }
    return true;
  }

  /** Passes over so many bytes without looking at them. */
  *skip(count: number): Parser<void> {
    let left = count;
    for (;;) {
      const step = Math.min(left, this.end - this.pos);
      this.pos += step;
      left -= step;
      if (left === 0) return;
      yield* this.need(1);
    }
  }

  *u8(): Parser<number> {
    if (this.pos === this.end) yield* this.need(1);
    return this.bytes[this.pos++]!;
  }

  *u16(): Parser<number> {
    yield* this.need(2);
    this.pos += 2;
    return this.view.getUint16(this.pos - 2);
  }

  *u32(): Parser<number> {
    yield* this.need(4);
    this.pos += 4;
    return this.view.getUint32(this.pos - 4);
  }

  /** Reads 64 bits as a number; what is over 2^53 is no longer exact, only large. */
  *u64(): Parser<number> {
    yield* this.need(8);
    this.pos += 8;
    return this.view.getUint32(this.pos - 8) * 2 ** 32 + this.view.getUint32(this.pos - 4);
  }

  /** Reads so many bytes into memory of their own. */
  *take(count: number): Parser<Uint8Array> {
    yield* this.need(count);
    this.pos += count;
    return this.bytes.slice(this.pos - count, this.pos);
  }

  /**
   * Reads a counted string (one length byte, no NUL).
   *
   * @throws {MigrationError} `STREAM` if it is empty or has bytes outside printable ASCII.
   */
  *countedString(what: string): Parser<string> {
    const start = this.offset;
    const length = yield* this.u8();
    yield* this.need(length);
    const { bytes, pos } = this;
    this.pos += length;
    if (length === 0 || !isPrintable(bytes, pos, pos + length)) {
      throw new MigrationError("STREAM", { text: `Unable to read ${what}`, offset: start });
    }
    return ascii(bytes.subarray(pos, pos + length));
  }

  truncated(): MigrationError {
    return new MigrationError("STREAM_TRUNCATED", {
      offset: this.offset + (this.end - this.pos),
      cause: this.where,
    });
  }

  /** Makes the window larger or moves it on; false when there is nothing to do it with. */
  #advance(wanted: number): boolean {
    const left = this.#chunk.length - this.#chunkPos;
    if (left === 0) return false;
    if (this.pos === this.end) {
      this.#show(this.#chunk, this.#chunkPos, this.#chunk.length);
      this.#chunkPos = this.#chunk.length;
      if (this.#carry.length > KEEP_CARRY) this.#carry = EMPTY;
    } else this.#join(wanted - (this.end - this.pos));
    return true;
  }

  /** Moves the window to the side buffer, with up to `count` bytes of the chunk behind it. */
  #join(count: number): void {
    const held = this.end - this.pos;
    const part = this.#chunk.subarray(this.#chunkPos, this.#chunkPos + count);
    this.#chunkPos += part.length;
    const inCarry = this.bytes === this.#carry;
    if (!inCarry || this.end + part.length > this.#carry.length) {
      // Moving within the side buffer pays only where it frees half of it.
      const room = inCarry ? this.#carry.length / 2 : this.#carry.length;
      const size = held + part.length;
      const target = size <= room ? this.#carry : new Uint8Array(Math.max(1024, 2 * size));
      target.set(this.bytes.subarray(this.pos, this.end));
      this.#carry = target;
      this.#show(target, 0, held);
    }
    this.#carry.set(part, this.end);
    this.end += part.length;
  }

  #show(bytes: Uint8Array, pos: number, end: number): void {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.pos = pos;
    this.end = end;
  }
}

/** Whether bytes are a run of printable ASCII. */
export function isPrintable(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (bytes[i]! < 0x20 || bytes[i]! > 0x7e) return false;
  return true;
}

/** Text of bytes that are known to be ASCII. */
export function ascii(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}
