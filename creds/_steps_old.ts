/** QEMU's way up to 10.1: look all files up, check, then load them. */

import { type CredentialFile, exists } from "./_files.ts";
import type { Inspection } from "./_inspect.ts";
import { copyAuthority, quote, reissue } from "./_mend.ts";
import { BAD_BASE64, NO_CERTIFICATE } from "./_pem.ts";
import {
  checkChain,
  ENCRYPTED,
  FILE_ERROR,
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
import type { Finding } from "./finding.ts";

/** In QEMU's order. */
export const oldSteps: readonly Step[] = [
  { run: lookUp },
  { run: importLeaf, isSanityCheck: true },
  { run: importAuthorities, isSanityCheck: true },
  { run: judgeLeaf, isSanityCheck: true },
  { run: judgeAuthorities, isSanityCheck: true },
  { run: verifyLeaf, isSanityCheck: true },
  { run: loadTrust },
  { run: loadKey },
  { run: loadCrl },
  { run: loadDhParams },
];

function* lookUp({ inspection, mending }: Walk): Iterable<Finding> {
  for (const [file, isRequired] of filesInOrder(inspection)) {
    if (file.state.kind === "inaccessible") yield inaccessible(file, file.state.reason, mending);
    if (file.state.kind === "absent" && isRequired) yield inaccessible(file, MISSING, mending);
  }
}

function filesInOrder(inspection: Inspection): [CredentialFile, boolean][] {
  const { caCert, caCrl, identity, dhParams, endpoint } = inspection;
  const isServer = endpoint === "server";
  const files: [CredentialFile | undefined, boolean][] = [
    [caCert, true],
    [caCrl, false],
    [identity.cert, isServer],
    [identity.key, isServer],
    [dhParams, false],
  ];
  return files.filter((entry): entry is [CredentialFile, boolean] => entry[0] !== undefined);
}

function* importLeaf({ inspection: { endpoint, identity }, mending }: Walk): Iterable<Finding> {
  yield* directoryInstead(identity.cert);
  if (identity.leaf?.ok !== false) return;
  const { path } = identity.cert;
  const { reason } = identity.leaf;
  yield refusal(
    "CERT_DAMAGED",
    path,
    `Unable to import ${endpoint} certificate ${path}: ${reason}`,
    "the file does not begin with a certificate in PEM",
    reissue(mending),
  );
}

function* importAuthorities(
  { inspection: { caCert, authorities }, mending }: Walk,
): Iterable<Finding> {
  yield* directoryInstead(caCert);
  if (authorities?.ok !== false) return;
  yield refusal(
    "CA_DAMAGED",
    caCert.path,
    `Unable to import CA certificate list ${caCert.path}`,
    `a certificate in it cannot be read: ${authorities.reason}`,
    copyAuthority(mending),
  );
}

/** What may not be read is skipped by the check, but a directory may be. */
function* directoryInstead(file: CredentialFile): Iterable<Finding> {
  if (file.state.kind !== "unreadable" || !file.state.isDirectory) return;
  yield notRead(file, "Cannot load CA cert list")!;
}

function* judgeLeaf(walk: Walk): Iterable<Finding> {
  const { leaf, cert } = walk.inspection.identity;
  if (leaf?.ok) yield* judge(walk, leaf.value, cert.path, "leaf");
}

function* judgeAuthorities(walk: Walk): Iterable<Finding> {
  const { authorities, caCert } = walk.inspection;
  for (const authority of authorities?.ok ? authorities.value : []) {
    yield* judge(walk, authority, caCert.path, "authority");
  }
}

function* verifyLeaf(walk: Walk): Iterable<Finding> {
  const { authorities, identity: { leaf, cert } } = walk.inspection;
  if (leaf?.ok && authorities?.ok) {
    yield* checkChain(walk, [leaf.value], authorities.value, cert.path);
  }
}

function* loadTrust({ inspection: { caCert, anchors }, mending }: Walk): Iterable<Finding> {
  const isUnreadable = caCert.state.kind === "unreadable";
  if (!isUnreadable && anchors?.ok !== false) return;
  // No certificate at all is no error to GnuTLS: then nobody is trusted.
  if (anchors?.ok === false && anchors.reason === NO_CERTIFICATE) return;
  const reason = anchors?.ok === false ? anchors.reason : FILE_ERROR;
  yield refusal(
    isUnreadable ? "FILE_NOT_READABLE" : "CA_DAMAGED",
    caCert.path,
    `Cannot load CA certificate '${caCert.path}': ${reason}`,
    caCert.state.kind === "unreadable" ? caCert.state.reason : "a certificate in it cannot be read",
    isUnreadable ? `ls -l ${quote(caCert.path)}` : copyAuthority(mending),
  );
}

/** A client with only one half of the pair goes without: QEMU loads neither. */
function* loadKey({ inspection: { identity, passwordFault }, mending }: Walk): Iterable<Finding> {
  const { cert, key, chain, keyState } = identity;
  if (!exists(cert) || !exists(key)) return;
  if (passwordFault !== undefined) yield noPassphrase(key, passwordFault);
  const say = (code: string, file: CredentialFile, reason: string, cause: string, mend: string) =>
    refusal(
      code,
      file.path,
      `Cannot load certificate '${cert.path}' & key '${key.path}': ${reason}`,
      cause,
      mend,
    );
  for (const file of [key, cert]) {
    if (file.state.kind !== "unreadable") continue;
    yield say(
      "FILE_NOT_READABLE",
      file,
      FILE_ERROR,
      file.state.reason,
      `ls -l ${quote(file.path)}`,
    );
  }
  if (keyState?.kind === "bad") {
    const { isEncrypted, reason } = keyState;
    yield isEncrypted
      ? say("KEY_ENCRYPTED", key, reason, ENCRYPTED, USE_SECRET)
      : say("KEY_DAMAGED", key, reason, "the file holds no private key in PEM", reissue(mending));
  }
  if (chain?.ok === false) {
    const reason = chain.reason === NO_CERTIFICATE ? BAD_BASE64 : chain.reason;
    yield say(
      "CERT_DAMAGED",
      cert,
      reason,
      "a certificate in it cannot be read",
      reissue(mending),
    );
  }
  if (isSeenMismatch(identity)) {
    yield say("KEY_MISMATCH", key, MISMATCH, `it is not the key of ${cert.path}`, reissue(mending));
  }
}
