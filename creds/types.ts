/** What the objects of `creds` look like from outside. */

import type { Clock } from "../base/mod.ts";
import type { CredentialSpec, Endpoint, Engine, TlsCredentials } from "../engine/mod.ts";
import type { Certificate } from "./certificate.ts";
import type { RevocationList } from "./crl.ts";

/** One set of credentials as it was read: all of its files, or none. */
export interface CredentialSet extends Disposable {
  readonly id: string;
  readonly kind: CredentialSpec["kind"];
  readonly endpoint: Endpoint;
  /** Whether {@linkcode verifySession} looks at the peer at all. */
  readonly verifyPeer: boolean;
  /** The directory as the user wrote it; empty for `tls-creds-anon` without one. */
  readonly dir: string;
  readonly priority?: string;
  readonly engine: Engine;
  /** What {@linkcode Engine.open} takes. */
  readonly credentials: TlsCredentials;
  /** What it identifies itself with; a client may have nothing, as have shared and no keys. */
  readonly identity: Certificate | undefined;
  /** Trust anchors, in the order of `ca-cert.pem`. */
  readonly trust: readonly Certificate[];
  /** Of `ca-crl.pem`, on a server. */
  readonly crls: readonly RevocationList[];
  readonly clock: Clock;
}

/**
 * A loaded `tls-creds-*` object: alive until its registry removes it. Sessions opened with it keep
 * the credentials they were opened with, also over a {@linkcode reload}.
 */
export interface TlsCreds extends CredentialSet {
  /**
   * Reads the files again and, if all is well with them, has new sessions use them; on any error
   * the old set stays. Calls that overlap run one after the other.
   *
   * @returns Whether there was anything new.
   * @throws {CredsError} As when the object was made.
   */
  reload(): Promise<boolean>;
}

/** An `authz-*` object as a service names it, resolved anew at each check, as QEMU does. */
export interface Authorization {
  readonly id: string;
  /**
   * Whether the identity (for TLS the distinguished name of the peer) may come in.
   *
   * @throws {CredsError} `AUTHZ_NOT_FOUND` or `NOT_AUTHZ` if there is no such object by now.
   */
  allows(identity: string): boolean;
  /** Why it let nobody in at the last check, where that is no rule's doing. */
  fault?(): string | undefined;
}

/** What {@linkcode verifySession} compares the peer with. */
export interface PeerExpectation {
  /** The name that a client wanted to reach; a server has none. */
  readonly hostname?: string;
  /** Who may come in, by distinguished name. */
  readonly authorize?: Authorization;
}
