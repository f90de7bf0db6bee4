/** On a host: the authority's answer put together with the keys that the host kept. */

import { createFile, readTextLimited, syncDirectory } from "../base/mod.ts";
import { checkCredentials, type Finding, type Verdict } from "../creds/mod.ts";
import type { Engine } from "../engine/mod.ts";
import { exchangePaths } from "../os/mod.ts";
import { CaError } from "./error.ts";
import { type HeldSet, readSet } from "./held.ts";
import { carryOver, isOfSet, type KeptCrl, newestCrl, refuseOlder } from "./install_live.ts";
import {
  CA_CRL_FILE,
  entryNames,
  fileNames,
  isThere,
  makeDirectory,
  removeAll,
  rename,
  REQUEST_FILE,
} from "./pki.ts";
import { ROLES } from "./profile.ts";

export type { KeptCrl };

/** What is put together, and where. */
export interface InstallOptions {
  /** Directory that came from the authority: `pki/hosts/HOST`. */
  readonly from: string;
  /** Directory with the host's keys, as `ca request` made it. */
  readonly keys: string;
  /** Where the whole set is to be; the directory of the keys by default. */
  readonly to?: string | undefined;
  readonly engine: Engine;
  /** Of the keys, where they are encrypted. */
  readonly hostPassphrase?: string | undefined;
}

/** A set that is whole. */
export interface Installed {
  /** The directory, as QEMU takes it. */
  readonly dir: string;
  readonly files: readonly string[];
  /** What each line of QEMU says of it. */
  readonly verdicts: readonly Verdict[];
  /** When the first of the certificates ends. */
  readonly notAfter: Date;
  /** Where the set lies that was there before. */
  readonly previous: string | undefined;
  /** Names of files that are no part of a set and were there before. */
  readonly carried: readonly string[];
  /** Names of what was there before, and is only in `previous` now. */
  readonly dropped: readonly string[];
  /** Names of what the answer has and a host does not take from it. */
  readonly notTaken: readonly string[];
  /** Paths of the keys outside the set, which they were copied from. */
  readonly spareKeys: readonly string[];
  /** CRLs that were there before and are newer than the answer's. */
  readonly keptCrls: readonly KeptCrl[];
}

/**
 * Puts certificates that came back together with the keys they are for. What was in the place
 * before is exchanged in one step and kept beside it; if anything does not fit, nothing changes.
 * Only a set's own files are taken from the answer; what else lies in the place stays there, and so
 * does a CRL that is newer than the answer's.
 *
 * @throws {CaError} `NOT_INSTALLABLE` If a certificate lacks its key or is older than the one in its
 * place, or QEMU would refuse the set;
 * `NOT_INSTALLABLE_THERE` If the place is a link, a file, or the root.
 * @throws {BaseError} `FILE_NOT_READABLE`, `FILE_NOT_WRITABLE`.
 */
export async function installSet(options: InstallOptions): Promise<Installed> {
  const { engine, hostPassphrase } = options;
  const [from, keys] = [trim(options.from), trim(options.keys)];
  const to = trim(options.to ?? options.keys);
  refusePlace(to);
  const set = readSet(from);
  if (set === undefined) {
    throw refuse(from, "there is no such directory", "copy it from the CA: pki/hosts/HOST");
  }
  if (set.damage !== undefined) throw refuse(from, set.damage, COPY_AGAIN);
  refuseLinks(from);
  const live = readSet(to);
  if (live !== undefined) refuseOlder(set, live);
  const crl = newestCrl(set, live);
  const staged = `${to}.${crypto.randomUUID().slice(0, 8)}.tmp`;
  try {
    makeDirectory(staged);
    stage(staged, set, keys, crl.text);
    const besides = live === undefined ? { carried: [], dropped: [] } : carryOver(to, staged);
    syncDirectory(staged);
    const verdicts = await checkCredentials(staged, {
      engine,
      ...(hostPassphrase === undefined ? {} : { password: hostPassphrase }),
    });
    refuseUnfit(verdicts, staged, from, sourcesOf(staged, from, keys, to, besides.carried));
    const previous = put(staged, to);
    return {
      dir: to,
      files: fileNames(to),
      verdicts: verdicts.map((verdict) => ({ ...verdict, dir: to })),
      notAfter: new Date(Math.min(...set.certificates.map((one) => +one.certificate.notAfter))),
      previous,
      ...besides,
      notTaken: entryNames(from).filter((name) => !isOfSet(name) || name.endsWith("-key.pem")),
      spareKeys: realPath(keys) === realPath(to)
        ? []
        : set.certificates.map(({ role }) => `${keys}/${role}-key.pem`),
      keptCrls: crl.kept,
    };
  } catch (error) {
    removeAll(staged);
    throw error;
  }
}

/** A link leads to what was copied with it or not; a set without one of its files is another. */
function refuseLinks(from: string): void {
  for (const name of entryNames(from).filter(isOfSet)) {
    if (Deno.lstatSync(`${from}/${name}`).isFile) continue;
    throw refuse(from, `its ${name} is not a plain file`, "copy the files themselves: cp -rL");
  }
}

function stage(
  staged: string,
  set: Omit<HeldSet, "host">,
  keys: string,
  crl: string | undefined,
): void {
  for (const name of fileNames(set.dir).filter(isOfSet)) {
    if (name.endsWith("-key.pem") || name === CA_CRL_FILE) continue;
    createFile(`${staged}/${name}`, readTextLimited(`${set.dir}/${name}`), 0o644);
  }
  if (crl !== undefined) createFile(`${staged}/${CA_CRL_FILE}`, crl, 0o644);
  for (const { role } of set.certificates) {
    const file = `${keys}/${role}-key.pem`;
    if (!isThere(file)) {
      throw refuse(
        set.dir,
        `it has a ${role}'s certificate, and ${file} does not exist`,
        "name the directory that has the keys: --out DIR",
      );
    }
    createFile(`${staged}/${role}-key.pem`, readTextLimited(file), 0o600);
  }
  const request = `${keys}/${REQUEST_FILE}`;
  if (!isThere(`${staged}/${REQUEST_FILE}`) && isThere(request)) {
    createFile(`${staged}/${REQUEST_FILE}`, readTextLimited(request), 0o644);
  }
}

/** A set that some line of QEMU takes is the operator's choice (`--profile strict`). */
function refuseUnfit(
  verdicts: readonly Verdict[],
  staged: string,
  from: string,
  source: (text: string) => string,
): void {
  for (const endpoint of ["server", "client"] as const) {
    const of = verdicts.filter((verdict) => verdict.endpoint === endpoint);
    const wrong = of.flatMap(({ findings }) => findings).find(isMismatch);
    if (wrong !== undefined) {
      throw refuse(
        from,
        `its ${endpoint}-cert.pem is for another key than the ${endpoint}-key.pem here`,
        "sign the request that lies beside the keys, and copy the answer to that one",
      );
    }
    if (of.length === 0 || of.some(({ ok }) => ok)) continue;
    const { message, findings } = of[0]!;
    const finding = findings.find(({ severity }) => severity === "error") ?? findings[0];
    throw refuse(from, source(message), mendOf(finding, staged, source));
  }
}

const COPY_AGAIN = "copy it from the CA again, whole: pki/hosts/HOST";

/** There is no CA on the host that could be copied from. */
function mendOf(
  finding: Finding | undefined,
  staged: string,
  source: (text: string) => string,
): string {
  if (finding === undefined || finding.mend.includes(`${staged}/ca-`)) return COPY_AGAIN;
  return source(finding.mend);
}

/** Names in a text, in the place of each staged file, the one that it was made from. */
function sourcesOf(
  staged: string,
  from: string,
  keys: string,
  to: string,
  carried: readonly string[],
): (text: string) => string {
  const dirs = ROLES.map((role): [string, string] => [`${role}-key.pem`, keys]);
  for (const name of carried) dirs.push([name, to]);
  return (text) =>
    dirs.reduce((now, [name, dir]) => now.replaceAll(`${staged}/${name}`, `${dir}/${name}`), text)
      .replaceAll(staged, from);
}

function isMismatch({ code, severity }: Finding): boolean {
  return code === "KEY_MISMATCH" && severity === "error";
}

/** Refuses a place that cannot be exchanged, before anything is made. */
function refusePlace(to: string): void {
  const last = /[^/]*$/.exec(to)![0];
  if (last === "") throw refusePlaceOf(to, "it is the root of the file system", "--to DIR");
  if (last === "." || last === "..") {
    throw refusePlaceOf(to, "it has no name there", `--to ${realPath(to)}`);
  }
  if (!isThere(to)) return;
  const { isSymlink, isDirectory } = Deno.lstatSync(to);
  if (isSymlink) throw refusePlaceOf(to, "it is a symbolic link", `--to ${realPath(to)}`);
  if (!isDirectory) throw refusePlaceOf(to, "it is a file, not a directory", "--to DIR");
}

function refusePlaceOf(file: string, cause: string, option: string): CaError {
  return new CaError("NOT_INSTALLABLE_THERE", {
    file,
    cause,
    hint: `name the directory that is to be exchanged: ${option}`,
  });
}

/** Where a link leads; "DIR" where it leads nowhere. */
function realPath(path: string): string {
  try {
    return Deno.realPathSync(path);
  } catch {
    return "DIR";
  }
}

/** In the place of what is there, with its owners and modes; gives where that one went. */
function put(staged: string, to: string): string | undefined {
  if (!isThere(to)) {
    rename(staged, to);
    syncParent(to);
    return undefined;
  }
  takeOver(to, staged);
  const previous = `${to}.previous`;
  if (exchangePaths(staged, to)) {
    removeAll(previous);
    rename(staged, previous);
  } else {
    removeAll(previous);
    rename(to, previous);
    rename(staged, to);
  }
  syncParent(to);
  return previous;
}

/** The account that QEMU runs as has to read the new files as it read the old ones. */
function takeOver(from: string, into: string): void {
  copyAccess(from, into);
  const before = fileNames(from);
  for (const name of fileNames(into)) {
    if (before.includes(name)) copyAccess(`${from}/${name}`, `${into}/${name}`);
  }
}

/** But never that others may write to it. */
function copyAccess(from: string, to: string): void {
  const { mode, uid, gid } = Deno.lstatSync(from);
  try {
    if (uid !== null && gid !== null) Deno.chownSync(to, uid, gid);
  } catch {
    // Only root gives files away; then they are the caller's, as the ones before were.
  }
  if (mode !== null) Deno.chmodSync(to, mode & 0o755);
}

function syncParent(path: string): void {
  syncDirectory(path.replace(/[^/]*$/, "") || ".");
}

function trim(path: string): string {
  return path.replace(/(?<=.)\/+$/, "");
}

function refuse(file: string, cause: string, hint: string): CaError {
  return new CaError("NOT_INSTALLABLE", { file, cause, hint });
}
