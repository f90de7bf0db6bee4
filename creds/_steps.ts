/** What both of QEMU's ways through a directory share. */

import { derChildren, type DerElement, readDerWhole, sameBytes, Tag } from "../base/mod.ts";
import type { CredentialFile } from "./_files.ts";
import type { Identity, Inspection } from "./_inspect.ts";
import { copyAuthority, type MendContext, newAuthority, quote, reissue } from "./_mend.ts";
import { readBlock } from "./_pem.ts";
import { type Certificate, parsePublicKey } from "./certificate.ts";
import type { Finding } from "./finding.ts";
import { type ChainContext, type ChainFlag, type ChainStatus, verifyChain } from "./path.ts";
import type { Profile } from "./profiles.ts";
import { RULES, type Subject } from "./rules.ts";

/** What a step works with. */
export interface Walk {
  readonly inspection: Inspection;
  readonly profile: Profile;
  readonly chain: ChainContext;
  readonly mending: MendContext;
  /** What was found so far. */
  readonly found: readonly Finding[];
}

/** One stretch of the way; `isSanityCheck` ones are left out with `sanity-check=off`. */
export interface Step {
  readonly isSanityCheck?: boolean;
  run(walk: Walk): Iterable<Finding>;
}

/** Applies the table of rules to one certificate. */
export function* judge(
  walk: Walk,
  certificate: Certificate,
  file: string,
  role: Subject["role"],
): Iterable<Finding> {
  const { inspection: { endpoint }, profile, chain: { now }, mending } = walk;
  const subject: Subject = { certificate, file, role, endpoint, now, profile, mending };
  for (const rule of RULES) {
    if (rule.role !== role || rule.appliesTo?.(profile) === false || !rule.fails(subject)) continue;
    yield {
      code: rule.code,
      severity: "error",
      file,
      message: rule.message(subject),
      cause: rule.cause(subject),
      mend: rule.mend(subject),
    };
  }
}

/** GnuTLS's words for a file that it cannot read. */
export const FILE_ERROR = "Error while reading file.";

/** GnuTLS's words for a key of another certificate. */
export const MISMATCH = "The certificate and the given key do not match.";

/** A finding that makes QEMU refuse the directory. */
export function refusal(
  code: string,
  file: string,
  message: string,
  cause: string,
  mend: string,
): Finding {
  return { code, severity: "error", file, message, cause, mend };
}

/** A file that cannot be looked up. */
export function inaccessible(file: CredentialFile, reason: string, mending: MendContext): Finding {
  const isMissing = reason === MISSING;
  return refusal(
    isMissing ? "FILE_MISSING" : "FILE_NOT_ACCESSIBLE",
    file.path,
    `Unable to access credentials ${file.path}: ${reason}`,
    isMissing ? "there is no such file" : `${reason.toLowerCase()}, for the account that looks`,
    isMissing
      ? file.path === mending.caFile ? copyAuthority(mending) : reissue(mending)
      : `ls -ld ${quote(mending.dir)} ${quote(file.path)}`,
  );
}

/** A file that QEMU itself fails to read, in the words of GLib, quotation marks included. */
export function notRead({ path, state }: CredentialFile, before: string): Finding | undefined {
  if (state.kind !== "unreadable") return undefined;
  const reason = state.isDirectory
    ? `Error reading file “${path}”: Is a directory`
    : `Failed to open file “${path}”: Permission denied`;
  const message = before === "" ? reason : `${before} ${path}: ${reason}`;
  return refusal("FILE_NOT_READABLE", path, message, state.reason, `ls -ld ${quote(path)}`);
}

/** The kernel's words for a file that is not there. */
export const MISSING = "No such file or directory";

/** Validates a chain against authorities, and words the outcome as QEMU does. */
export function* checkChain(
  walk: Walk,
  certificates: readonly Certificate[],
  authorities: readonly Certificate[],
  file: string,
): Iterable<Finding> {
  const { inspection, chain, mending, found } = walk;
  const status = verifyChain(certificates, authorities, chain);
  if (status.flags.size === 0) return;
  const { code, reason } = wording(status.flags);
  // An authority's own defect is said already, in clearer words than "not trusted".
  if (code === "CHAIN_NOT_TRUSTED" && found.some((f) => RULES.some((r) => r.code === f.code))) {
    return;
  }
  const caFile = inspection.caCert.path;
  // libvirt's reasons are whole sentences, all but this one.
  const stop = walk.profile.logic === "libvirt" && code !== "CHAIN_INSECURE" ? "." : "";
  yield refusal(
    code,
    file,
    `Our own certificate ${file} failed validation against ${caFile}: ${reason}${stop}`,
    chainCause(walk, status, code),
    chainMend(status, code, mending),
  );
}

function chainMend({ causes }: ChainStatus, code: string, mending: MendContext): string {
  if (code === "CHAIN_NO_ISSUER") return copyAuthority(mending);
  const isAuthoritysFault = code === "CHAIN_NOT_TRUSTED" && causes[0]!.includes("its issuer");
  return isAuthoritysFault ? newAuthority(mending) : reissue(mending);
}

/** QEMU names one reason: of several the last in its own order. */
export function wording(
  flags: ReadonlySet<ChainFlag>,
): { readonly code: string; readonly reason: string } {
  if (flags.has("insecureAlgorithm")) {
    return { code: "CHAIN_INSECURE", reason: "The certificate uses an insecure algorithm" };
  }
  if (flags.has("revoked")) {
    return { code: "CHAIN_REVOKED", reason: "The certificate has been revoked" };
  }
  if (flags.has("signerNotFound")) {
    return { code: "CHAIN_NO_ISSUER", reason: "The certificate hasn't got a known issuer" };
  }
  return { code: "CHAIN_NOT_TRUSTED", reason: "The certificate is not trusted" };
}

function chainCause({ inspection, profile }: Walk, status: ChainStatus, code: string): string {
  const cause = status.causes[0]!;
  const chain = inspection.identity.chain;
  if (code !== "CHAIN_NO_ISSUER" || profile.logic === "new" || !chain?.ok) return cause;
  if (chain.value.length > 1) {
    const who = profile.logic === "libvirt" ? "libvirt" : "QEMU before 10.2";
    return `${cause} in ca-cert.pem; ${who} does not look for it in ${inspection.identity.cert.path}`;
  }
  const all = inspection.anchors?.ok ? inspection.anchors.value.length : 0;
  return all > 16 ? `${cause} among the first 16 of the ${all} certificates in ca-cert.pem` : cause;
}

/** Whether QEMU sees at load that a key is another certificate's. */
export function isSeenMismatch(identity: Identity): boolean {
  const keys = keysOf(identity);
  if (keys === undefined || areBothEdwards(...keys)) return false;
  const isProven = identity.keyState?.kind === "good" ? identity.keyState.isProven : undefined;
  return !(isProven ?? samePublicKey(...keys));
}

/** Whether a key is another certificate's, and QEMU finds out in the first handshake only. */
export function isUnseenMismatch(identity: Identity): boolean {
  const keys = keysOf(identity);
  return keys !== undefined && !samePublicKey(...keys) && areBothEdwards(...keys);
}

type Keys = [Uint8Array, Uint8Array];

function keysOf({ keyState, chain }: Identity): Keys | undefined {
  if (keyState?.kind !== "good" || !chain?.ok) return undefined;
  return [keyState.publicKey, chain.value[0]!.spki];
}

/** GnuTLS compares keys by a signature with SHA-256, which the Edwards curves have none of. */
function areBothEdwards(...keys: Keys): boolean {
  const [a, b] = keys.map((key) => parsePublicKey(readDerWhole(key)).oid);
  return a === b && EDWARDS.includes(a!);
}

const EDWARDS = ["1.3.101.112", "1.3.101.113"];

/** Loads the CRLs. */
export function* loadCrl({ inspection: { caCrl, crls } }: Walk): Iterable<Finding> {
  if (caCrl === undefined) return;
  const reason = caCrl.state.kind === "unreadable"
    ? FILE_ERROR
    : crls?.ok === false
    ? crls.reason
    : "";
  if (reason === "") return;
  yield refusal(
    "CRL_DAMAGED",
    caCrl.path,
    `Cannot load CRL '${caCrl.path}': ${reason}`,
    "the file is no list of revoked certificates in PEM",
    `openssl crl -in ${quote(caCrl.path)} -noout`,
  );
}

/** Loads Diffie-Hellman parameters, which no session needs any more but a wrong file spoils. */
export function* loadDhParams({ inspection: { dhParams } }: Walk): Iterable<Finding> {
  const unread = dhParams && notRead(dhParams, "");
  if (unread !== undefined) yield unread;
  if (dhParams?.state.kind !== "present") return;
  const block = readBlock(dhParams.state.text, "DH PARAMETERS");
  if (block.ok && isDhParams(block.value)) return;
  const reason = block.ok ? "ASN1 parser: Error in DER parsing." : block.reason;
  yield refusal(
    "DH_PARAMS_DAMAGED",
    dhParams.path,
    `Unable to load DH parameters from ${dhParams.path}: ${reason}`,
    "the file holds no Diffie-Hellman parameters in PEM, and needs not be there",
    `rm ${quote(dhParams.path)}`,
  );
}

function isDhParams(der: Uint8Array): boolean {
  try {
    const fields = derChildren(readDerWhole(der, Tag.SEQUENCE));
    return fields.length >= 2 && fields.every(({ tag }) => tag === Tag.INTEGER);
  } catch {
    return false;
  }
}

/** Equal keys, whether or not an algorithm spells out its NULL parameters. */
function samePublicKey(a: Uint8Array, b: Uint8Array): boolean {
  if (sameBytes(a, b)) return true;
  const key = (spki: Uint8Array): DerElement | undefined => derChildren(readDerWhole(spki))[1];
  const [x, y] = [key(a), key(b)];
  return x !== undefined && y !== undefined && sameBytes(x.content, y.content);
}

/** Why an encrypted key is not read. */
export const ENCRYPTED = "the key is encrypted, and no passphrase or a wrong one was given";

/** How a passphrase is given. */
export const USE_SECRET =
  "add --object secret,id=sec0,file=FILE before the credentials, and passwordid=sec0 to them";

/** A passphrase that was asked for and is not there. */
export function noPassphrase(key: CredentialFile, message: string): Finding {
  return refusal(
    "KEY_PASSPHRASE",
    key.path,
    message,
    "passwordid names no usable secret",
    USE_SECRET,
  );
}
