/** A peer that speaks TLS to a device that has none. */

import type { ChardevChannel } from "./describe.ts";
import { ChardevError } from "./error.ts";
import type { SocketChardev } from "./kinds.ts";

/** A ClientHello (RFC 8446, section 4.1.2) has at least that many bytes, a record at most those. */
const SHORTEST_HELLO = 42;
const LONGEST_RECORD = 16384;

/** Whether a device passes bytes as they come. */
export function isBare({ websocket, telnet }: SocketChardev): boolean {
  return !websocket && telnet === undefined;
}

/**
 * Makes a connection without TLS refuse a peer whose first bytes are a ClientHello or an alert:
 * they are no text for a terminal. All else, and all that comes later, is passed on.
 *
 * @throws {ChardevError} `SPEAKS_TLS` The first read of the channel does.
 */
export function refuseTls(channel: ChardevChannel): void {
  if (channel.facts !== undefined) return;
  const read = channel.read.bind(channel);
  channel.read = async (into) => {
    channel.read = read;
    const count = await read(into);
    if (count !== null) checkPlain(into.subarray(0, count));
    return count;
  };
}

function checkPlain(bytes: Uint8Array): void {
  const endpoint = isHello(bytes) ? "server" : isAlert(bytes) ? "client" : undefined;
  if (endpoint === undefined) return;
  throw new ChardevError("SPEAKS_TLS", {
    hint: `to speak it, too: --object tls-creds-x509,id=tls0,dir=DIR,endpoint=${endpoint}, and ` +
      "tls-creds=tls0 on the device",
  });
}

/** A record of the handshake (RFC 8446, section 5.1) that starts with one. */
function isHello(bytes: Uint8Array): boolean {
  const length = recordLength(bytes, 0x16);
  return length >= SHORTEST_HELLO && length <= LONGEST_RECORD && bytes[5] === 1;
}

/** A warning or a fatal alert (RFC 8446, section 6), as who speaks TLS answers who does not. */
function isAlert(bytes: Uint8Array): boolean {
  return recordLength(bytes, 0x15) === 2 && (bytes[5] === 1 || bytes[5] === 2);
}

/** Gives how long a record of a type says it is, or -1 where there is none. */
function recordLength(bytes: Uint8Array, type: number): number {
  if (bytes.length < 7 || bytes[0] !== type || bytes[1] !== 3 || bytes[2]! > 4) return -1;
  return bytes[3]! * 256 + bytes[4]!;
}
