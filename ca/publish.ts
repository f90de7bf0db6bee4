/**
 * Finished sets put in their places, so that whoever looks, and whatever dies when, finds the old
 * set of a host or the new one.
 *
 * Each step can be repeated: {@linkcode publish} is what the command itself does after writing the
 * journal, and what the next command does if that one was killed.
 */

import { fileError, syncDirectory } from "../base/mod.ts";
import { exchangePaths, syncFileSystem } from "../os/mod.ts";
import { CaError } from "./error.ts";
import type { Journal, StagedHost } from "./journal.ts";
import { sha256 } from "./log_entry.ts";
import {
  CA_CERTIFICATE_FILE,
  CA_CRL_FILE,
  CA_KEY_FILE,
  CA_KEY_URI_FILE,
  ensureDirectory,
  entryNames,
  FORMER_DIRECTORY,
  isOwnDirectory,
  isThere,
  NEXT_DIRECTORY,
  type PkiPaths,
  removeAll,
  rename,
} from "./pki.ts";

/** Name of the CA's own files in the staging directory; no host can have it. */
export const STAGED_AUTHORITY = "@authority";

/** Name of the copies of a CRL in the staging directory; no host can have it. */
export const STAGED_CRL = "@crl";

/** Name of hosts' single files in the staging directory, `HOST/N-FILE`; no host can have it. */
export const STAGED_FILES = "@files";

/** Behind a host's name in the staging directory: its old set, on the way to `previous`. */
const REPLACED = "@replaced";

/**
 * Publishes what a journal names, and makes it durable.
 *
 * @param isFirst Whether nobody has begun with it, so that nothing lies half-way.
 */
export async function publish(paths: PkiPaths, journal: Journal, isFirst = false): Promise<void> {
  isOwnDirectory(paths.staging);
  if (journal.authority) publishAuthority(paths, journal);
  const changed = [
    ...journal.crl ? publishCrls(paths) : [],
    ...journal.files ? publishFiles(paths) : [],
  ];
  if (journal.hosts.length > 0) {
    ensureDirectory(paths.hosts);
    ensureDirectory(paths.previous);
    for (const entry of journal.hosts) publishHost(paths, entry, isFirst);
    syncDirectory(paths.hosts);
    syncDirectory(paths.previous);
  }
  if (changed.length < MANY_DIRECTORIES || !await syncFileSystem(paths.hosts)) {
    for (const directory of changed) syncDirectory(directory);
  }
  syncDirectory(paths.root);
}

/** From how many directories on one sync of the whole file system is the cheaper one. */
const MANY_DIRECTORIES = 16;

/** In the order in which they are put in their places: where the certificate is, the CA is whole. */
const AUTHORITY_PARTS = [
  NEXT_DIRECTORY,
  FORMER_DIRECTORY,
  CA_KEY_FILE,
  CA_KEY_URI_FILE,
  CA_CRL_FILE,
  CA_CERTIFICATE_FILE,
] as const;

function publishAuthority(paths: PkiPaths, { replaces, removes = [] }: Journal): void {
  const at = (name: string) => `${paths.root === "/" ? "" : paths.root}/${name}`;
  for (const name of AUTHORITY_PARTS) {
    const staged = `${paths.staging}/${STAGED_AUTHORITY}/${name}`;
    if (!isThere(staged)) continue;
    if (!replaces && isThere(at(name))) throw new CaError("CA_EXISTS", { file: at(name) });
    // A directory takes the place of none that has files.
    if (name === NEXT_DIRECTORY || name === FORMER_DIRECTORY) removeAll(at(name));
    rename(staged, at(name));
  }
  for (const name of removes) removeAll(at(name));
}

/**
 * The authority's own copy comes first: whatever dies after it, the next CRL has all that this one
 * has. A host whose directory is gone needs none.
 *
 * @returns The directories that changed.
 */
function publishCrls(paths: PkiPaths): string[] {
  const staged = `${paths.staging}/${STAGED_CRL}`;
  if (!isOwnDirectory(staged)) return [];
  const changed: string[] = [];
  const own = `${staged}/${CA_CRL_FILE}`;
  if (isThere(own)) rename(own, paths.caCrl);
  syncDirectory(paths.root);
  for (const host of entryNames(`${staged}/hosts`)) {
    const dir = `${paths.hosts}/${host}`;
    if (!isOwnDirectory(dir)) continue;
    rename(`${staged}/hosts/${host}`, `${dir}/${CA_CRL_FILE}`);
    changed.push(dir);
  }
  return changed;
}

/**
 * File by file, in the order in which they were staged: between two of them a set is whole too.
 *
 * @returns The directories that changed.
 */
function publishFiles(paths: PkiPaths): string[] {
  const staged = `${paths.staging}/${STAGED_FILES}`;
  if (!isOwnDirectory(staged)) return [];
  const changed: string[] = [];
  for (const host of entryNames(staged)) {
    const dir = `${paths.hosts}/${host}`;
    if (!isOwnDirectory(dir)) continue;
    for (const entry of entryNames(`${staged}/${host}`)) {
      rename(`${staged}/${host}/${entry}`, `${dir}/${entry.slice(2)}`);
    }
    changed.push(dir);
  }
  return changed;
}

function publishHost(paths: PkiPaths, entry: StagedHost, isFirst: boolean): void {
  const staged = `${paths.staging}/${entry.host}`;
  const live = `${paths.hosts}/${entry.host}`;
  if (isFirst && isMoved(staged, live)) return;
  const previous = `${paths.previous}/${entry.host}`;
  const replaced = `${staged}${REPLACED}`;
  if (!isOwnDirectory(staged)) return;
  if (isOwnDirectory(replaced)) {
    removeAll(previous);
    rename(replaced, previous);
  }
  if (!isOwnDirectory(live)) return rename(staged, live);
  if (setDigest(live) === entry.digest || exchangePaths(staged, live)) {
    removeAll(previous);
    return rename(staged, previous);
  }
  // The set before it goes only once it is known that this one can be moved.
  takeAway(live, replaced);
  try {
    removeAll(previous);
    rename(replaced, previous);
  } catch (error) {
    rename(replaced, live);
    throw error;
  }
  try {
    rename(staged, live);
  } catch (error) {
    rename(previous, live);
    throw error;
  }
}

/** Puts a set where nothing was: most of a new fleet, which needs no looking first. */
function isMoved(staged: string, live: string): boolean {
  try {
    Deno.renameSync(staged, live);
    return true;
  } catch {
    return false;
  }
}

/** Renames, with an error that names what will not go. */
function takeAway(from: string, to: string): void {
  try {
    Deno.renameSync(from, to);
  } catch (error) {
    throw fileError(error, from, "write");
  }
}

/**
 * Gives up what a failure kept from its place: what was staged and not published is removed. A CRL
 * that reached some of its places is made anew by the next one.
 *
 * @returns Whether nothing is left to finish, so that the journal can go.
 */
export function abandon(paths: PkiPaths, journal: Journal): boolean {
  let done = true;
  for (const entry of journal.hosts) {
    const staged = `${paths.staging}/${entry.host}`;
    if (!isThere(staged)) continue;
    if (isUntouched(paths, entry)) removeAll(staged);
    else done = false;
  }
  return done && !journal.authority;
}

/** Whether the host's place is as it was; without its set, or with the new one, it is not. */
function isUntouched(paths: PkiPaths, { host, digest }: StagedHost): boolean {
  const live = `${paths.hosts}/${host}`;
  if (!isThere(live)) {
    return !isThere(`${paths.previous}/${host}`) && !isThere(`${paths.staging}/${host}${REPLACED}`);
  }
  return setDigest(live) !== digest;
}

/** Identifies a set by its certificates, whose serials no two sets share. */
export function setDigest(directory: string): string {
  return digestOf(
    CERTIFICATES.map((name) => `${directory}/${name}`).filter(isThere)
      .map((file) => Deno.readTextFileSync(file)),
  );
}

/** As {@linkcode setDigest}, of the certificates in PEM, the server's first. */
export function digestOf(certificates: readonly string[]): string {
  return sha256(certificates.join(""));
}

const CERTIFICATES = ["server-cert.pem", "client-cert.pem"] as const;
