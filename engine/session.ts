/** A TLS session as both engines give it. */

import type { ByteChannel } from "./byte_channel.ts";

/** What QEMU calls the endpoint of credentials, and TLS the role; independent of who dialled. */
export type Endpoint = "client" | "server";

/** Longest time in ms that a handshake may take unless the caller says otherwise. */
export const HANDSHAKE_TIMEOUT = 15_000;

/** One certificate chain with its private key, as PEM bytes. */
export interface IdentityPem {
  /** Leaf first. */
  readonly certificate: Uint8Array;
  readonly key: Uint8Array;
  /** Passphrase of an encrypted key. */
  readonly password?: string;
}

/** What credentials are made of; files are read by `creds`, never here. */
export type CredentialSpec =
  | {
    readonly kind: "x509";
    readonly endpoint: Endpoint;
    /** Trust anchors, PEM. */
    readonly trust: Uint8Array;
    readonly identities: readonly IdentityPem[];
    /** CRLs, PEM. */
    readonly crl?: Uint8Array;
    /** GnuTLS priority string; the build's default when absent. */
    readonly priority?: string;
  }
  | {
    readonly kind: "psk";
    readonly endpoint: Endpoint;
    /** Key in raw bytes by user name; a client has one. */
    readonly keys: Readonly<Record<string, Uint8Array>>;
    readonly priority?: string;
  }
  | { readonly kind: "anon"; readonly endpoint: Endpoint; readonly priority?: string };

/** Whether a priority string can be read and, where not, what the library says of which place. */
export type PriorityCheck =
  | { readonly ok: true }
  | {
    readonly ok: false;
    /** Offset in characters of the element that is not understood. */
    readonly position: number;
    /** The library's text: `The request is invalid.`. */
    readonly error: string;
  };

/** Loaded credentials: owned by whoever asked for them, alive until disposed. */
export interface TlsCredentials extends Disposable {
  readonly endpoint: Endpoint;
  readonly kind: CredentialSpec["kind"];
}

/** How a session is opened. */
export interface SessionOptions {
  readonly credentials: TlsCredentials;
  /** The server_name to send; QEMU's services send none, so none is the default. */
  readonly serverName?: string;
  /** Longest time of the handshake in ms; {@linkcode HANDSHAKE_TIMEOUT} by default. */
  readonly timeout?: number;
  readonly signal?: AbortSignal;
  /**
   * Promise that a server sends no session ticket (a QEMU source without return path loses the
   * tail of its stream otherwise). GnuTLS sends none anyway; the platform keeps to TLS 1.2.
   */
  readonly noTickets?: boolean;
  /**
   * Have a GnuTLS server send session tickets, as QEMU's never does, to see what a peer makes of
   * them; none is ever accepted. The platform's server sends them anyway in TLS 1.3.
   */
  readonly tickets?: boolean;
}

/** What was negotiated. */
export interface SessionFacts {
  readonly version: "TLS1.0" | "TLS1.1" | "TLS1.2" | "TLS1.3";
  /** IANA name, such as `TLS_AES_256_GCM_SHA384`. */
  readonly cipher: string;
  /** Key exchange group as the engine names it, where it tells. */
  readonly group?: string;
  /** Signature algorithm of the peer or, for a server, its own, where the engine tells. */
  readonly signature?: string;
  /** The peer's certificates as sent, DER, leaf first; empty when it sent none. */
  readonly peerChain: readonly Uint8Array[];
  /** The peer's subject as QEMU's authorization rules see it, where the engine tells. */
  readonly peerDn?: string;
  /** User name of a PSK session. */
  readonly pskIdentity?: string;
  /** On a client: whether the server asked for a certificate, where the engine tells. */
  readonly clientCertificateRequested?: boolean;
}

/** The answer of the engine's own path validation, in GnuTLS's terms (`GNUTLS_CERT_*`). */
export interface PeerStatus {
  /** The verification could not be made; the library's text (`No certificate was found.`). */
  readonly error?: string;
  readonly invalid: boolean;
  readonly signerNotFound: boolean;
  readonly revoked: boolean;
  readonly insecureAlgorithm: boolean;
  readonly expired: boolean;
  readonly notActivated: boolean;
}

/** An established session: a byte channel with facts. */
export interface TlsSession extends ByteChannel {
  readonly facts: SessionFacts;
  /**
   * The engine's own judgement of the peer's chain against the credentials, as QEMU asks for it;
   * `undefined` where the engine has none and `creds` must validate the chain.
   */
  verifyPeer(): PeerStatus | undefined;
  /**
   * How the peer ended: `true` with close_notify, `false` without (a truncation, or how QEMU
   * before 10.0 always ends), `undefined` while it has not, or where the engine cannot tell.
   */
  readonly closedCleanly: boolean | undefined;
}
