/**
 * libvirt's way: its sanity check is QEMU's old one with a few differences, and its own words for
 * files that it does not find or cannot load.
 */

import { type CredentialFile, exists } from "./_files.ts";
import type { Identity } from "./_inspect.ts";
import { copyAuthority, quote, reissue } from "./_mend.ts";
import { BAD_BASE64, NO_CERTIFICATE } from "./_pem.ts";
import { NOT_DECRYPTED } from "./_private_key.ts";
import {
  checkChain,
  FILE_ERROR,
  isSeenMismatch,
  judge,
  MISMATCH,
  MISSING,
  noPassphrase,
  refusal,
  type Step,
  type Walk,
} from "./_steps.ts";
import type { Finding } from "./finding.ts";

/** In libvirt's order. */
export const libvirtSteps: readonly Step[] = [
  { run: locate },
  { run: importFiles, isSanityCheck: true },
  { run: checkFiles, isSanityCheck: true },
  { run: loadTrust },
  { run: loadRevocations },
  { run: loadIdentities },
];

/** The most that libvirt reads of a file for its check, in bytes. */
const MAX_FILE = 65_536;

/** From 10.5 on all files are looked up first. */
function* locate(walk: Walk): Iterable<Finding> {
  const { inspection: { caCert, endpoint, identity }, profile } = walk;
  if (!profile.locatesFirst) return;
  const { path } = caCert;
  if (!exists(caCert)) yield missing(walk, caCert, `CA certificate '${path}' does not exist`);
  const { cert, key } = identity;
  const [hasCert, hasKey] = [exists(cert), exists(key)];
  if (hasCert && !hasKey) {
    const text = `Key '${key.path}' does not exist, but certificate '${cert.path}' does`;
    yield half(walk, cert, text);
  }
  if (!hasCert && endpoint === "server") {
    const isNumbered = profile.takesNumbered && walk.inspection.numbered.length > 0;
    if (!isNumbered) yield missing(walk, cert, `Certificate '${cert.path}' does not exist`);
  } else if (!hasCert && hasKey) {
    const text = `Certificate '${cert.path}' does not exist, but key '${key.path}' does`;
    yield half(walk, key, text);
  }
}

function missing({ mending }: Walk, file: CredentialFile, text: string): Finding {
  const reason = file.state.kind === "inaccessible" ? file.state.reason : MISSING;
  return refusal(
    reason === MISSING ? "FILE_MISSING" : "FILE_NOT_ACCESSIBLE",
    file.path,
    `${text}: ${reason}`,
    reason === MISSING ? "there is no such file" : `${reason.toLowerCase()}, for the account`,
    file.path === mending.caFile ? copyAuthority(mending) : reissue(mending),
  );
}

function half({ mending }: Walk, file: CredentialFile, text: string): Finding {
  const cause = "a certificate and its key come together or not at all";
  return refusal("PAIR_HALF", file.path, `${text}: ${MISSING}`, cause, reissue(mending));
}

/** The identities that are looked at: from 11.10 on the numbered ones too. */
function identities({ inspection: { identity, numbered }, profile }: Walk): readonly Identity[] {
  return profile.takesNumbered ? [identity, ...numbered] : [identity];
}

function* importFiles(walk: Walk): Iterable<Finding> {
  const { inspection: { caCert, authorities, endpoint }, mending } = walk;
  for (const { cert, leaf } of identities(walk)) {
    yield* tooLarge(cert);
    if (leaf?.ok !== false) continue;
    const text = `Unable to import ${endpoint} certificate ${cert.path}`;
    const cause = "the file does not begin with a certificate in PEM";
    yield refusal("CERT_DAMAGED", cert.path, text, cause, reissue(mending));
  }
  yield* tooLarge(caCert);
  if (authorities?.ok !== false) return;
  yield refusal(
    "CA_DAMAGED",
    caCert.path,
    `Unable to import CA certificate list ${caCert.path}`,
    `a certificate in it cannot be read: ${authorities.reason}`,
    copyAuthority(mending),
  );
}

function* tooLarge({ path, state }: CredentialFile): Iterable<Finding> {
  if (state.kind !== "present" || state.bytes.length <= MAX_FILE) return;
  yield refusal(
    "FILE_TOO_LARGE",
    path,
    `Failed to read file '${path}': Value too large for defined data type`,
    `it has ${state.bytes.length} bytes, and libvirt reads at most ${MAX_FILE}`,
    `openssl storeutl -noout -text -certs ${quote(path)}`,
  );
}

function* checkFiles(walk: Walk): Iterable<Finding> {
  const { inspection: { authorities, caCert } } = walk;
  for (const { leaf, cert } of identities(walk)) {
    if (leaf?.ok) yield* judge(walk, leaf.value, cert.path, "leaf");
  }
  if (!authorities?.ok) return;
  for (const authority of authorities.value) {
    yield* judge(walk, authority, caCert.path, "authority");
  }
  for (const { leaf, cert } of identities(walk)) {
    if (leaf?.ok) yield* checkChain(walk, [leaf.value], authorities.value, cert.path);
  }
}

function* loadTrust(walk: Walk): Iterable<Finding> {
  const { inspection: { caCert, anchors }, mending } = walk;
  const { path, state } = caCert;
  if (!exists(caCert)) {
    if (!walk.profile.locatesFirst) {
      yield missing(walk, caCert, `Cannot read CA certificate '${path}'`);
    }
    return;
  }
  const isUnreadable = state.kind === "unreadable";
  if (!isUnreadable && anchors?.ok !== false) return;
  if (anchors?.ok === false && anchors.reason === NO_CERTIFICATE) return;
  const reason = anchors?.ok === false ? anchors.reason : FILE_ERROR;
  yield refusal(
    isUnreadable ? "FILE_NOT_READABLE" : "CA_DAMAGED",
    path,
    `Unable to set x509 CA certificate: ${path}: ${reason}`,
    isUnreadable ? state.reason : "a certificate in it cannot be read",
    isUnreadable ? `ls -l ${quote(path)}` : copyAuthority(mending),
  );
}

function* loadRevocations({ inspection: { caCrl, crls } }: Walk): Iterable<Finding> {
  if (caCrl === undefined) return;
  const isUnreadable = caCrl.state.kind === "unreadable";
  if (!isUnreadable && crls?.ok !== false) return;
  const reason = crls?.ok === false ? crls.reason : FILE_ERROR;
  yield refusal(
    "CRL_DAMAGED",
    caCrl.path,
    `Unable to set x509 certificate revocation list: ${caCrl.path}: ${reason}`,
    "the file is no list of revoked certificates in PEM",
    `openssl crl -in ${quote(caCrl.path)} -noout`,
  );
}

function* loadIdentities(walk: Walk): Iterable<Finding> {
  for (const identity of identities(walk)) yield* loadIdentity(walk, identity);
}

function* loadIdentity(walk: Walk, identity: Identity): Iterable<Finding> {
  const { inspection: { endpoint, passwordFault }, profile, mending } = walk;
  const { cert, key, chain, keyState } = identity;
  if (!exists(cert) || !exists(key)) {
    if (profile.locatesFirst || endpoint === "client") return;
    const [what, file] = exists(cert)
      ? ["private key", key] as const
      : ["certificate", cert] as const;
    yield missing(walk, file, `Cannot read ${what} '${file.path}'`);
    return;
  }
  if (passwordFault !== undefined) yield noPassphrase(key, passwordFault);
  const say = (code: string, file: CredentialFile, reason: string, cause: string, mend: string) =>
    refusal(
      code,
      file.path,
      `Unable to set x509 key and certificate: ${key.path}, ${cert.path}: ${reason}`,
      cause,
      mend,
    );
  for (const file of [key, cert]) {
    if (file.state.kind !== "unreadable") continue;
    const list = `ls -l ${quote(file.path)}`;
    yield say("FILE_NOT_READABLE", file, FILE_ERROR, file.state.reason, list);
  }
  if (keyState?.kind !== "unknown" && keyState?.isEncrypted) {
    const decrypt = `openssl pkey -in ${quote(key.path)} -out plain-key.pem`;
    const cause = "the key is encrypted, and libvirt asks for no passphrase";
    yield say("KEY_ENCRYPTED", key, NOT_DECRYPTED, cause, decrypt);
  } else if (keyState?.kind === "bad") {
    const cause = "the file holds no private key in PEM";
    yield say("KEY_DAMAGED", key, keyState.reason, cause, reissue(mending));
  }
  if (chain?.ok === false) {
    const reason = chain.reason === NO_CERTIFICATE ? BAD_BASE64 : chain.reason;
    yield say("CERT_DAMAGED", cert, reason, "a certificate in it cannot be read", reissue(mending));
  }
  if (isSeenMismatch(identity)) {
    yield say("KEY_MISMATCH", key, MISMATCH, `it is not the key of ${cert.path}`, reissue(mending));
  }
}
