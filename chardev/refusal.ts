/** What to do about a peer that TLS did not come up with. */

import { EngineError } from "../engine/mod.ts";
import type { TlsPlan } from "./roles.ts";

/**
 * Adds to a failed handshake what the peer has to be; every other error has its own advice.
 * The hint is needed because a wrong role and a missing TLS look the same from here.
 */
export function explainRefusal(error: unknown, tls: TlsPlan | undefined): unknown {
  if (tls === undefined || !(error instanceof EngineError) || error.hints.length > 0) return error;
  if (error.code !== "TLS_HANDSHAKE" && error.code !== "TLS_TIMEOUT") return error;
  const { id, endpoint } = tls.creds;
  const other = endpoint === "server" ? "client" : "server";
  return new EngineError(error.code, {
    ...error.facts,
    hint:
      `${id} makes this side the TLS ${endpoint}: the peer must speak TLS, with credentials of ` +
      `endpoint=${other}`,
  }, { cause: error });
}
