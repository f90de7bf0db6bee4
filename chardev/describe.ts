/** A connection in words, for the person at the console. */

import { printable } from "../base/mod.ts";
import type { TlsChannel } from "../channel/mod.ts";
import { parseCertificate } from "../creds/mod.ts";
import type { ByteChannel, SessionFacts } from "../engine/mod.ts";

/** A connected device: inside TLS, with what TLS knows, or plain. */
export type ChardevChannel =
  & ByteChannel
  & Partial<Pick<TlsChannel, "facts" | "closedCleanly">>;

/** Says who is on the other end and what protects the connection. */
export function describeChannel(channel: ChardevChannel): string {
  const { facts } = channel;
  if (facts === undefined) return `${channel.peer} without TLS`;
  const name = peerName(facts);
  return `${channel.peer} over ${facts.version} ${facts.cipher}` +
    (name === undefined ? "" : `, ${printable(name)}`);
}

function peerName(facts: SessionFacts): string | undefined {
  if (facts.pskIdentity !== undefined) return facts.pskIdentity;
  const [leaf] = facts.peerChain;
  if (leaf === undefined) return undefined;
  try {
    return parseCertificate(leaf).subject.text;
  } catch {
    // Without verify-peer the peer may have sent anything.
    return undefined;
  }
}
