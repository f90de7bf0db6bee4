/** The judgement of the peer after a handshake, in QEMU's order and words. */

import { BaseError } from "../base/mod.ts";
import type { PeerStatus, TlsSession } from "../engine/mod.ts";
import { peerContext, quote, reissue, reissueFor, renew } from "./_mend.ts";
import { wording } from "./_steps.ts";
import { type Certificate, parseCertificate } from "./certificate.ts";
import { CredsError } from "./error.ts";
import { certificateNames, matchHostname } from "./hostname.ts";
import { parseIpAddress } from "./ip.ts";
import { type ChainFlag, type ChainStatus, MAX_CHAIN } from "./path.ts";
import { signatureCheck } from "./signature.ts";
import { verifyPeerChain } from "./path.ts";
import { day } from "./_words.ts";
import type { PeerExpectation, TlsCreds } from "./types.ts";

/** What GnuTLS demands of an RSA key in a session where no priority string says otherwise. */
export const MIN_RSA_BITS = 1024;

/**
 * Judges the peer of a session as QEMU does: chain, dates, authorization, host name. Nothing is
 * looked at when `verify-peer` is off, authorization neither, nor for shared or no keys.
 *
 * @throws {CredsError} A code that begins with `PEER_`, `NO_HOSTNAME`, or what the authorization
 * throws.
 */
export function verifySession(
  creds: TlsCreds,
  session: TlsSession,
  expected: PeerExpectation = {},
): void {
  if (creds.kind !== "x509" || !creds.verifyPeer) return;
  const sent = session.facts.peerChain;
  const status = session.verifyPeer();
  if (status?.error !== undefined) {
    throw new CredsError("PEER_VERIFY", {
      cause: status.error,
      hint: verifyHint(status.error, creds),
    });
  }
  if (status === undefined && sent.length === 0) {
    throw new CredsError("PEER_VERIFY", {
      cause: NO_CERTIFICATE,
      hint: verifyHint(NO_CERTIFICATE, creds),
    });
  }
  const chain = parseChain(sent, status === undefined);
  checkStatus(creds, chain, status);
  const leaf = chain[0];
  if (leaf === undefined) throw new CredsError("PEER_NO_CERTIFICATE");
  const now = Math.floor(creds.clock().getTime() / 1000) * 1000;
  for (const [i, certificate] of chain.entries()) {
    checkDates(certificate, now);
    if (i === 0) checkIdentity(creds, certificate, expected);
  }
}

const NO_CERTIFICATE = "No certificate was found.";

/** The engine's judgement, or our own where it has none. */
function checkStatus(creds: TlsCreds, chain: Certificate[], status: PeerStatus | undefined): void {
  const flags = status && flagsOf(status);
  if (flags?.size === 0) return;
  const own = validate(creds, chain);
  if (flags === undefined && own.flags.size === 0) return;
  const { reason } = wording(flags ?? own.flags);
  const cause = own.causes[0] ?? "the certificates do not satisfy the priority string";
  throw new CredsError("PEER_NOT_TRUSTED", {
    text: reason,
    cause,
    hint: [cause, ...mends(own, creds, chain[0])],
  });
}

function validate(creds: TlsCreds, chain: readonly Certificate[]): ChainStatus {
  return verifyPeerChain(chain, creds.trust, creds.crls, {
    now: creds.clock(),
    isSignedBy: signatureCheck(creds.engine),
    minRsaBits: MIN_RSA_BITS,
  });
}

function flagsOf(status: PeerStatus): Set<ChainFlag> {
  const { error: _error, ...flags } = status;
  return new Set(
    Object.entries(flags).filter(([, isSet]) => isSet).map(([flag]) => flag as ChainFlag),
  );
}

function parseChain(sent: readonly Uint8Array[], isOurs: boolean): Certificate[] {
  if (isOurs && sent.length > MAX_CHAIN) {
    throw new CredsError("PEER_VERIFY", { cause: "Some constraint limits were reached." });
  }
  try {
    return sent.map(parseCertificate);
  } catch (error) {
    if (!(error instanceof BaseError)) throw error;
    throw new CredsError("PEER_DAMAGED", { cause: error.facts.cause ?? error.message });
  }
}

function checkDates({ notBefore, notAfter }: Certificate, now: number): void {
  if (notAfter.getTime() < now) {
    throw new CredsError("PEER_EXPIRED", { hint: `it expired on ${day(notAfter)}` });
  }
  if (notBefore.getTime() > now) {
    throw new CredsError("PEER_NOT_ACTIVE", { hint: `it is valid from ${day(notBefore)} on` });
  }
}

function checkIdentity(creds: TlsCreds, leaf: Certificate, expected: PeerExpectation): void {
  const { text, fault } = leaf.subject;
  if (fault !== undefined) {
    const hint = "QEMU takes no certificate with an empty subject: give it a common name";
    throw new CredsError("PEER_NO_NAME", { cause: fault, hint });
  }
  if (expected.authorize?.allows(text) === false) {
    const identity = text.replaceAll(",", ",,");
    const option = `authz-simple,id=${expected.authorize.id},identity=${identity}`;
    const fault = expected.authorize.fault?.();
    const hint = fault === undefined
      ? `to let it in: --object ${quote(option)}`
      : `nobody is let in: ${fault}`;
    throw new CredsError("PEER_DENIED", { value: text, hint });
  }
  const { hostname } = expected;
  if (hostname === undefined || hostname === "") {
    if (creds.endpoint === "server") return;
    const hint = "say which name the peer's certificate must have, with tls-hostname";
    throw new CredsError("NO_HOSTNAME", { hint });
  }
  if (!matchHostname(leaf, hostname)) throw hostnameError(leaf, hostname);
}

function hostnameError(leaf: Certificate, hostname: string): CredsError {
  const names = certificateNames(leaf);
  const flag = parseIpAddress(hostname) === undefined ? "dns" : "ip";
  const anew = reissueFor(peerContext(leaf), flag, hostname);
  return new CredsError("PEER_HOSTNAME", {
    value: hostname,
    hint: names.length === 0
      ? ["the peer's certificate has no name at all", `issue it anew with the name: ${anew}`]
      : [
        `it may be another host: the peer's certificate is for ${names.join(", ")}`,
        `if that is the one, connect to one of its names, or set tls-hostname=${quote(names[0]!)}`,
        `if it has this name as well, issue it anew for all of them: ${anew}`,
      ],
  });
}

/** Why there may be no certificate: the other side's log says no more than that it was cut off. */
function verifyHint(cause: string, { endpoint, dir }: TlsCreds): string[] {
  if (cause !== NO_CERTIFICATE) return [];
  return endpoint === "server"
    ? [
      `the client has no client-cert.pem with its key, or none by an authority of ${dir}/ca-cert.pem`,
      "give the client its credentials: deno task ca issue HOST, or set verify-peer=off here",
    ]
    : ["the server sent no certificate: is it a server of anonymous or shared-key credentials"];
}

function mends(
  { flags }: ChainStatus,
  { dir }: TlsCreds,
  leaf: Certificate | undefined,
): string[] {
  if (flags.has("signerNotFound")) {
    return [
      `both sides must have the same authority: compare ${quote(`${dir}/ca-cert.pem`)} with theirs`,
    ];
  }
  if (flags.has("revoked") || flags.has("insecureAlgorithm")) {
    return [`where its authority is: ${reissue(peerContext(leaf))}`];
  }
  if (flags.has("expired")) return [`where its authority is: ${renew(peerContext(leaf))}`];
  return flags.has("notActivated") ? ["compare the clocks of both machines"] : [];
}
