/** Dates and lists: what expires, what is revoked, and whose list that is. */

import { sameBytes } from "../base/mod.ts";
import type { CredentialFile } from "./_files.ts";
import type { Beside } from "./_look.ts";
import { type MendContext, publishCrl, quote, reissue, renew, renewAuthority } from "./_mend.ts";
import { day, days, nameOf } from "./_words.ts";
import type { Certificate } from "./certificate.ts";
import type { Finding } from "./finding.ts";
import { revokedSince } from "./path.ts";

/** What ends soon, and lists that were to be replaced by now. */
export function* expiry(beside: Beside, leaf?: Certificate): Iterable<Finding> {
  const { inspection: { identity, caCert, caCrl, anchors, crls }, mending } = beside;
  if (leaf !== undefined) {
    yield* soon(beside, "CERT_EXPIRES_SOON", identity.cert, leaf.notAfter, "it", renew(mending));
  }
  for (const authority of anchors?.ok ? anchors.value : []) {
    const mend = renewAuthority(mending);
    yield* soon(beside, "CA_EXPIRES_SOON", caCert, authority.notAfter, nameOf(authority), mend);
  }
  if (caCrl === undefined || !beside.options.verifyPeer) return;
  for (const { nextUpdate } of crls?.ok ? crls.value : []) {
    if (nextUpdate === undefined) continue;
    if (nextUpdate < beside.chain.now) yield crlExpired(caCrl, nextUpdate, mending);
    yield* soon(beside, "CRL_EXPIRES_SOON", caCrl, nextUpdate, "the list", publishCrl(mending));
  }
}

function* soon(
  { chain: { now }, options }: Beside,
  code: string,
  file: CredentialFile,
  end: Date,
  what: string,
  mend: string,
): Iterable<Finding> {
  const left = end.getTime() - now.getTime();
  if (left < 0 || left >= options.expiresIn) return;
  const cause = `${what} expires on ${day(end)}, in ${days(Math.ceil(left / 86_400_000))}`;
  yield { code, severity: "warning", file: file.path, message: "", cause, mend };
}

function crlExpired(file: CredentialFile, end: Date, mending: MendContext): Finding {
  return {
    code: "CRL_EXPIRED",
    severity: "warning",
    file: file.path,
    message: "",
    cause: `its successor was due on ${day(end)}; QEMU goes on with it and misses revocations`,
    mend: publishCrl(mending),
  };
}

/** QEMU does not hold its own certificate against the list; its peers do, when they are servers. */
export function* revocation(
  { inspection, mending }: Beside,
  leaf?: Certificate,
): Iterable<Finding> {
  const { revocations, identity, endpoint } = inspection;
  const since = leaf && revokedSince(leaf, revocations);
  if (since === undefined) return;
  yield {
    code: "CERT_REVOKED",
    severity: endpoint === "client" ? "error" : "warning",
    file: identity.cert.path,
    message: "",
    cause: `it was revoked on ${day(since)}`,
    mend: reissue(mending),
  };
}

/** QEMU takes a list of anybody; the authority's signature is what makes it one. */
export function* lists({ inspection, chain, options }: Beside): Iterable<Finding> {
  if (!options.verifyPeer) return;
  const { crls, anchors, caCrl } = inspection;
  const authorities = anchors?.ok ? anchors.value : [];
  for (const list of crls?.ok ? crls.value : []) {
    const isKnown = authorities.some((authority) =>
      sameBytes(list.issuer.raw, authority.subject.raw) &&
      (chain.isSignedBy(list, authority) ?? true)
    );
    if (isKnown || caCrl === undefined) continue;
    yield {
      code: "CRL_NOT_SIGNED",
      severity: "warning",
      file: caCrl.path,
      message: "",
      cause:
        `no certificate in ca-cert.pem signed the list of ${list.issuer.text}; QEMU uses it all the same`,
      mend: `openssl crl -in ${quote(caCrl.path)} -CAfile ${quote(inspection.caCert.path)} -noout`,
    };
  }
}
