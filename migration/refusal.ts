/** What to do about a destination or a source that TLS did not come up with. */

import type { TlsCreds } from "../creds/mod.ts";
import { EngineError } from "../engine/mod.ts";

/**
 * Adds to a failed handshake what the peer has to be; every other error has its own advice.
 * The hint is needed because a peer without TLS and one in the wrong role look the same from here.
 */
export function explainHandshake(error: unknown, { endpoint }: TlsCreds): unknown {
  if (!(error instanceof EngineError) || error.hints.length > 0) return error;
  if (error.code !== "TLS_HANDSHAKE" && error.code !== "TLS_TIMEOUT") return error;
  return new EngineError(error.code, { ...error.facts, hint: HINTS[endpoint] }, { cause: error });
}

const HINTS = {
  client: [
    "the destination must wait with TLS too: tls-creds set there, of endpoint=server",
    "its log says why, if it was the one that refused",
  ],
  server: [
    "the source must migrate with TLS too: tls-creds set there, of endpoint=client",
    "its log says why, if it was the one that refused",
  ],
} as const;
