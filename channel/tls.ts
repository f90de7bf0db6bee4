/** TLS on top of any channel, in the role of the credentials, the peer verified before a byte. */

import { type PeerExpectation, type TlsCreds, verifySession } from "../creds/mod.ts";
import type { ByteChannel, SessionFacts } from "../engine/mod.ts";

/** How TLS starts on a channel. */
export interface TlsOptions extends PeerExpectation {
  /** Its endpoint decides the TLS role, whoever dialled. */
  readonly creds: TlsCreds;
  /** Longest time of the handshake in ms; `HANDSHAKE_TIMEOUT` of `engine` by default. */
  readonly timeout?: number;
  readonly signal?: AbortSignal;
  /** On a server: promise to send no session ticket, for the sake of a QEMU that never reads. */
  readonly noTickets?: boolean;
}

/** A channel inside TLS, its peer verified as the credentials want it. */
export interface TlsChannel extends ByteChannel {
  readonly facts: SessionFacts;
  /** Whether the peer has proved who it is: `false` with `verify-peer=off` and without keys. */
  readonly verified: boolean;
  /** As `TlsSession.closedCleanly` of `engine`. */
  readonly closedCleanly: boolean | undefined;
}

/**
 * Takes a channel over, makes the handshake and verifies the peer as QEMU does: on a failure the
 * channel is closed, and the peer has got no byte of ours and we have acted on none of its.
 *
 * @example A client that knows whom it wants to reach
 * ```ts
 * import { type Address, connect, startTls, type TlsChannel } from "@virtcreds/virtcreds/channel";
 * import type { ObjectRegistry } from "@virtcreds/virtcreds/creds";
 *
 * async function dial(address: Address, objects: ObjectRegistry): Promise<TlsChannel> {
 *   const creds = objects.tlsCreds("tls0", "client");
 *   return await startTls(await connect(address), { creds, hostname: "host1.example.org" });
 * }
 * ```
 *
 * @throws {EngineError} `TLS_HANDSHAKE` or `TLS_TIMEOUT` If the handshake fails.
 * @throws {CredsError} If the peer is not who it should be, in QEMU's words.
 */
export async function startTls(raw: ByteChannel, options: TlsOptions): Promise<TlsChannel> {
  const { creds, hostname, authorize, timeout, signal, noTickets } = options;
  try {
    const session = await creds.engine.open(raw, {
      credentials: creds.credentials,
      ...(timeout === undefined ? {} : { timeout }),
      ...(signal === undefined ? {} : { signal }),
      ...(noTickets === undefined ? {} : { noTickets }),
    });
    try {
      verifySession(creds, session, {
        ...(hostname === undefined ? {} : { hostname }),
        ...(authorize === undefined ? {} : { authorize }),
      });
    } catch (error) {
      session.close();
      throw error;
    }
    const verified = creds.kind === "x509" ? creds.verifyPeer : creds.kind === "psk";
    return Object.assign(session, { verified });
  } catch (error) {
    raw.close();
    throw error;
  }
}
