/**
 * DER (ITU-T X.690) read and written: elements, not schemas.
 *
 * The reader is strict where leniency would let two readers see two certificates (indefinite
 * lengths, lengths in more octets than needed, more than its parent holds), and keeps views on
 * the caller's bytes instead of copies.
 */

import { BaseError } from "./error.ts";

/** Tags of the universal class as they stand in the first octet, constructed bit included. */
export const Tag = {
  BOOLEAN: 0x01,
  INTEGER: 0x02,
  BIT_STRING: 0x03,
  OCTET_STRING: 0x04,
  NULL: 0x05,
  OBJECT_IDENTIFIER: 0x06,
  ENUMERATED: 0x0a,
  UTF8_STRING: 0x0c,
  NUMERIC_STRING: 0x12,
  PRINTABLE_STRING: 0x13,
  TELETEX_STRING: 0x14,
  IA5_STRING: 0x16,
  UTC_TIME: 0x17,
  GENERALIZED_TIME: 0x18,
  UNIVERSAL_STRING: 0x1c,
  BMP_STRING: 0x1e,
  SEQUENCE: 0x30,
  SET: 0x31,
} as const;

/** One element: its identifier octet and views on its bytes. */
export interface DerElement {
  /** The identifier octet, class and constructed bit included. */
  readonly tag: number;
  /** Identifier, length and contents. */
  readonly raw: Uint8Array;
  /** The contents octets. */
  readonly content: Uint8Array;
}

/**
 * Reads the element that starts at an offset; bytes behind it are left alone.
 *
 * @throws {BaseError} `DER` if the bytes there are not one whole DER element.
 */
export function readDer(bytes: Uint8Array, offset = 0): DerElement {
  const tag = bytes[offset];
  const first = bytes[offset + 1];
  if (tag === undefined || first === undefined) throw truncated(offset);
  if ((tag & 0x1f) === 0x1f) throw bad("a tag number over 30", offset);
  let length = first;
  let start = offset + 2;
  if (first >= 0x80) {
    const count = first & 0x7f;
    if (count === 0 || count > 4) throw bad("a length that is not definite DER", offset);
    length = 0;
    for (let i = 0; i < count; i++) {
      const octet = bytes[start + i];
      if (octet === undefined) throw truncated(offset);
      length = length * 256 + octet;
    }
    start += count;
    if (length < 0x80 || length < 2 ** (8 * (count - 1))) {
      throw bad("a length in more octets than needed", offset);
    }
  }
  const end = start + length;
  if (end > bytes.length) throw truncated(offset);
  return { tag, raw: bytes.subarray(offset, end), content: bytes.subarray(start, end) };
}

/**
 * Reads an element that must fill the bytes to their end.
 *
 * @throws {BaseError} `DER` if it does not, or if it has another tag than the one asked for.
 */
export function readDerWhole(bytes: Uint8Array, tag?: number): DerElement {
  const element = readDer(bytes);
  if (element.raw.length !== bytes.length) throw bad("bytes behind the end", element.raw.length);
  if (tag !== undefined && element.tag !== tag) throw bad(`tag ${element.tag}, not ${tag}`, 0);
  return element;
}

/**
 * Reads the elements that a constructed element holds, in order.
 *
 * @throws {BaseError} `DER` if the contents are not a run of whole elements.
 */
export function derChildren(element: DerElement): DerElement[] {
  const children: DerElement[] = [];
  for (let offset = 0; offset < element.content.length;) {
    const child = readDer(element.content, offset);
    children.push(child);
    offset += child.raw.length;
  }
  return children;
}

/** Reads an OBJECT IDENTIFIER's contents as dotted decimal. */
export function readOid(content: Uint8Array): string {
  const arcs: number[] = [];
  let value = 0;
  for (const octet of content) {
    if (value > 2 ** 42) throw bad("an object identifier arc that is too large", 0);
    value = value * 128 + (octet & 0x7f);
    if (octet < 0x80) {
      if (arcs.length === 0) {
        const root = Math.min(2, Math.floor(value / 40));
        arcs.push(root, value - 40 * root);
      } else arcs.push(value);
      value = 0;
    }
  }
  if (arcs.length === 0 || content.at(-1)! >= 0x80) throw bad("a broken object identifier", 0);
  return arcs.join(".");
}

/**
 * Reads UTCTime or GeneralizedTime as RFC 5280 4.1.2.5 profiles them (Zulu, seconds present).
 *
 * @throws {BaseError} `DER` if it is another form or no date.
 */
export function readTime(element: DerElement): Date {
  const text = String.fromCharCode(...element.content.subarray(0, 20));
  const match = element.tag === Tag.UTC_TIME
    ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text)
    : element.tag === Tag.GENERALIZED_TIME
    ? /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text)
    : null;
  if (match === null) throw bad("a time that is not Zulu with seconds", 0);
  const [year, month, day, hour, minute, second] = match.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const full = element.tag === Tag.UTC_TIME ? (year < 50 ? 2000 + year : 1900 + year) : year;
  const date = new Date(0);
  date.setUTCFullYear(full, month - 1, day);
  date.setUTCHours(hour, minute, second);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day || hour > 23 || minute > 59) {
    throw bad("a time that does not exist", 0);
  }
  return date;
}

/** Writes one element from its identifier octet and the parts of its contents. */
export function der(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const octets = length < 0x80 ? 0 : length < 0x100 ? 1 : length < 0x1_0000 ? 2 : 3;
  if (length >= 0x100_0000) throw bad("contents of 16 MiB or more", 0);
  const out = new Uint8Array(2 + octets + length);
  out[0] = tag;
  out[1] = octets === 0 ? length : 0x80 | octets;
  for (let i = 0; i < octets; i++) out[2 + i] = length >>> (8 * (octets - 1 - i));
  let offset = 2 + octets;
  for (const part of parts) {
    // For a few bytes a call costs more than the copy.
    if (part.length > FEW_BYTES) out.set(part, offset);
    else for (let i = 0; i < part.length; i++) out[offset + i] = part[i]!;
    offset += part.length;
  }
  return out;
}

const FEW_BYTES = 32;

/** Writes identifier and length alone, for contents of less than 4 GiB that are kept elsewhere. */
export function derHeader(tag: number, length: number): Uint8Array {
  if (!(length >= 0 && length < 2 ** 32)) throw bad("contents of 4 GiB or more", 0);
  if (length < 0x80) return Uint8Array.of(tag, length);
  const octets: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256);
  return Uint8Array.of(tag, 0x80 | octets.length, ...octets);
}

/** Writes a SEQUENCE. */
export function derSequence(...parts: readonly Uint8Array[]): Uint8Array {
  return der(Tag.SEQUENCE, ...parts);
}

/** Writes a SET OF, its members sorted as DER wants them. */
export function derSetOf(...parts: readonly Uint8Array[]): Uint8Array {
  return der(Tag.SET, ...[...parts].sort(compareBytes));
}

/** Writes an explicitly tagged `[number]`. */
export function derExplicit(number: number, ...parts: readonly Uint8Array[]): Uint8Array {
  return der(0xa0 | number, ...parts);
}

/** Writes a non-negative INTEGER from its big-endian magnitude, in the fewest octets. */
export function derUnsigned(magnitude: Uint8Array): Uint8Array {
  let start = 0;
  while (start < magnitude.length - 1 && magnitude[start] === 0) start++;
  const body = magnitude.subarray(start);
  return body.length === 0
    ? der(Tag.INTEGER, new Uint8Array(1))
    : body[0]! >= 0x80
    ? der(Tag.INTEGER, new Uint8Array(1), body)
    : der(Tag.INTEGER, body);
}

/** Writes a small non-negative INTEGER. */
export function derInteger(value: number): Uint8Array {
  const octets: number[] = [];
  for (let rest = value; rest > 0 || octets.length === 0; rest = Math.floor(rest / 256)) {
    octets.unshift(rest % 256);
  }
  return derUnsigned(Uint8Array.from(octets));
}

/** Writes an OBJECT IDENTIFIER from dotted decimal. */
export function derOid(dotted: string): Uint8Array {
  const [root = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const octets: number[] = [];
  for (const arc of [40 * root + second, ...rest]) {
    const groups = [arc % 128];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) {
      groups.unshift(0x80 | left % 128);
    }
    octets.push(...groups);
  }
  return der(Tag.OBJECT_IDENTIFIER, Uint8Array.from(octets));
}

/** Writes a BIT STRING; `unused` counts the padding bits of the last octet. */
export function derBitString(bits: Uint8Array, unused = 0): Uint8Array {
  return der(Tag.BIT_STRING, Uint8Array.of(unused), bits);
}

/** Writes an OCTET STRING. */
export function derOctetString(bytes: Uint8Array): Uint8Array {
  return der(Tag.OCTET_STRING, bytes);
}

/** Writes a BOOLEAN. */
export function derBoolean(value: boolean): Uint8Array {
  return der(Tag.BOOLEAN, Uint8Array.of(value ? 0xff : 0));
}

/** Writes text under a string tag; the caller vouches for the tag's alphabet. */
export function derString(tag: number, text: string): Uint8Array {
  return der(tag, new TextEncoder().encode(text));
}

/** Writes UTCTime to 2049 and GeneralizedTime after (RFC 5280 4.1.2.5), whole seconds. */
export function derTime(date: Date): Uint8Array {
  const text = date.toISOString().replace(/[-:T]|\.\d+/g, "");
  return date.getUTCFullYear() >= 1950 && date.getUTCFullYear() < 2050
    ? derString(Tag.UTC_TIME, text.slice(2))
    : derString(Tag.GENERALIZED_TIME, text);
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    if (a[i] !== b[i]) return a[i]! - b[i]!;
  }
  return a.length - b.length;
}

function bad(cause: string, offset: number): BaseError {
  return new BaseError("DER", { cause, offset });
}

function truncated(offset: number): BaseError {
  return new BaseError("DER", { cause: "it ends too early", offset });
}
