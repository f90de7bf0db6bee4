/** Memory that crosses the border: what is lent to the library, what it gives away. */

import type { Gnutls } from "./library.ts";

/** `sizeof(gnutls_datum_t)`: a pointer and an `unsigned int`, padded. */
export const DATUM_BYTES = 16;

/** What every address here is a multiple of. */
const ALIGNMENT = 16;

const CHUNK_BYTES = 4096;

/** How many wiped chunks wait for the next arena: making one costs more than most calls. */
const SPARES = 8;

interface Chunk {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly base: bigint;
  used: number;
}

const spares: Chunk[] = [];

/**
 * Copies of arguments that stay where they are until disposed, then wiped: keys and passphrases
 * go through here too.
 *
 * A `gnutls_datum_t` holds an address, which does not keep a JavaScript buffer alive; an arena
 * held with `using` does.
 */
export class Arena implements Disposable {
  readonly #chunks: Chunk[] = [];

  /** Zeroed bytes for the library to write to. */
  bytes(length: number): Uint8Array<ArrayBuffer> {
    const rounded = Math.ceil(Math.max(length, 1) / ALIGNMENT) * ALIGNMENT;
    let chunk = this.#chunks.at(-1);
    if (chunk === undefined || chunk.used + rounded > chunk.bytes.length) {
      chunk = (rounded <= CHUNK_BYTES ? spares.pop() : undefined) ?? newChunk(rounded);
      this.#chunks.push(chunk);
    }
    const start = chunk.used;
    chunk.used += rounded;
    return chunk.bytes.subarray(start, start + length);
  }

  /** A `gnutls_datum_t` of a copy of the data. */
  datum(data: Uint8Array): Uint8Array<ArrayBuffer> {
    const copy = this.bytes(data.length);
    copy.set(data);
    const { base } = this.#chunks.at(-1)!;
    return this.#datumAt(base + BigInt(copy.byteOffset), data.length);
  }

  #datumAt(address: bigint, length: number): Uint8Array<ArrayBuffer> {
    const datum = this.bytes(DATUM_BYTES);
    const view = new DataView(datum.buffer, datum.byteOffset, DATUM_BYTES);
    view.setBigUint64(0, address, LITTLE_ENDIAN);
    view.setUint32(8, length, LITTLE_ENDIAN);
    return datum;
  }

  /** A C string; `null`, which the library takes for "none", for none. */
  text(text: string | undefined): Uint8Array<ArrayBuffer> | null {
    if (text === undefined) return null;
    const encoded = new TextEncoder().encode(text);
    const copy = this.bytes(encoded.length + 1);
    copy.set(encoded);
    encoded.fill(0);
    return copy;
  }

  [Symbol.dispose](): void {
    for (const chunk of this.#chunks.splice(0)) {
      chunk.bytes.fill(0, 0, chunk.used);
      chunk.used = 0;
      if (chunk.bytes.length === CHUNK_BYTES && spares.length < SPARES) spares.push(chunk);
    }
  }
}

/** Structures are read and written as the machine has them. */
export const LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

function newChunk(least: number): Chunk {
  const bytes = new Uint8Array(Math.max(least, CHUNK_BYTES));
  return { bytes, base: Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes)), used: 0 };
}

/** Reads a pointer that the library wrote. */
export function pointerAt(place: Uint8Array, offset = 0): Deno.PointerValue {
  const view = new DataView(place.buffer, place.byteOffset, place.byteLength);
  return Deno.UnsafePointer.create(view.getBigUint64(offset, LITTLE_ENDIAN));
}

/** Reads an `unsigned int` that the library wrote. */
export function numberAt(place: Uint8Array, offset = 0): number {
  return new DataView(place.buffer, place.byteOffset, place.byteLength)
    .getUint32(offset, LITTLE_ENDIAN);
}

/** Copies what a `gnutls_datum_t` points at. */
export function copyDatum(datum: Uint8Array, offset = 0): Uint8Array<ArrayBuffer> {
  const pointer = pointerAt(datum, offset);
  const copy = new Uint8Array(pointer === null ? 0 : numberAt(datum, offset + 8));
  if (pointer !== null && copy.length > 0) Deno.UnsafePointerView.copyInto(pointer, copy);
  return copy;
}

/** Copies what the library gave away in a `gnutls_datum_t`, and frees it. */
export function takeDatum(lib: Gnutls, datum: Uint8Array): Uint8Array<ArrayBuffer> {
  const copy = copyDatum(datum);
  lib.free(pointerAt(datum));
  return copy;
}

/** Copies a secret text that the library gave away, wipes it there, and frees it. */
export function takeSecret(lib: Gnutls, datum: Uint8Array): Uint8Array<ArrayBuffer> {
  const copy = copyDatum(datum);
  lib.call.gnutls_memset(pointerAt(datum), 0, BigInt(copy.length));
  lib.free(pointerAt(datum));
  return copy;
}

/**
 * One thing of the library's with its end. Nothing else holds the pointer, so it is freed once
 * and never used after.
 */
export class Owned implements Disposable {
  #pointer: Deno.PointerValue;
  readonly #free: (pointer: Deno.PointerObject) => void;

  constructor(pointer: Deno.PointerValue, free: (pointer: Deno.PointerObject) => void) {
    this.#pointer = pointer;
    this.#free = free;
  }

  /** Whether it has not been freed. */
  get live(): boolean {
    return this.#pointer !== null;
  }

  /** @throws {TypeError} If it was freed: a defect of the caller. */
  get pointer(): Deno.PointerObject {
    if (this.#pointer === null) throw new TypeError("used after it was disposed of");
    return this.#pointer;
  }

  [Symbol.dispose](): void {
    const pointer = this.#pointer;
    this.#pointer = null;
    if (pointer !== null) this.#free(pointer);
  }
}

/**
 * Makes a thing of the library's with one of its `…_init(T *)` functions.
 *
 * @throws What `refuse` makes of the library's text.
 */
export function make(
  lib: Gnutls,
  init: (out: Uint8Array<ArrayBuffer>) => number,
  free: (pointer: Deno.PointerObject) => void,
  refuse: (cause: string) => Error,
): Owned {
  using arena = new Arena();
  const out = arena.bytes(8);
  const code = init(out);
  if (code < 0) throw refuse(lib.text(code));
  return new Owned(pointerAt(out), free);
}
