/** A peer that refused us, which in TLS 1.3 it does after both sides are connected. */

import { ChardevError } from "./error.ts";
import type { ChardevChannel } from "./describe.ts";
import type { SpliceEnd } from "./splice.ts";

/** Who refuses a peer hangs up within this time, in ms. */
const REFUSAL_WINDOW = 5000;

/**
 * Gives the error of a session that ended as one does whose peer did not like our certificate:
 * inside TLS, early, before a byte came, broken or without a goodbye. QEMU says nothing then. A
 * peer that speaks TLS to who does not is one of those.
 *
 * @param duration How long the session was, in ms.
 */
export function hangUp(
  channel: ChardevChannel,
  end: SpliceEnd,
  duration: number,
): ChardevError | undefined {
  if (end.by === "fault" && isTold(end.error)) return end.error;
  if (channel.facts === undefined || end.received > 0 || duration > REFUSAL_WINDOW) {
    return undefined;
  }
  if (end.by === "fault") return hungUp(channel, end.error.message);
  if (end.by !== "peer" || channel.closedCleanly) return undefined;
  return hungUp(channel, "it left before it had sent a byte, without a goodbye");
}

/**
 * As {@linkcode hangUp}, for who has dialled without TLS: a server that wants it hangs up on what
 * was said, or resets the connection.
 */
export function plainHangUp(channel: ChardevChannel, end: SpliceEnd): ChardevError | undefined {
  if (channel.facts !== undefined || end.received > 0 || end.by !== "fault") return undefined;
  return new ChardevError("HUNG_UP", {
    peer: channel.peer,
    cause: end.error.message,
    hint: MAY_WANT_TLS,
  });
}

/** What may be the matter with a peer that has left who came without TLS, and said nothing. */
export const MAY_WANT_TLS =
  "it said nothing: if it wants TLS, add tls-creds=tls0 to the device, and " +
  "--object tls-creds-x509,id=tls0,dir=DIR,endpoint=client";

/** Whether it is known what the peer did wrong: no certificate is to blame then. */
function isTold(error: unknown): error is ChardevError {
  return error instanceof ChardevError &&
    (error.code === "SPEAKS_TLS" || error.code === "WEBSOCKET");
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
