/** Credentials for hosts: a directory for each that QEMU takes as it is. */

import { breathe, type Clock, systemClock } from "../base/mod.ts";
import type { Engine, KeyType } from "../engine/mod.ts";
import { type ChangeOptions, changePki } from "./change.ts";
import { checkPermitted } from "./constraints.ts";
import { CaError } from "./error.ts";
import { type SetWork, stageSet } from "./host_set.ts";
import { openIssuer } from "./issuer.ts";
import { supplyKeys } from "./key_supply.ts";
import { missingAuthority } from "./missing.ts";
import { isThere, type PkiPaths, pkiPaths } from "./pki.ts";
import { hostPlaces } from "./places.ts";
import type { Role } from "./profile.ts";
import { type HostOptions, type HostRequest, parseRequests } from "./request.ts";

/** What issuing needs beside the hosts. */
export interface IssueContext extends ChangeOptions {
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
  /** Path of its private key, or where it would lie if the host had not kept it to itself. */
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
  /** The days that were asked for. */
  readonly days: number;
  /** Whether the CA ends before those are over. */
  readonly cut: boolean;
  /** Whether the host asked with a request, so that the set lacks the keys, which the host has. */
  readonly keysOnHost: boolean;
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
    const issuer = change.signedBy(await openIssuer(paths, { change, engine, now, passphrase }));
    for (const { names } of requests) checkPermitted(names, issuer.constraints);
    const places = hostPlaces(paths, requests.length);
    for (const { host } of requests) places(host.text);
    const keys = supplyKeys(requests, context);
    const issued: IssuedHost[] = [];
    for (const request of requests) {
      await breathe(context.signal);
      issued.push(await stageSet({ paths, places, keys, issuer, change, now, request, context }));
    }
    return issued;
  });
}

/** Asked before the lock file is made, so that a wrong `--dir` changes nothing. */
export function refuseWithoutAuthority(paths: PkiPaths): void {
  if (isThere(paths.caCertificate) || isThere(paths.journal)) return;
  throw missingAuthority(paths);
}

/** What became of one of many hosts. */
export type IssueOutcome =
  | { readonly ok: true; readonly host: string; readonly issued: IssuedHost }
  | { readonly ok: false; readonly host: string; readonly error: CaError };

/** How many hosts are made and published at a time, so that no number of them fills the memory. */
const BATCH = 500;

/**
 * Issues for many hosts, of which one that cannot be issued for stops no other: each gets its new
 * set or keeps what it has.
 *
 * @param onProgress Called with the number of hosts that are done.
 * @throws {CaError} What is wrong with the authority, as {@linkcode issueHosts}.
 * @throws {BaseError} `FILE_NOT_WRITABLE` If the directory cannot be written to.
 */
export async function issueEach(
  requests: readonly HostRequest[],
  context: IssueContext,
  onProgress?: (done: number) => void,
): Promise<IssueOutcome[]> {
  const now = (context.clock ?? systemClock)();
  const paths = pkiPaths(context.dir);
  refuseWithoutAuthority(paths);
  const outcomes: IssueOutcome[] = [];
  for (let start = 0; start < requests.length; start += BATCH) {
    await changePki(paths, context, async (change) => {
      const { engine, passphrase } = context;
      const crlCompared = start > 0;
      const issuer = change.signedBy(
        await openIssuer(paths, { change, engine, now, passphrase, crlCompared }),
      );
      const places = hostPlaces(paths, BATCH);
      const batch = requests.slice(start, start + BATCH);
      const keys = supplyKeys(batch, context);
      for (const request of batch) {
        await breathe(context.signal);
        outcomes.push(await tryOne({ paths, places, keys, issuer, change, now, request, context }));
        onProgress?.(outcomes.length);
      }
    });
  }
  return outcomes;
}

async function tryOne(work: SetWork): Promise<IssueOutcome> {
  const { places, issuer, change, request } = work;
  const host = request.host.text;
  try {
    checkPermitted(request.names, issuer.constraints);
    places(host);
    return { ok: true, host, issued: await stageSet(work) };
  } catch (error) {
    if (!(error instanceof CaError)) throw error;
    change.discardHost(host);
    return { ok: false, host, error };
  }
}
