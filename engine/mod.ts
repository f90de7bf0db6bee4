/**
 * TLS sessions, signing and verifying behind one interface, and the choice of what does the work:
 * `gnutls` (QEMU's own library, by FFI) or `platform` (Deno's own).
 */

import type { ByteChannel } from "./byte_channel.ts";
import type { KeyEngine } from "./key.ts";
import type { CredentialSpec, SessionOptions, TlsCredentials, TlsSession } from "./session.ts";

export * from "./byte_channel.ts";
export * from "./choose.ts";
export * from "./error.ts";
export * from "./key.ts";
export * from "./session.ts";

/** The engines there are. */
export type EngineName = "gnutls" | "platform";

/** One way to do TLS and signatures. */
export interface Engine extends KeyEngine {
  readonly name: EngineName;
  /** Library and version for people: `GnuTLS 3.7.9`, `Deno 2.9.6`. */
  readonly version: string;
  /**
   * Loads credentials.
   *
   * @throws {EngineError} `TLS_CREDENTIALS` if the library refuses them, `ENGINE_UNSUPPORTED` if
   * they ask for something this engine would ignore.
   */
  credentials(spec: CredentialSpec): TlsCredentials;
  /**
   * Makes a session on a channel, in the role of the credentials' endpoint. A server asks for a
   * client certificate and does not insist on one; nobody is verified yet, that is `creds`' part.
   * A failure closes the channel.
   *
   * @throws {EngineError} `TLS_HANDSHAKE`, `TLS_TIMEOUT`.
   */
  open(channel: ByteChannel, options: SessionOptions): Promise<TlsSession>;
}
