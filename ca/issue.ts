/** Credentials for hosts: a directory for each that QEMU takes as it is. */

import { type Clock, createFile, encodePem, systemClock } from "../base/mod.ts";
import { checkCredentials, PROFILES } from "../creds/mod.ts";
import type { Engine, KeyType } from "../engine/mod.ts";
import { fingerprint, serialText } from "./certificate.ts";
import { type Change, changePki } from "./change.ts";
import { checkPermitted } from "./constraints.ts";
import { CaError } from "./error.ts";
import { type Issuer, openIssuer } from "./issuer.ts";
import { fitsSubject, signLeaf } from "./leaf.ts";
import type { LockOptions } from "./lock.ts";
import {
  CA_CERTIFICATE_FILE,
  CA_CRL_FILE,
  entryNames,
  isOwnDirectory,
  isThere,
  type PkiPaths,
  pkiPaths,
} from "./pki.ts";
import type { Role } from "./profile.ts";
import { type HostOptions, type HostRequest, parseRequests } from "./request.ts";
import { hostValidity } from "./validity.ts";

/** What issuing needs beside the hosts. */
export interface IssueContext extends LockOptions {
  /** The authority's directory. */
  readonly dir: string;
  readonly engine: Engine;
  readonly clock?: Clock;
  /** Of the CA's key, or the PIN of its token. */
  readonly passphrase?: string | undefined;
  /** Encrypts the hosts' keys; each needs it as a `secret` object. */
  readonly hostPassphrase?: string | undefined;
}

/** A certificate that was issued. */
export interface IssuedCertificate {
  readonly role: Role;
  /** Path of the certificate. */
  readonly certificate: string;
  /** Path of its private key. */
  readonly key: string;
  /** In hexadecimal. */
  readonly serial: string;
  /** Fingerprint of the certificate, in hexadecimal. */
  readonly sha256: string;
}

/** A host's new set. */
export interface IssuedHost {
  /** Its name as the directory has it. */
  readonly host: string;
  readonly dir: string;
  readonly dns: readonly string[];
  readonly ip: readonly string[];
  readonly keyType: KeyType;
  readonly certificates: readonly IssuedCertificate[];
  /** Paths of all files, sorted. */
  readonly files: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** Whether the CA ends before the days that were asked for. */
  readonly cut: boolean;
  /** Whether the name stands in the subject, where it may have 64 characters and has to be permitted. */
  readonly named: boolean;
  /** Where the set lies that the host had before, if it had one. */
  readonly previous: string | undefined;
  /** Names of files that were in that set and are not in the new one. */
  readonly dropped: readonly string[];
}

/**
 * Issues for one host; see {@linkcode issueHosts}.
 *
 * @example Credentials for a host with two names
 * ```ts
 * import { initAuthority, issueHost } from "@virtcreds/virtcreds/ca";
 * import { chooseEngine } from "@virtcreds/virtcreds/engine";
 * import { assertEquals } from "@std/assert";
 *
 * const dir = Deno.makeTempDirSync();
 * const engine = await chooseEngine();
 * await initAuthority({ dir, engine });
 * const issued = await issueHost({ dir, engine, host: "host-a", dns: ["a.example.com"] });
 * assertEquals(issued.dir, `${dir}/hosts/host-a`);
 * assertEquals(issued.dns, ["host-a", "a.example.com"]);
 * Deno.removeSync(dir, { recursive: true });
 * ```
 */
export async function issueHost(options: HostOptions & IssueContext): Promise<IssuedHost> {
  const [issued] = await issueHosts([options], options);
  return issued!;
}

/**
 * Makes keys and certificates for hosts, each a whole directory that replaces the host's old one
 * in one step. Either every host gets its new set or, after an error, none does.
 *
 * @throws {CaError} `HOST_NAME`, `DNS_NAME`, `IP_ADDRESS`, `SUBJECT`, `DAYS`, `TOO_MANY_NAMES`,
 * `NAME_NOT_PERMITTED` for what is asked; `CA_MISSING`, `CA_CERTIFICATE`, `CA_KEY`, `CA_EXPIRED`, `CA_NOT_ACTIVE`, `CRL` for the
 * authority; `NOT_A_DIRECTORY`, `SYMBOLIC_LINK` for what lies in the way; `REFUSED` if QEMU would
 * not take what was made.
 * @throws {BaseError} `FILE_NOT_WRITABLE` If the directory cannot be written to.
 */
export async function issueHosts(
  hosts: readonly HostOptions[],
  context: IssueContext,
): Promise<IssuedHost[]> {
  const requests = parseRequests(hosts);
  const now = (context.clock ?? systemClock)();
  const paths = pkiPaths(context.dir);
  refuseWithoutAuthority(paths);
  return await changePki(paths, context, async (change) => {
    const { engine, passphrase } = context;
    using issuer = await openIssuer(paths, { engine, now, passphrase });
    for (const { names } of requests) checkPermitted(names, issuer.constraints);
    for (const place of [paths.hosts, paths.previous]) isOwnDirectory(place);
    for (const { host } of requests) isOwnDirectory(`${paths.hosts}/${host.text}`);
    const issued: IssuedHost[] = [];
    for (const request of requests) {
      context.signal?.throwIfAborted();
      issued.push(await issueOne({ paths, issuer, change, now, request, context }));
    }
    return issued;
  });
}

/** Asked before the lock file is made, so that a wrong `--dir` changes nothing. */
function refuseWithoutAuthority(paths: PkiPaths): void {
  if (isThere(paths.caCertificate) || isThere(paths.journal)) return;
  throw new CaError("CA_MISSING", {
    file: paths.caCertificate,
    hint: `make one: deno task ca init --dir ${paths.root}`,
  });
}

interface Work {
  readonly paths: PkiPaths;
  readonly issuer: Issuer;
  readonly change: Change;
  readonly now: Date;
  readonly request: HostRequest;
  readonly context: IssueContext;
}

async function issueOne(work: Work): Promise<IssuedHost> {
  const { paths, issuer, change, now, request, context } = work;
  const host = request.host.text;
  const dir = `${paths.hosts}/${host}`;
  const { cut, ...validity } = hostValidity(now, request.days, issuer);
  const staged = change.stageHost(host);
  createFile(`${staged}/${CA_CERTIFICATE_FILE}`, issuer.certificatePem, 0o644, false);
  createFile(`${staged}/${CA_CRL_FILE}`, issuer.crlPem, 0o644, false);
  const certificates: IssuedCertificate[] = [];
  for (const role of request.roles) {
    const [certificate, key] = [`${role}-cert.pem`, `${role}-key.pem`];
    using made = await context.engine.generateKey(request.keyType);
    const leaf = await signLeaf(
      { ...request, ...validity, role, publicKey: made.publicKey },
      issuer,
    );
    createFile(`${staged}/${certificate}`, certificatePem(host, leaf.certificate), 0o644, false);
    createFile(`${staged}/${key}`, await made.exportPem(context.hostPassphrase), 0o600, false);
    certificates.push({
      role,
      certificate: `${dir}/${certificate}`,
      key: `${dir}/${key}`,
      serial: serialText(leaf.serial),
      sha256: await fingerprint(leaf.certificate),
    });
  }
  await refuseWhatQemuRefuses(work, staged, dir);
  const files = entryNames(staged);
  const before = isOwnDirectory(dir) ? entryNames(dir) : undefined;
  return {
    host,
    dir,
    dns: textOf(request, "dns"),
    ip: textOf(request, "ip"),
    keyType: request.keyType,
    certificates,
    files: files.map((name) => `${dir}/${name}`),
    ...validity,
    cut,
    named: fitsSubject(request, issuer),
    previous: before === undefined ? undefined : `${paths.previous}/${host}`,
    dropped: (before ?? []).filter((name) => !files.includes(name)),
  };
}

/** The lines of QEMU that take an EC key with a critical key usage. */
const STRICT_LINES = PROFILES.filter((line) => !line.wantsKeyEncipherment);

/** Hands nothing out that some line of QEMU would not load: an authority of other make may be odd. */
async function refuseWhatQemuRefuses(work: Work, staged: string, dir: string): Promise<void> {
  const { now, request, context: { engine, hostPassphrase: password } } = work;
  const verdicts = await checkCredentials(staged, {
    engine,
    clock: () => now,
    ...(request.profile === "strict" ? { profiles: STRICT_LINES } : {}),
    ...(password === undefined ? {} : { password }),
  });
  for (const verdict of verdicts) {
    if (verdict.ok) continue;
    throw new CaError("REFUSED", {
      value: request.host.text,
      cause: `${verdict.message.replaceAll(staged, dir)} (QEMU ${verdict.qemu})`,
      hint: verdict.findings[0]?.mend ?? `look at ${work.paths.caCertificate}`,
    });
  }
}

/** libvirt reads no more of a certificate file, in bytes. */
const LARGEST_FILE = 64 * 1024;

function certificatePem(host: string, certificate: Uint8Array): string {
  const pem = encodePem("CERTIFICATE", certificate);
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
