/** What a session negotiated, and what the library thinks of the peer. */

import type { PeerStatus, SessionFacts } from "../session.ts";
import { dnText } from "./certificate.ts";
import type { GnutlsCredentials } from "./credentials.ts";
import { type Gnutls, readText } from "./library.ts";
import { Arena, copyDatum, DATUM_BYTES, numberAt } from "./memory.ts";

/** `GNUTLS_TLS1_0` and later. */
const VERSIONS: Readonly<Record<number, SessionFacts["version"]>> = {
  2: "TLS1.0",
  3: "TLS1.1",
  4: "TLS1.2",
  5: "TLS1.3",
};

/** `GNUTLS_CERT_…`. */
const STATUS = {
  invalid: 1 << 1,
  revoked: 1 << 5,
  signerNotFound: 1 << 6,
  insecureAlgorithm: 1 << 8,
  notActivated: 1 << 9,
  expired: 1 << 10,
} as const;

/** Reads what an established session has negotiated. */
export function readFacts(
  lib: Gnutls,
  session: Deno.PointerObject,
  credentials: GnutlsCredentials,
): SessionFacts {
  const { call } = lib;
  const version = VERSIONS[call.gnutls_protocol_get_version(session)];
  if (version === undefined) throw new TypeError("a version that GnuTLS 3 does not have");
  const group = readText(call.gnutls_group_get_name(call.gnutls_group_get(session)));
  const signature = readText(call.gnutls_sign_get_name(call.gnutls_sign_algorithm_get(session)));
  const user = credentials.kind === "psk" ? readPskUser(lib, session, credentials) : undefined;
  const asked = credentials.kind === "x509" && credentials.endpoint === "client"
    ? call.gnutls_certificate_client_get_request_status(session) > 0
    : undefined;
  const peerChain = credentials.kind === "x509" ? readPeerChain(lib, session) : [];
  const peerDn = peerChain[0] === undefined ? undefined : readDn(lib, peerChain[0]);
  return {
    version,
    cipher: cipherName(lib, session, version),
    ...(group === undefined ? {} : { group }),
    ...(signature === undefined ? {} : { signature }),
    peerChain,
    ...(peerDn === undefined ? {} : { peerDn }),
    ...(user === undefined ? {} : { pskIdentity: user }),
    ...(asked === undefined ? {} : { clientCertificateRequested: asked }),
  };
}

/** Judges the peer's chain as QEMU has it judged (crypto/tlssession.c). */
export function verifyPeer(lib: Gnutls, session: Deno.PointerObject): PeerStatus {
  using arena = new Arena();
  const out = arena.bytes(4);
  const code = lib.call.gnutls_certificate_verify_peers2(session, out);
  const status = code < 0 ? 0 : numberAt(out);
  return {
    ...(code < 0 ? { error: lib.text(code) } : {}),
    invalid: (status & STATUS.invalid) !== 0,
    signerNotFound: (status & STATUS.signerNotFound) !== 0,
    revoked: (status & STATUS.revoked) !== 0,
    insecureAlgorithm: (status & STATUS.insecureAlgorithm) !== 0,
    expired: (status & STATUS.expired) !== 0,
    notActivated: (status & STATUS.notActivated) !== 0,
  };
}

function cipherName(
  lib: Gnutls,
  session: Deno.PointerObject,
  version: SessionFacts["version"],
): string {
  const { call } = lib;
  const registered = call.gnutls_ciphersuite_get?.(session);
  if (registered) return readText(registered)!;
  const name = readText(call.gnutls_cipher_suite_get_name(
    // The suites of TLS 1.3 leave the key exchange open.
    version === "TLS1.3" ? 0 : call.gnutls_kx_get(session),
    call.gnutls_cipher_get(session),
    call.gnutls_mac_get(session),
  ));
  return registeredName(name ?? "unknown");
}

/** IANA's name of a suite from the library's own: `ECDHE_RSA_AES_128_CBC_SHA1`. */
export function registeredName(name: string): string {
  return `TLS_${name}`
    .replace(/^TLS_((?:EC)?DHE?_(?:RSA|ECDSA|PSK|DSS|ANON)|RSA_PSK|RSA|PSK)_/, "TLS_$1_WITH_")
    .replace("DH_ANON", "DH_anon")
    .replace(/_SHA1$/, "_SHA")
    .replace(/POLY1305$/, "$&_SHA256");
}

function readPeerChain(lib: Gnutls, session: Deno.PointerObject): Uint8Array[] {
  using arena = new Arena();
  const out = arena.bytes(4);
  const list = lib.call.gnutls_certificate_get_peers(session, out);
  if (list === null) return [];
  const datums = new Uint8Array(numberAt(out) * DATUM_BYTES);
  Deno.UnsafePointerView.copyInto(list, datums);
  return Array.from(
    { length: datums.length / DATUM_BYTES },
    (_, i) => copyDatum(datums, i * DATUM_BYTES),
  );
}

/** A subject that has no text is for the verification to refuse, not for the handshake. */
function readDn(lib: Gnutls, certificate: Uint8Array): string | undefined {
  try {
    return dnText(lib, certificate);
  } catch {
    return undefined;
  }
}

function readPskUser(
  lib: Gnutls,
  session: Deno.PointerObject,
  credentials: GnutlsCredentials,
): string | undefined {
  if (credentials.endpoint === "client") return credentials.pskUser;
  using arena = new Arena();
  const out = arena.bytes(DATUM_BYTES);
  // The session keeps the name, so it is copied and not freed.
  const code = lib.call.gnutls_psk_server_get_username2(session, out);
  return code < 0 ? undefined : new TextDecoder().decode(copyDatum(out));
}
