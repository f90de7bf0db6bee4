/** QEMU's way from 10.2 on: load file by file, then check each identity's own chain. */

import { sameBytes } from "../base/mod.ts";
import { type CredentialFile, exists } from "./_files.ts";
import type { Identity } from "./_inspect.ts";
import { copyAuthority, quote, reissue } from "./_mend.ts";
import {
  checkChain,
  ENCRYPTED,
  inaccessible,
  isSeenMismatch,
  judge,
  loadCrl,
  loadDhParams,
  MISMATCH,
  MISSING,
  noPassphrase,
  notRead,
  refusal,
  type Step,
  USE_SECRET,
  type Walk,
} from "./_steps.ts";
import type { Certificate } from "./certificate.ts";
import type { Finding } from "./finding.ts";
import { isIssuedBy } from "./signature.ts";
import { nameOf } from "./_words.ts";

/** In QEMU's order. */
export const newSteps: readonly Step[] = [
  { run: loadAuthorities },
  { run: loadIdentities },
  { run: lookUpRest },
  { run: checkIdentities, isSanityCheck: true },
  { run: loadCrl },
  { run: loadDhParams },
];

function* loadAuthorities({ inspection: { caCert, anchors }, mending }: Walk): Iterable<Finding> {
  const reason = accessReason(caCert, true);
  if (reason !== undefined) yield inaccessible(caCert, reason, mending);
  else yield* directoryInstead(caCert, "Cannot load CA cert list");
  if (anchors?.ok === false) {
    yield refusal(
      "CA_DAMAGED",
      caCert.path,
      `Unable to import certificate ${caCert.path}: ${anchors.reason}`,
      "a certificate in it cannot be read",
      copyAuthority(mending),
    );
  }
}

function* loadIdentities(walk: Walk): Iterable<Finding> {
  const { inspection: { identity, numbered, endpoint }, mending } = walk;
  for (const one of [identity, ...numbered]) yield* loadIdentity(one, walk);
  const isThere = exists(identity.cert) || exists(identity.key) || numbered.length > 0;
  if (isThere || endpoint === "client") return;
  const [cert, key] = [identity.cert.path, identity.key.path];
  yield refusal(
    "IDENTITY_MISSING",
    cert,
    `Missing server cert '${cert}' & key '${key}'`,
    "a server must have a certificate and its key",
    reissue(mending),
  );
}

function* loadIdentity(identity: Identity, { inspection, mending }: Walk): Iterable<Finding> {
  const { cert, key, chain, keyState } = identity;
  for (const file of [cert, key]) {
    const reason = accessReason(file, false);
    if (reason !== undefined) yield inaccessible(file, reason, mending);
    else yield* directoryInstead(file, file === cert ? "Cannot load CA cert list" : KEY_UNREAD);
  }
  if (exists(cert) !== exists(key)) {
    const [there, missing] = exists(cert) ? [cert, key] : [key, cert];
    const [word, other] = exists(cert) ? ["Cert", "key"] : ["Key", "cert"];
    yield refusal(
      "PAIR_HALF",
      there.path,
      `${word} '${there.path}' without corresponding ${other} '${missing.path}'`,
      "a certificate and its key come together or not at all",
      reissue(mending),
    );
    return;
  }
  if (chain?.ok === false) {
    const message = `Unable to import certificate ${cert.path}: ${chain.reason}`;
    const cause = "a certificate in it cannot be read";
    yield refusal("CERT_DAMAGED", cert.path, message, cause, reissue(mending));
  }
  if (inspection.passwordFault !== undefined && exists(key)) {
    yield noPassphrase(key, inspection.passwordFault);
  }
  if (keyState?.kind === "bad") {
    const message = `Unable to import private key ${key.path}`;
    yield keyState.isEncrypted
      ? refusal("KEY_ENCRYPTED", key.path, message, ENCRYPTED, USE_SECRET)
      : refusal(
        "KEY_DAMAGED",
        key.path,
        message,
        "the file holds no private key in PEM",
        reissue(mending),
      );
  }
  if (isSeenMismatch(identity)) {
    const message = `Cannot set certificate '${cert.path}' & key '${key.path}': ${MISMATCH}`;
    const cause = `it is not the key of ${cert.path}`;
    yield refusal("KEY_MISMATCH", key.path, message, cause, reissue(mending));
  }
}

function* lookUpRest({ inspection: { caCrl, dhParams }, mending }: Walk): Iterable<Finding> {
  for (const file of [caCrl, dhParams]) {
    const reason = file && accessReason(file, false);
    if (file !== undefined && reason !== undefined) yield inaccessible(file, reason, mending);
  }
}

function* checkIdentities(walk: Walk): Iterable<Finding> {
  const { identity, numbered, anchors } = walk.inspection;
  const authorities = anchors?.ok ? anchors.value : undefined;
  for (const { chain, cert, key } of [identity, ...numbered]) {
    if (!chain?.ok || !exists(key) || authorities === undefined) continue;
    const certificates = chain.value;
    for (const [i, certificate] of certificates.entries()) {
      yield* judge(walk, certificate, cert.path, i === 0 ? "leaf" : "authority");
    }
    const broken = brokenLink(certificates);
    if (broken !== undefined) yield outOfOrder(broken, cert, walk);
    else yield* climb(walk, certificates.at(-1)!, authorities);
    if (broken === undefined) yield* checkChain(walk, certificates, authorities, cert.path);
  }
}

/** The first certificate of a file that the next one did not issue. */
function brokenLink(
  chain: readonly Certificate[],
): readonly [Certificate, Certificate] | undefined {
  const i = chain.findIndex((c, at) => at + 1 < chain.length && !isIssuedBy(c, chain[at + 1]!));
  return i < 0 ? undefined : [chain[i]!, chain[i + 1]!];
}

function outOfOrder(
  [issued, issuer]: readonly [Certificate, Certificate],
  cert: CredentialFile,
  { mending }: Walk,
): Finding {
  return refusal(
    "CHAIN_ORDER",
    cert.path,
    `Cert '${issuer.subject.text}' does not match issuer of cert '${issued.subject.text}'`,
    "each certificate of the file must be followed by its issuer, the leaf coming first",
    reissue(mending),
  );
}

/** From the last certificate of the file up to a root, each authority being checked. */
function* climb(
  walk: Walk,
  last: Certificate,
  authorities: readonly Certificate[],
): Iterable<Finding> {
  const { inspection: { caCert, identity }, mending } = walk;
  const seen = new Set<Certificate>();
  for (let at = last;;) {
    if (isIssuedBy(at, at)) return yield* judge(walk, at, caCert.path, "authority");
    const issuer = authorities.find((authority) => isIssuedBy(at, authority));
    if (issuer === undefined) {
      const { raw, text } = at.issuer;
      const isNamesake = authorities.some(({ subject }) => sameBytes(subject.raw, raw));
      const lack = isNamesake
        ? `the ${text} in ca-cert.pem is another authority of that name, with another key`
        : `ca-cert.pem lacks ${text}`;
      yield refusal(
        "CHAIN_NO_ROOT",
        identity.cert.path,
        `Cert '${at.subject.text}' has no issuer in CA chain`,
        `${lack}, and QEMU from 10.2 on wants all authorities up to the root`,
        copyAuthority(mending),
      );
      return;
    }
    // Authorities that certify each other would lead in a circle, in which QEMU never ends.
    if (seen.has(issuer)) return yield circle(caCert, issuer);
    seen.add(issuer);
    yield* judge(walk, issuer, caCert.path, "authority");
    at = issuer;
  }
}

function circle({ path }: CredentialFile, authority: Certificate): Finding {
  return refusal(
    "CHAIN_CIRCLE",
    path,
    `Cert '${authority.subject.text}' has no issuer in CA chain`,
    `the authorities around ${nameOf(authority)} issued each other, and none of them is a root`,
    `openssl storeutl -noout -text -certs ${quote(path)}`,
  );
}

const KEY_UNREAD = "Cannot load private key";

function* directoryInstead(file: CredentialFile, before: string): Iterable<Finding> {
  if (file.state.kind === "unreadable" && file.state.isDirectory) yield notRead(file, before)!;
}

/** QEMU from 10.2 on looks whether it may read a file, not only whether it is there. */
function accessReason({ state }: CredentialFile, isRequired: boolean): string | undefined {
  if (state.kind === "inaccessible") return state.reason;
  if (state.kind === "unreadable" && !state.isDirectory) return "Permission denied";
  return state.kind === "absent" && isRequired ? MISSING : undefined;
}
