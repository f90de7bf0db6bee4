/** A peer that refused us, which in TLS 1.3 it does after both sides are connected. */

import { ChardevError } from "./error.ts";
import type { ChardevChannel } from "./describe.ts";
import type { SpliceEnd } from "./splice.ts";

/** Who refuses a peer hangs up within this time, in ms. */
const REFUSAL_WINDOW = 5000;

/**
 * Gives the error of a session that ended as one does whose peer did not like our certificate:
 * inside TLS, early, before a byte came, broken or without a goodbye. QEMU says nothing then.
 *
 * @param duration How long the session was, in ms.
 */
export function hangUp(
  channel: ChardevChannel,
  end: SpliceEnd,
  duration: number,
): ChardevError | undefined {
  if (channel.facts === undefined || end.received > 0 || duration > REFUSAL_WINDOW) {
    return undefined;
  }
  if (end.by === "fault") return hungUp(channel, end.error.message);
  if (end.by !== "peer" || channel.closedCleanly) return undefined;
  return hungUp(channel, "it left before it had sent a byte, without a goodbye");
}

function hungUp(channel: ChardevChannel, cause: string): ChardevError {
  return new ChardevError("HUNG_UP", {
    peer: channel.peer,
    cause,
    hint: [
      "it may have refused this side's certificate: a virtcreds peer says why, QEMU says nothing",
      "check the credentials of both sides: deno task creds check DIR",
    ],
  });
}
