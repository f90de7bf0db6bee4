/**
 * TLS sessions, signing and verifying behind one interface, and the choice of what does the work:
 * `gnutls` (QEMU's own library, by FFI) or `platform` (Deno's own).
 */

import type { ByteChannel } from "./byte_channel.ts";
import type { KeyEngine } from "./key.ts";
import type {
  CredentialSpec,
  PriorityCheck,
  SessionOptions,
  TlsCredentials,
  TlsSession,
} from "./session.ts";

export * from "./algorithm.ts";
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
   * @throws {EngineError} `TLS_CREDENTIALS` if the library refuses them: `facts.option` says which
   * part (`trust`, `identity` with its index in `facts.value`, `crl`, `psk`, `priority` with
   * `facts.offset`), `facts.cause` is the library's text, which QEMU quotes. `ENGINE_UNSUPPORTED`
   * if they ask for something this engine would ignore. A priority string that the library does
   * not read is refused here, where QEMU fails only in each session.
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
  /** Reads a priority string as a session would; only where the engine is GnuTLS. */
  checkPriority?(text: string): PriorityCheck;
  /**
   * Whether a certificate (DER) is for a host, in the library's own judgement
   * (`gnutls_x509_crt_check_hostname`); only where the engine is GnuTLS.
   *
   * @throws {EngineError} `CERTIFICATE` if it is no certificate.
   */
  matchHostname?(certificate: Uint8Array, name: string): boolean;
  /**
   * The subject of a certificate (DER) as QEMU compares it with authorization rules
   * (`gnutls_x509_crt_get_dn2`); only where the engine is GnuTLS.
   *
   * @throws {EngineError} `CERTIFICATE` if it is no certificate.
   */
  dnText?(certificate: Uint8Array): string;
}
