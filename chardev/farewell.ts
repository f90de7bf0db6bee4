/** The end of a connection: what this side says at its own, and whether the peer said it at its. */

import { unlessLate } from "../base/mod.ts";
import type { ChardevChannel } from "./describe.ts";

/** Longest time in ms that a peer may take to take the goodbye. */
const GOODBYE = 200;

/**
 * Closes a connection, inside TLS with a goodbye (close_notify; RFC 8446, section 6.1), so that the
 * peer can tell the end from a cut. It waits for no answer.
 */
export async function sayGoodbye(channel: ChardevChannel): Promise<void> {
  if (channel.facts !== undefined) await unlessLate(channel.closeWrite(), GOODBYE).catch(() => {});
  channel.close();
}

/**
 * Says how a connection ended that did not break. Inside TLS who wants to end says goodbye, so
 * without one somebody on the way may have cut it; QEMU before 10.0 never says it, which is why
 * this is no error.
 *
 * @param byPeer Whether the peer ended it.
 */
export function describeEnd(channel: ChardevChannel, byPeer: boolean): string {
  if (!byPeer) return `${channel.peer} was left`;
  if (channel.facts === undefined || channel.closedCleanly !== false) {
    return `${channel.peer} has left`;
  }
  return `${channel.peer} left without a TLS goodbye: what it said last may be missing`;
}
