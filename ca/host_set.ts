/** A host's set of keys and certificates as it is made. */

import { createFile, encodePem, endsWith, sameBytes } from "../base/mod.ts";
import {
  checkCredentials,
  type Finding,
  type GivenFile,
  type Profile,
  PROFILES,
} from "../creds/mod.ts";
import type { Act } from "./act.ts";
import { fingerprint, serialText } from "./certificate.ts";
import type { Change } from "./change.ts";
import { CaError } from "./error.ts";
import type { IssueContext, IssuedCertificate, IssuedHost } from "./issue.ts";
import type { Issuer } from "./issuer.ts";
import type { KeySupply } from "./key_supply.ts";
import { fitsSubject, signLeaf } from "./leaf.ts";
import { CA_CERTIFICATE_FILE, CA_CRL_FILE, type PkiPaths, REQUEST_FILE } from "./pki.ts";
import type { HostPlaces } from "./places.ts";
import type { HostRequest } from "./request.ts";
import { issuerId } from "./store.ts";
import { hostValidity } from "./validity.ts";

/** A host's set to be made. */
export interface SetWork {
  readonly paths: PkiPaths;
  readonly places: HostPlaces;
  readonly keys: KeySupply;
  readonly issuer: Issuer;
  readonly change: Change;
  readonly now: Date;
  readonly request: HostRequest;
  readonly context: IssueContext;
}

/** What of a set is known because it was just made. */
interface Made {
  readonly files: Map<string, GivenFile>;
  /** Of the keys that were made, by the name of their file. */
  readonly publicKeys: Map<string, Uint8Array>;
  /** DER, which ends with the signature. */
  readonly certificates: Uint8Array[];
}

/**
 * Makes a host's new set in the staging directory and records its certificates.
 *
 * @throws {CaError} `TOO_MANY_NAMES`, `REFUSED`, `DAYS`.
 */
export async function stageSet(work: SetWork): Promise<IssuedHost> {
  const { paths, places, issuer, change, now, request } = work;
  const host = request.host.text;
  const dir = `${paths.hosts}/${host}`;
  const { cut, ...validity } = hostValidity(now, request.days, issuer);
  const staged = change.stageHost(host);
  const made: Made = { files: new Map(), publicKeys: new Map(), certificates: [] };
  const put = (name: string, text: string, mode = 0o644) => {
    const bytes = new TextEncoder().encode(text);
    createFile(`${staged}/${name}`, bytes, mode, false);
    made.files.set(name, { bytes, text, mode });
  };
  put(CA_CERTIFICATE_FILE, issuer.certificatePem);
  put(CA_CRL_FILE, issuer.crlPem);
  const certificates: IssuedCertificate[] = [];
  const records: Act[] = [];
  const texts: string[] = [];
  const keysOnHost = request.kept?.requests !== undefined;
  if (keysOnHost) put(REQUEST_FILE, request.kept.requests);
  for (const role of request.roles) {
    const [certificate, key] = [`${role}-cert.pem`, `${role}-key.pem`];
    const kept = request.kept?.keys.get(role);
    const { publicKey, pem, keyType = request.keyType } = kept ??
      await work.keys.take(request.keyType);
    if (kept === undefined) made.publicKeys.set(key, publicKey);
    const leaf = await signLeaf({ ...request, ...validity, role, publicKey, keyType }, issuer);
    const text = certificatePem(host, leaf.certificate, issuer.chainPem);
    put(certificate, text);
    if (pem !== undefined) put(key, pem, 0o600);
    texts.push(text);
    made.certificates.push(leaf.certificate);
    records.push({
      act: actOf(request),
      host,
      issuer: issuerId(issuer.subject),
      serial: serialText(leaf.serial),
      certificate: leaf.certificate,
    });
    certificates.push({
      role,
      certificate: `${dir}/${certificate}`,
      key: `${dir}/${key}`,
      serial: serialText(leaf.serial),
      sha256: fingerprint(leaf.certificate),
    });
  }
  await refuseWhatQemuRefuses(work, made, staged, dir, keysOnHost);
  change.identify(host, texts);
  for (const act of records) change.record(act);
  const files = [...made.files.keys()].sort();
  const before = places(host);
  return {
    host,
    dir,
    dns: textOf(request, "dns"),
    ip: textOf(request, "ip"),
    keyType: request.keyType,
    certificates,
    files: files.map((name) => `${dir}/${name}`),
    ...validity,
    days: request.days,
    cut,
    keysOnHost,
    named: fitsSubject(request, issuer),
    previous: before === undefined ? undefined : `${paths.previous}/${host}`,
    dropped: (before ?? []).filter((name) => !files.includes(name)),
  };
}

/** A renewal keeps the subject. */
function actOf({ kept }: HostRequest): Act["act"] {
  return kept === undefined ? "issue" : kept.subject === undefined ? "sign" : "renew";
}

/** The lines of QEMU that take an EC key with a critical key usage. */
const STRICT_LINES = PROFILES.filter((line) => !line.wantsKeyEncipherment);

/** The lines of QEMU that have to take the set: the host's own where it is known. */
function linesFor(request: HostRequest): readonly Profile[] {
  if (request.qemu !== undefined) return [request.qemu];
  return request.profile === "strict" ? STRICT_LINES : PROFILES;
}

/**
 * Hands nothing out that some line of QEMU would not load: an authority of other make may be odd.
 * Of a set whose keys the host has, only that they are missing is let pass.
 */
async function refuseWhatQemuRefuses(
  work: SetWork,
  made: Made,
  staged: string,
  dir: string,
  keysOnHost: boolean,
): Promise<void> {
  const { now, request, issuer, context: { engine, hostPassphrase: password } } = work;
  const { files, publicKeys, certificates } = made;
  const kinds = provedBy(issuer);
  const kind = `${request.keyType} ${request.profile}`;
  // The first of each kind is proved; the others came about in the same way.
  const known = kinds.has(kind) && {
    publicKeys,
    isFresh: (signature: Uint8Array, publicKey: Uint8Array) =>
      certificates.some((one) => endsWith(one, signature)) &&
      sameBytes(publicKey, issuer.key.publicKey),
  };
  const verdicts = await checkCredentials(staged, {
    engine,
    clock: () => now,
    profiles: linesFor(request),
    given: { files, ...known },
    refusalsOnly: true,
    ...(password === undefined ? {} : { password }),
  });
  for (const verdict of verdicts) {
    if (verdict.ok) continue;
    const refusal = verdict.findings.find((one) =>
      one.severity === "error" && !(keysOnHost && isMissingKey(one))
    );
    if (refusal === undefined) continue;
    throw new CaError("REFUSED", {
      value: request.host.text,
      cause: `${refusal.message.replaceAll(staged, dir)} (QEMU ${verdict.qemu})`,
      hint: refusal.mend,
    });
  }
  kinds.add(kind);
}

/** Kinds of sets of which one was judged by its keys and signatures too, by who signed them. */
const proved = new WeakMap<Issuer, Set<string>>();

function provedBy(issuer: Issuer): Set<string> {
  let kinds = proved.get(issuer);
  if (kinds === undefined) proved.set(issuer, kinds = new Set());
  return kinds;
}

function isMissingKey({ code, file }: Finding): boolean {
  return code === "PAIR_HALF" || code === "FILE_MISSING" && file.endsWith("-key.pem");
}

/** libvirt reads no more of a certificate file, in bytes. */
const LARGEST_FILE = 64 * 1024;

function certificatePem(host: string, certificate: Uint8Array, chain: string): string {
  const pem = encodePem("CERTIFICATE", certificate) + chain;
  if (pem.length <= LARGEST_FILE) return pem;
  throw new CaError("TOO_MANY_NAMES", {
    value: host,
    cause: `${pem.length} bytes, and libvirt reads ${LARGEST_FILE}`,
    hint: "give it fewer names",
  });
}

function textOf(request: HostRequest, kind: "dns" | "ip"): string[] {
  return request.names.filter((name) => name.kind === kind).map((name) => name.text);
}
