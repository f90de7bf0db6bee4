/**
 * Telnet (RFC 854) and tn3270 (RFC 1576, RFC 885) as QEMU's sockets speak them: options are
 * announced once, what the peer says of options is dropped, a break is a serial break.
 *
 * QEMU with TLS sends its announcement beside the TLS session and so breaks it; here it is inside.
 */

import { type ChardevChannel, onTopOf } from "./describe.ts";

/** Commands and options (RFC 854, RFC 856–858, RFC 885, RFC 1091). */
const IAC = 0xff;
const [EOR, SE, BREAK, SB, WILL, DO] = [0xef, 0xf0, 0xf3, 0xfa, 0xfb, 0xfd];
const [BINARY, ECHO, SUPPRESS_GO_AHEAD, TERMINAL_TYPE, END_OF_RECORD] = [0, 1, 3, 0x18, 0x19];
const SEND = 1;

/** What is announced at the start of a connection, by either side. */
export const ANNOUNCEMENT = {
  telnet: Uint8Array.of(
    ...[IAC, WILL, ECHO],
    ...[IAC, WILL, SUPPRESS_GO_AHEAD],
    ...[IAC, WILL, BINARY],
    ...[IAC, DO, BINARY],
  ),
  tn3270: Uint8Array.of(
    ...[IAC, DO, END_OF_RECORD],
    ...[IAC, WILL, END_OF_RECORD],
    ...[IAC, DO, BINARY],
    ...[IAC, WILL, BINARY],
    ...[IAC, DO, TERMINAL_TYPE],
    ...[IAC, SB, TERMINAL_TYPE, SEND, IAC, SE],
  ),
} as const;

/** Which of the two is spoken. */
export type TelnetFlavour = keyof typeof ANNOUNCEMENT;

/** Bytes that are read at once. */
const BUFFER = 16 * 1024;

/**
 * Makes the filter of one connection: it moves data from one buffer to another, whose room is one
 * byte more, and gives how many bytes that is. Commands may be cut anywhere between two calls.
 *
 * As in QEMU, every command takes three bytes but `IAC IAC`, a byte 255, and `IAC BREAK`; tn3270
 * hands end-of-record and the borders of a subnegotiation on to the guest.
 */
export function telnetFilter(
  flavour: TelnetFlavour,
  onBreak: () => void,
): (from: Uint8Array, to: Uint8Array) => number {
  /** How many bytes of a command are read. */
  let read = 0;
  return (from, to) => {
    let length = 0;
    for (let i = 0; i < from.length; i++) {
      const byte = from[i]!;
      if (read === 0) {
        if (byte === IAC) read = 1;
        else to[length++] = byte;
      } else if (read === 2) read = 0;
      else if (byte === IAC) {
        to[length++] = byte;
        read = 0;
      } else if (byte === BREAK) {
        onBreak();
        read = 0;
      } else if (flavour === "tn3270" && (byte === EOR || byte === SB || byte === SE)) {
        to[length++] = IAC;
        to[length++] = byte;
        read = 0;
      } else if (flavour === "tn3270" && (byte === 0xf1 || byte === 0xf4)) read = 0;
      else read = 2;
    }
    return length;
  };
}

/** Doubles each 255, which would begin a command; gives the same bytes where there is none. */
export function escapeTelnet(bytes: Uint8Array): Uint8Array {
  if (!bytes.includes(IAC)) return bytes;
  const out: number[] = [];
  for (const byte of bytes) byte === IAC ? out.push(IAC, IAC) : out.push(byte);
  return Uint8Array.from(out);
}

/**
 * Announces the options on a connection and gives it without telnet's commands.
 *
 * In telnet a byte 255 is doubled on its way out (RFC 854; QEMU does not, and loses it). With
 * tn3270 nothing is: the guest itself writes the commands that end its records.
 *
 * @throws as the channel's `write` does.
 */
export async function startTelnet(
  below: ChardevChannel,
  flavour: TelnetFlavour,
): Promise<ChardevChannel> {
  await below.write(ANNOUNCEMENT[flavour]);
  const buffer = new Uint8Array(BUFFER);
  let held: Uint8Array = new Uint8Array(0);
  const channel: ChardevChannel = onTopOf(below, {
    async read(into) {
      while (held.length === 0) {
        // A tn3270 command may give a byte more than was read.
        const room = into.length > 1 ? into : new Uint8Array(2);
        const count = await below.read(buffer.subarray(0, Math.min(BUFFER, room.length - 1)));
        if (count === null) return null;
        const length = filter(buffer.subarray(0, count), room);
        if (length > 0 && room === into) return length;
        held = room.subarray(0, length);
      }
      const count = Math.min(held.length, into.length);
      into.set(held.subarray(0, count));
      held = held.subarray(count);
      return count;
    },
    write: (bytes) => below.write(flavour === "telnet" ? escapeTelnet(bytes) : bytes),
    sendBreak: () => below.write(Uint8Array.of(IAC, BREAK)),
  });
  const filter = telnetFilter(flavour, () => channel.onBreak?.());
  return channel;
}
