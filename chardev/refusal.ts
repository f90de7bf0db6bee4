/** What to do about a peer that TLS did not come up with. */

import { EngineError } from "../engine/mod.ts";
import type { SocketChardev } from "./kinds.ts";
import type { TlsPlan } from "./roles.ts";

/**
 * Adds to a failed handshake what the peer has to be; every other error has its own advice.
 * The hint is needed because a wrong role and a missing TLS look the same from here. A device whose
 * TLS role is not its TCP role has to hear what QEMU says to that, since a QEMU that is its peer
 * says nothing.
 */
export function explainRefusal(
  error: unknown,
  tls: TlsPlan | undefined,
  { server }: Pick<SocketChardev, "server">,
): unknown {
  if (tls === undefined || !(error instanceof EngineError) || error.hints.length > 0) return error;
  if (error.code !== "TLS_HANDSHAKE" && error.code !== "TLS_TIMEOUT") return error;
  const { id, endpoint } = tls.creds;
  const other = endpoint === "server" ? "client" : "server";
  return new EngineError(error.code, {
    ...error.facts,
    hint: [
      `${id} makes this side the TLS ${endpoint}: the peer must speak TLS, with credentials of ` +
      `endpoint=${other}`,
      ...server === (endpoint === "server") ? [] : [
        `a QEMU that ${server ? "dials" : "listens"} is the TLS ${endpoint} itself: make ${id} ` +
        `with endpoint=${other} for it (of ${id} as it is, QEMU says 'Expected TLS credentials ` +
        `for a ${other} endpoint')`,
      ],
    ],
  }, { cause: error });
}
