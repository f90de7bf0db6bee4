/** A connection in words, for the person at the console. */

import { printable } from "../base/mod.ts";
import type { TlsChannel } from "../channel/mod.ts";
import { peerName } from "../creds/mod.ts";
import type { ByteChannel } from "../engine/mod.ts";

/** A connected device: inside TLS, with what TLS knows, or plain. */
export type ChardevChannel =
  & ByteChannel
  & Partial<Pick<TlsChannel, "facts" | "verified" | "closedCleanly">>
  & {
    /** This end in words, where the socket has one. */
    readonly local?: string;
    /** Sends a serial break, where the protocol has one. */
    sendBreak?(): Promise<void>;
    /** Is called for each break of the peer, where the protocol has one. */
    onBreak?: () => void;
  };

/** Says who is on the other end and what protects the connection. */
export function describeChannel(channel: ChardevChannel): string {
  const { facts } = channel;
  if (facts === undefined) return `${channel.peer} without TLS`;
  const name = peerName(facts);
  return `${channel.peer} over ${facts.version} ${facts.cipher}` +
    (name === undefined ? "" : `, ${printable(name)}`) +
    (channel.verified ? "" : " (not verified)");
}

/** What a layer does otherwise than the channel below it. */
export type Layer = Pick<ByteChannel, "read" | "write"> & Partial<ChardevChannel>;

/** Puts a layer on a channel: what the layer does not do, and what is known of TLS, is below. */
export function onTopOf(below: ChardevChannel, layer: Layer): ChardevChannel {
  const channel: ChardevChannel = {
    peer: below.peer,
    ...(below.local === undefined ? {} : { local: below.local }),
    ...(below.facts === undefined ? {} : { facts: below.facts }),
    ...(below.verified === undefined ? {} : { verified: below.verified }),
    closeWrite: () => below.closeWrite(),
    close: () => below.close(),
    [Symbol.asyncDispose]: () => below[Symbol.asyncDispose](),
    ...layer,
  };
  return Object.defineProperty(channel, "closedCleanly", {
    get: () => below.closedCleanly,
    enumerable: true,
  });
}
