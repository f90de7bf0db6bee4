/** A connection in words, for the person at the console. */

import { printable } from "../base/mod.ts";
import type { TlsChannel } from "../channel/mod.ts";
import { peerName } from "../creds/mod.ts";
import type { ByteChannel } from "../engine/mod.ts";

/** A connected device: inside TLS, with what TLS knows, or plain. */
export type ChardevChannel =
  & ByteChannel
  & Partial<Pick<TlsChannel, "facts" | "verified" | "closedCleanly">>;

/** Says who is on the other end and what protects the connection. */
export function describeChannel(channel: ChardevChannel): string {
  const { facts } = channel;
  if (facts === undefined) return `${channel.peer} without TLS`;
  const name = peerName(facts);
  return `${channel.peer} over ${facts.version} ${facts.cipher}` +
    (name === undefined ? "" : `, ${printable(name)}`) +
    (channel.verified ? "" : " (not verified)");
}
