/** What a destination says to its source on the way back (QEMU migration/migration.c). */

import { MigrationError } from "./error.ts";
import { MAX_RP_MSG_LENGTH, MigRpMsg } from "./stream_constants.ts";

/** A message of the destination. */
export type ReturnMessage =
  /** The last one; 0 means that the destination has all it needs. */
  | { readonly kind: "shut"; readonly value: number }
  | { readonly kind: "pong"; readonly value: number }
  /** One that nothing is done about. */
  | { readonly kind: "other"; readonly type: number };

const HEADER = 4;
/** Length in bytes that a message must have; -1 is any. */
const LENGTHS: Readonly<Record<number, number>> = {
  [MigRpMsg.MIG_RP_MSG_SHUT]: 4,
  [MigRpMsg.MIG_RP_MSG_PONG]: 4,
  [MigRpMsg.MIG_RP_MSG_REQ_PAGES_ID]: -1,
  [MigRpMsg.MIG_RP_MSG_REQ_PAGES]: 12,
  [MigRpMsg.MIG_RP_MSG_RESUME_ACK]: 4,
  [MigRpMsg.MIG_RP_MSG_SWITCHOVER_ACK]: 0,
};

/** Writes SHUT: 0 once everything is stored, anything else to make the source fail. */
export function shutMessage(value: number): Uint8Array {
  return message(MigRpMsg.MIG_RP_MSG_SHUT, value);
}

/** Writes PONG, the answer to a PING. */
export function pongMessage(value: number): Uint8Array {
  return message(MigRpMsg.MIG_RP_MSG_PONG, value);
}

/**
 * Writes a request for pages.
 *
 * @param start Offset in bytes within the block.
 * @param length Bytes, at least one page.
 * @param block The block's name, where it is not that of the request before.
 */
export function requestPagesMessage(start: number, length: number, block?: string): Uint8Array {
  const name = new TextEncoder().encode(block ?? "");
  const size = 12 + (block === undefined ? 0 : 1 + name.length);
  const bytes = new Uint8Array(HEADER + size);
  const view = new DataView(bytes.buffer);
  view.setUint16(
    0,
    block === undefined ? MigRpMsg.MIG_RP_MSG_REQ_PAGES : MigRpMsg.MIG_RP_MSG_REQ_PAGES_ID,
  );
  view.setUint16(2, size);
  view.setUint32(HEADER, Math.floor(start / 2 ** 32));
  view.setUint32(HEADER + 4, start % 2 ** 32);
  view.setUint32(HEADER + 8, length);
  if (block !== undefined) {
    bytes[HEADER + 12] = name.length;
    bytes.set(name, HEADER + 13);
  }
  return bytes;
}

/**
 * Makes a reader of messages: it takes bytes as they come and gives the messages that are whole.
 *
 * @throws {MigrationError} `PEER_FAILED` in QEMU's words if the bytes are no messages.
 */
export function readReturnPath(): (bytes: Uint8Array) => ReturnMessage[] {
  const held = new Uint8Array(HEADER + MAX_RP_MSG_LENGTH);
  const view = new DataView(held.buffer);
  let length = 0;
  return (bytes) => {
    const messages: ReturnMessage[] = [];
    for (const byte of bytes) {
      held[length++] = byte;
      if (length < HEADER) continue;
      const type = view.getUint16(0);
      const size = view.getUint16(2);
      if (length === HEADER) checkHeader(type, size);
      if (length < HEADER + size) continue;
      length = 0;
      const value = size >= 4 ? view.getUint32(HEADER) : 0;
      messages.push(
        type === MigRpMsg.MIG_RP_MSG_SHUT
          ? { kind: "shut", value }
          : type === MigRpMsg.MIG_RP_MSG_PONG
          ? { kind: "pong", value }
          : { kind: "other", type },
      );
    }
    return messages;
  };
}

function checkHeader(type: number, size: number): void {
  const expected = LENGTHS[type];
  const hex = (value: number) => value.toString(16).padStart(4, "0");
  if (expected === undefined || size > MAX_RP_MSG_LENGTH) {
    throw new MigrationError("PEER_FAILED", {
      text: `RP: Received invalid message 0x${hex(type)} length 0x${hex(size)}`,
    });
  }
  if (expected >= 0 && size !== expected) {
    throw new MigrationError("PEER_FAILED", {
      text: `RP: Received message 0x${hex(type)} with incorrect length ${size} ` +
        `expecting ${expected}`,
    });
  }
}

function message(type: number, value: number): Uint8Array {
  const bytes = new Uint8Array(HEADER + 4);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, type);
  view.setUint16(2, 4);
  view.setUint32(HEADER, value);
  return bytes;
}
