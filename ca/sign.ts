/** Certificates for hosts that keep their keys: issued from the requests that they made. */

import { BaseError, shellWord, VirtcredsError } from "../base/mod.ts";
import { type ReadRequest, readRequests, type RefusedName } from "./csr_file.ts";
import { CaError } from "./error.ts";
import { namesOf } from "./held.ts";
import { parseHostName, type SubjectName } from "./host_name.ts";
import { type IssueContext, type IssuedHost, issueEach, refuseWithoutAuthority } from "./issue.ts";
import { type IssuedRecord, readIssued } from "./issued.ts";
import { readAuthority } from "./issuer.ts";
import { isThere, pkiPaths } from "./pki.ts";
import { type Role, ROLES } from "./profile.ts";
import { type HostOptions, type HostRequest, type KeptKey, parseRequest } from "./request.ts";
import { readRevoked, type RevokedList } from "./revoked.ts";

/** What is signed, and what may be granted. */
export interface SignOptions
  extends
    IssueContext,
    Pick<HostOptions, "dns" | "ip" | "roles" | "profile" | "subject" | "allowWildcard" | "days"> {
  /** Files with requests. */
  readonly files: readonly string[];
  /**
   * The hosts that the files are from: one for a single file, whatever that says; else every file
   * has to say that it is of one of these.
   */
  readonly hosts?: readonly string[];
  /** Rows of an inventory: a host's row says what names and roles it may have. */
  readonly rows?: readonly HostRequest[];
}

/** What became of the requests of one host, or of a file that cannot be signed. */
export type SignOutcome =
  | {
    readonly ok: true;
    readonly host: string;
    readonly files: readonly string[];
    readonly issued: IssuedHost;
    /** Names that were asked for and not granted. */
    readonly refused: readonly RefusedName[];
    /** What else was asked for, which is the authority's to decide. */
    readonly ignored: readonly string[];
  }
  | {
    readonly ok: false;
    readonly host: string | undefined;
    readonly files: readonly string[];
    readonly error: VirtcredsError;
  };

/**
 * Issues from requests that hosts made. Who made one has to have shown that the key is his, and
 * is granted the names that his host may have: its own, those given here, those of its row in an
 * inventory, and those of certificates that it had. The rest is refused, name by name. What can be
 * signed is; a file that cannot be stops no other.
 *
 * @throws {CaError} `HOST_NAME`, `DNS_NAME`, `IP_ADDRESS`, `SUBJECT`, `DAYS` for what is given here;
 * what is wrong with the authority, as `issueHosts`.
 */
export async function signRequests(options: SignOptions): Promise<SignOutcome[]> {
  const paths = pkiPaths(options.dir);
  const hosts = (options.hosts ?? []).map((host) => parseHostName(host).text);
  // Before a file is looked at: what is wrong with the flags is wrong for all of them.
  for (const host of hosts.length === 0 ? ["host"] : hosts) parseRequest({ ...options, host });
  refuseWithoutAuthority(paths);
  const known: Known = {
    hosts,
    rows: new Map((options.rows ?? []).map((row) => [row.host.text, row])),
    issued: await readIssued(paths),
    revoked: readRevoked(paths),
    authorityKey: readAuthority(paths).certificate.spki.toHex(),
  };
  const outcomes: SignOutcome[] = [];
  const wanted: Wanted[] = [];
  for (const [host, requests] of groupByHost(options, known, outcomes)) {
    const files = [...new Set(requests.map(({ file }) => file))];
    try {
      wanted.push({ files, ...decide(host, requests, options, known) });
    } catch (error) {
      if (!(error instanceof CaError)) throw error;
      outcomes.push({ ok: false, host, files, error });
    }
  }
  const made = wanted.length === 0
    ? []
    : await issueEach(wanted.map(({ request }) => request), options);
  for (const [i, outcome] of made.entries()) {
    const { files, refused, ignored } = wanted[i]!;
    outcomes.push(
      { ...outcome, files, ...(outcome.ok ? { refused, ignored } : {}) } as SignOutcome,
    );
  }
  return outcomes;
}

/** What a request is judged by. */
interface Known {
  readonly hosts: readonly string[];
  readonly rows: ReadonlyMap<string, HostRequest>;
  readonly issued: ReadonlyMap<string, IssuedRecord>;
  readonly revoked: RevokedList;
  readonly authorityKey: string;
}

/** What a host is issued for, and what of its wishes is not. */
interface Decision {
  readonly request: HostRequest;
  readonly refused: readonly RefusedName[];
  readonly ignored: readonly string[];
}

interface Wanted extends Decision {
  readonly files: readonly string[];
}

function groupByHost(
  options: SignOptions,
  known: Known,
  outcomes: SignOutcome[],
): Map<string, ReadRequest[]> {
  const groups = new Map<string, ReadRequest[]>();
  for (const file of new Set(options.files)) {
    try {
      const requests = readRequests(file, options.engine, options.allowWildcard);
      const host = hostOf(file, requests, options, known);
      groups.set(host, [...groups.get(host) ?? [], ...requests]);
    } catch (error) {
      if (!(error instanceof CaError || error instanceof BaseError)) throw error;
      outcomes.push({ ok: false, host: undefined, files: [file], error });
    }
  }
  return groups;
}

function hostOf(
  file: string,
  requests: readonly ReadRequest[],
  options: SignOptions,
  { hosts }: Known,
): string {
  if (hosts.length === 1 && new Set(options.files).size === 1) return hosts[0]!;
  const claims = new Set(requests.map(({ claim }) => claim?.text));
  const [claim] = claims;
  const refuse = (cause: string, hint: string) => new CaError("REQUEST", { file, cause, hint });
  const hint = `say which host it is from: deno task ca sign ${file} --host HOST`;
  if (claims.size > 1) throw refuse("its requests are of several hosts", hint);
  if (claim === undefined) throw refuse("it says of no host that it is from there", hint);
  if (hosts.length > 0 && !hosts.includes(claim)) {
    throw refuse(`it is of ${claim}, which is none of ${hosts.join(", ")}`, hint);
  }
  return claim;
}

/** What of the wishes of a host is granted. */
function decide(
  host: string,
  requests: readonly ReadRequest[],
  options: SignOptions,
  known: Known,
): Decision {
  const row = known.rows.get(host);
  if (options.rows !== undefined && row === undefined && !known.hosts.includes(host)) {
    throw new CaError("REQUEST", {
      file: requests[0]!.file,
      cause: `${host} is not in the inventory`,
      hint: "add it there, or vouch for it with --host " + host,
    });
  }
  checkKeys(host, requests, options, known);
  const asked = new Map(
    requests.flatMap(({ names }) => names).map((name) => [keyOf(name), name]),
  );
  const flags = parseRequest({ ...options, host });
  // What asks for no name at all leaves it to the authority.
  if (asked.size === 0) { for (const name of flags.names) asked.set(keyOf(name), name); }
  const allowed = new Set([
    ...flags.names,
    ...row?.names ?? [],
    ...issuedFor(host, known)
      .filter((one) => !known.revoked.entries.has(one.serial))
      .flatMap((one) => namesOf(one.certificate)),
  ].map(keyOf));
  const names = [...asked.values()].filter((name) => allowed.has(keyOf(name)));
  const own = flags.host;
  const granted = new Map([own, ...names].map((name) => [keyOf(name), name]));
  const keys = keysByRole(host, requests, options.roles ?? [], row?.roles ?? ROLES);
  const claims = new Set(requests.flatMap(({ claim }) => claim === undefined ? [] : [claim.text]));
  claims.delete(host);
  return {
    request: {
      ...flags,
      names: [...granted.values()],
      roles: ROLES.filter((role) => keys.has(role)),
      keyType: requests[0]!.keyType,
      days: options.days ?? row?.days ?? flags.days,
      ...(row?.qemu === undefined ? {} : { qemu: row.qemu }),
      kept: { keys, requests: requests.map(({ pem }) => pem).join("") },
    },
    refused: [
      ...[...asked.values()].filter((name) => !granted.has(keyOf(name)))
        .map((name) => ({ name: name.text, cause: `it is not allowed for ${host}` })),
      ...requests.flatMap(({ refused }) => refused),
    ].filter((one, i, all) => all.findIndex((other) => other.name === one.name) === i),
    ignored: [
      ...[...claims].filter((claim) => !granted.has(`dns:${claim}`)).map((claim) =>
        `the CN ${claim}`
      ),
      ...requests.flatMap(({ ignored }) => ignored),
    ].filter((one, i, all) => all.indexOf(one) === i),
  };
}

function issuedFor(host: string, { issued }: Known): IssuedRecord[] {
  return [...issued.values()].filter((record) => record.host === host);
}

function keyOf({ kind, text }: SubjectName): string {
  return `${kind}:${text}`;
}

/**
 * A key that was taken from its host must not come back with a new certificate, and one that
 * another host has is no proof of anything.
 */
function checkKeys(
  host: string,
  requests: readonly ReadRequest[],
  options: SignOptions,
  known: Known,
): void {
  const { hosts, issued, revoked, authorityKey } = known;
  const isRevoked = issuedFor(host, known).some((one) => revoked.entries.has(one.serial));
  for (const { file, publicKey } of requests) {
    const key = publicKey.toHex();
    const refuse = (cause: string, hint: string) => new CaError("REQUEST", { file, cause, hint });
    const anew = `make a new key on the host: deno task ca request ${host} --out NEW`;
    if (key === authorityKey) throw refuse("its key is the CA's own", anew);
    for (const record of issued.values()) {
      if (record.certificate.spki.toHex() !== key) continue;
      if (revoked.entries.has(record.serial)) {
        throw refuse(`the certificate ${record.serial} of its key is revoked`, anew);
      }
      if (record.host === "") throw refuse("its key is a CA's", anew);
      if (record.host !== host) throw refuse(`its key is the one of ${record.host}`, anew);
    }
    if (isRevoked && !hosts.includes(host)) {
      throw refuse(
        `${host} is revoked`,
        `take it back by its name: deno task ca sign ${file} --host ${host} --dir ${options.dir}`,
      );
    }
    if (!hosts.includes(host)) refuseTakeover(host, key, file, options, known);
  }
}

/**
 * A request says itself whose it is: of a host that has other keys, only who vouches for it by
 * `--host` can know that.
 */
function refuseTakeover(
  host: string,
  key: string,
  file: string,
  { dir }: SignOptions,
  known: Known,
): void {
  const own = issuedFor(host, known);
  if (own.length === 0) return;
  const { hosts } = pkiPaths(dir);
  const isHere = ROLES.some((role) => isThere(`${hosts}/${host}/${role}-key.pem`));
  const isSeen = own.some(({ certificate }) => certificate.spki.toHex() === key);
  if (isSeen && !isHere) return;
  throw new CaError("REQUEST", {
    file,
    cause: isHere
      ? `the keys of ${host} were made here, and would be replaced`
      : `${host} has other keys, and none has been signed that is this one`,
    hint: `if you know that it comes from ${host}: deno task ca sign ${
      shellWord(file)
    } --host ${host} --dir ${shellWord(dir)}`,
  });
}

/** Which request is for which endpoint: one that names none gets what no other asks for. */
function keysByRole(
  host: string,
  requests: readonly ReadRequest[],
  asked: readonly Role[],
  allowed: readonly Role[],
): Map<Role, KeptKey> {
  const wanted = (asked.length === 0 ? ROLES : asked).filter((role) => allowed.includes(role));
  const keys = new Map<Role, KeptKey>();
  const take = ({ file, publicKey, keyType }: ReadRequest, roles: readonly Role[]) => {
    for (const role of roles.filter((one) => wanted.includes(one))) {
      if (keys.has(role)) {
        throw new CaError("REQUEST", {
          file,
          cause: `${host} asks twice for a ${role}'s certificate`,
          hint: "give the newest request of each host alone",
        });
      }
      keys.set(role, { publicKey, pem: undefined, keyType });
    }
  };
  for (const one of requests) if (one.roles !== undefined) take(one, one.roles);
  const left = ROLES.filter((role) => !keys.has(role));
  for (const one of requests) if (one.roles === undefined) take(one, left);
  if (keys.size > 0) return keys;
  throw new CaError("REQUEST", {
    file: requests[0]!.file,
    cause: `it asks for nothing that ${host} may be: ${wanted.join(" and ") || "neither"}`,
    hint: "see what it asks for: openssl req -noout -text -in FILE",
  });
}
