/** Who is on the other end of a session, for people. */

import type { SessionFacts } from "../engine/mod.ts";
import { parseCertificate } from "./certificate.ts";

/**
 * Names the peer of a session by its identity of a shared key or the subject of its certificate;
 * an anonymous peer has no name. Whether the name was verified, the session does not know.
 */
export function peerName(
  { pskIdentity, peerChain }: Pick<SessionFacts, "pskIdentity" | "peerChain">,
): string | undefined {
  if (pskIdentity !== undefined) return pskIdentity;
  const [leaf] = peerChain;
  if (leaf === undefined) return undefined;
  try {
    return parseCertificate(leaf).subject.text;
  } catch {
    // Without verify-peer the peer may have sent anything, and the engine may read what we do not.
    return "with a certificate that cannot be read";
  }
}
