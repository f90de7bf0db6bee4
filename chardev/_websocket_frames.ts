/** The frames of WebSocket (RFC 6455, section 5) as QEMU reads and writes them. */

import type { ByteChannel } from "../engine/mod.ts";

/** What a frame is. */
export const OPCODE = { CONTINUATION: 0, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 } as const;

const FIN = 0x80;
const MASKED = 0x80;
const CONTROL = 0x08;
/** Most bytes of a control frame. */
const MAX_CONTROL = 125;
/** Status codes of a close frame (RFC 6455, section 7.4.1). */
const [NORMAL, PROTOCOL_ERROR, INVALID_DATA, POLICY] = [1000, 1002, 1003, 1008];
/** What is read from below at once, in bytes. */
const BUFFER = 16 * 1024;

/** What came next. */
export type FrameEvent =
  | { readonly kind: "data"; readonly length: number }
  | { readonly kind: "ping"; readonly payload: Uint8Array }
  | {
    readonly kind: "close";
    readonly code: number;
    readonly reason: string;
    /** What the peer did wrong, if it did. */
    readonly fault?: string;
  }
  | { readonly kind: "end" };

/** The header of a frame from a server, which masks nothing. */
export function frameHeader(opcode: number, length: number): Uint8Array {
  const first = FIN | opcode;
  if (length <= MAX_CONTROL) return Uint8Array.of(first, length);
  return length < 65536
    ? Uint8Array.of(first, 126, length >> 8, length & 0xff)
    : Uint8Array.of(first, 127, 0, 0, 0, 0, ...bigEndian(length));
}

function bigEndian(number: number): number[] {
  return [24, 16, 8, 0].map((shift) => (number >>> shift) & 0xff);
}

/** A frame that is being read. */
interface Frame {
  readonly opcode: number;
  readonly mask: Uint8Array;
  /** Payload that is still to come, in bytes. */
  left: number;
  /** How much of it was read, for the mask. */
  done: number;
}

/**
 * Reads frames from a channel.
 *
 * @param rest What was read of it already.
 */
export function websocketReader(
  channel: ByteChannel,
  rest: Uint8Array,
): { next(into: Uint8Array): Promise<FrameEvent> } {
  const buffer = new Uint8Array(BUFFER);
  buffer.set(rest);
  let [start, end] = [0, rest.length];
  let frame: Frame | undefined;
  /** The opcode that a continuation continues. */
  let continued: number = OPCODE.CONTINUATION;

  /** Makes sure that so many bytes are there; `false` at the end of the stream. */
  async function need(count: number): Promise<boolean> {
    while (end - start < count) {
      if (start > 0) {
        buffer.copyWithin(0, start, end);
        [start, end] = [0, end - start];
      }
      const read = await channel.read(buffer.subarray(end));
      if (read === null) return false;
      end += read;
    }
    return true;
  }

  async function header(): Promise<Frame | FrameEvent> {
    if (!await need(2)) return { kind: "end" };
    const [first, second] = [buffer[start]!, buffer[start + 1]!];
    const given = first & 0x0f;
    if (given !== OPCODE.CONTINUATION) continued = given;
    const opcode = continued;
    const fault = headerFault(first, second, opcode);
    if (fault !== undefined) return fault;
    const short = second & 0x7f;
    const extended = short === 127 ? 8 : short === 126 ? 2 : 0;
    if (!await need(2 + extended + 4)) return { kind: "end" };
    let length = extended === 0 ? short : 0;
    for (let i = 0; i < extended; i++) length = length * 256 + buffer[start + 2 + i]!;
    const mask = buffer.slice(start + 2 + extended, start + 6 + extended);
    start += 6 + extended;
    return { opcode, mask, left: length, done: 0 };
  }

  /** Takes payload that is there, unmasked, into a buffer. */
  function take(frame: Frame, into: Uint8Array): number {
    const count = Math.min(frame.left, end - start, into.length);
    for (let i = 0; i < count; i++) {
      into[i] = buffer[start + i]! ^ frame.mask[(frame.done + i) & 3]!;
    }
    start += count;
    frame.left -= count;
    frame.done += count;
    return count;
  }

  async function next(into: Uint8Array): Promise<FrameEvent> {
    for (;;) {
      if (frame === undefined) {
        const read = await header();
        if ("kind" in read) return read;
        frame = read;
      }
      if ((frame.opcode & CONTROL) !== 0) {
        if (!await need(frame.left)) return { kind: "end" };
        const payload = new Uint8Array(frame.left);
        take(frame, payload);
        const { opcode } = frame;
        frame = undefined;
        if (opcode === OPCODE.PING) return { kind: "ping", payload };
        if (opcode === OPCODE.CLOSE) {
          return { kind: "close", code: NORMAL, reason: "peer requested close" };
        }
        continue;
      }
      if (frame.left === 0) {
        frame = undefined;
        continue;
      }
      if (!await need(1)) return { kind: "end" };
      return { kind: "data", length: take(frame, into) };
    }
  }
  return { next };
}

function headerFault(first: number, second: number, opcode: number): FrameEvent | undefined {
  const close = (code: number, reason: string, fault: string): FrameEvent => ({
    kind: "close",
    code,
    reason,
    fault,
  });
  if ((first & FIN) === 0) {
    if (opcode !== OPCODE.BINARY) {
      return close(
        POLICY,
        "only binary frames may be fragmented",
        "only binary websocket frames may be fragmented",
      );
    }
  } else if (!KNOWN.includes(opcode)) {
    return close(
      INVALID_DATA,
      "only binary, close, ping, and pong frames are supported",
      `unsupported opcode: 0x${opcode.toString(16).padStart(4, "0")}; only binary, close, ping, ` +
        "and pong websocket frames are supported",
    );
  }
  if ((second & MASKED) === 0) {
    return close(
      PROTOCOL_ERROR,
      "client frames must be masked",
      "client websocket frames must be masked",
    );
  }
  if ((opcode & CONTROL) !== 0 && (second & 0x7f) > MAX_CONTROL) {
    return close(
      PROTOCOL_ERROR,
      "control frame is too large",
      "websocket control frame is too large",
    );
  }
  return undefined;
}

const KNOWN: readonly number[] = [OPCODE.BINARY, OPCODE.CLOSE, OPCODE.PING, OPCODE.PONG];
