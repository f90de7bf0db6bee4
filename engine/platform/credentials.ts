/** Credentials as node:tls takes them. */

import { type KeyObject, X509Certificate } from "node:crypto";
import { createSecureContext, type SecureContext } from "node:tls";
import { decodePem, encodePem } from "../../base/mod.ts";
import { EngineError } from "../error.ts";
import type { CredentialSpec, Endpoint, IdentityPem, TlsCredentials } from "../session.ts";
import { readPrivateKey } from "./key.ts";
import { type VersionRange, versionRange } from "./priority.ts";

/** Certificate chain and PKCS#8 key as PEM. */
interface Identity {
  readonly cert: string;
  readonly key: string;
}

/** What a session needs of loaded credentials. */
export interface LoadedCredentials {
  readonly endpoint: Endpoint;
  /**
   * What node:tls makes sessions with.
   *
   * @throws {EngineError} `ENGINE_UNSUPPORTED` If tickets are unwanted and TLS 1.3 alone is wanted.
   */
  context(noTickets: boolean): SecureContext;
}

const loaded = new WeakMap<TlsCredentials, LoadedCredentials>();

/**
 * Loads credentials. The trust anchors and CRLs are left to `creds`, which validates the peer's
 * chain after the handshake: node:tls ignores CRLs, and a server of it would send every trust
 * anchor along with its own chain.
 *
 * @throws {EngineError} `ENGINE_UNSUPPORTED` If node:tls would ignore a part of them,
 * `TLS_CREDENTIALS` if they are damaged or do not belong together.
 */
export function loadCredentials(spec: CredentialSpec): TlsCredentials {
  if (spec.kind !== "x509") {
    throw unsupported(spec.kind === "psk" ? "PSK credentials" : "anonymous credentials");
  }
  if (spec.identities.length > 1) throw unsupported("several identities");
  const versions = versionRange(spec.priority);
  const identity = spec.identities[0] && loadIdentity(spec.identities[0]);
  if (identity === undefined && spec.endpoint === "server") {
    throw refused("a server needs a certificate and a key");
  }
  const credentials: TlsCredentials = {
    endpoint: spec.endpoint,
    kind: spec.kind,
    [Symbol.dispose]: () => void loaded.delete(credentials),
  };
  loaded.set(credentials, {
    endpoint: spec.endpoint,
    context: contexts(spec.endpoint, versions, identity),
  });
  return credentials;
}

/**
 * Gives what was loaded.
 *
 * @throws {EngineError} `TLS_CREDENTIALS` If they are disposed or another engine's.
 */
export function loadedCredentials(credentials: TlsCredentials): LoadedCredentials {
  const found = loaded.get(credentials);
  if (found === undefined) {
    throw new EngineError("TLS_CREDENTIALS", {
      text: "cannot use TLS credentials: they are disposed or of another engine",
    });
  }
  return found;
}

function contexts(
  endpoint: Endpoint,
  versions: VersionRange,
  identity: Identity | undefined,
): LoadedCredentials["context"] {
  // A client without a list would trust Mozilla's roots and, as node:tls shares sessions between
  // such contexts, resume. A server with one would send it along with its own chain.
  const ca = endpoint === "client" ? { ca: [] } : {};
  const any = createSecureContext({ ...versions, ...identity, ...ca });
  let silent: SecureContext | undefined;
  return (noTickets) => {
    if (!noTickets || endpoint === "client") return any;
    // A server of TLS 1.3 always sends two tickets; one of TLS 1.2 within its handshake only.
    if (versions.minVersion === "TLSv1.3") throw unsupported("TLS 1.3 without session tickets");
    return silent ??= createSecureContext({ ...versions, ...identity, maxVersion: "TLSv1.2" });
  };
}

function loadIdentity(pem: IdentityPem): Identity {
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  const chain = decodePem(text(pem.certificate)).filter(({ label }) =>
    label === "CERTIFICATE" || label === "X509 CERTIFICATE"
  );
  if (chain.length === 0) {
    throw refused("there is no certificate in PEM form in the certificate file");
  }
  const [leaf] = chain.map(({ der }) => readCertificate(der));
  const key = readKey(text(pem.key), pem.password);
  // node:tls does not notice: it would reset every connection.
  if (!leaf!.checkPrivateKey(key)) {
    throw refused("the private key does not belong to the certificate");
  }
  checkKind(key);
  return {
    cert: chain.map(({ der }) => encodePem("CERTIFICATE", der)).join(""),
    key: String(key.export({ format: "pem", type: "pkcs8" })),
  };
}

function readKey(pem: string, password: string | undefined): KeyObject {
  try {
    return readPrivateKey(pem, password);
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    throw refused(`the private key cannot be used: ${error.facts.cause}`);
  }
}

function readCertificate(der: Uint8Array): X509Certificate {
  try {
    return new X509Certificate(der);
  } catch {
    throw refused("a certificate of the certificate file cannot be read");
  }
}

/** rustls signs with these alone, and says nothing about the others but a reset connection. */
function checkKind(key: KeyObject): void {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  const curve = details?.namedCurve ?? "";
  if (type === "rsa" && (details?.modulusLength ?? 0) >= 2048) return;
  if (type === "ec" && ["prime256v1", "secp384r1", "secp521r1"].includes(curve)) return;
  if (type === "ed25519") return;
  const what = type === "rsa" ? `RSA keys of ${details?.modulusLength} bits` : `${curve || type}`;
  throw unsupported(`TLS with ${what}`);
}

function refused(cause: string): EngineError {
  return new EngineError("TLS_CREDENTIALS", { option: "identity", value: "0", cause });
}

function unsupported(option: string): EngineError {
  return new EngineError("ENGINE_UNSUPPORTED", {
    value: "platform",
    option,
    hint: "install libgnutls30 and use --engine gnutls",
  });
}
