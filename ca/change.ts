/** A change of an authority's directory: all of it or nothing, one at a time. */

import { createFile, syncDirectory, syncFile } from "../base/mod.ts";
import { syncFileSystem } from "../os/mod.ts";
import {
  type Journal,
  readJournal,
  removeJournal,
  type StagedHost,
  writeJournal,
} from "./journal.ts";
import { type LockOptions, takeLock } from "./lock.ts";
import {
  ensureDirectory,
  entryNames,
  makeDirectory,
  type PkiPaths,
  removeAll,
  withHint,
} from "./pki.ts";
import { abandon, publish, setDigest, STAGED_AUTHORITY } from "./publish.ts";

/** From how many staged sets on one sync of the whole file system is the cheaper one. */
const MANY_DIRECTORIES = 4;

/** What a command may do while it holds the directory. */
export interface Change {
  /** Makes the directory that a host's new set is to be written to; it is published at the end. */
  stageHost(host: string): string;
  /** Gives a host up that was staged. */
  discardHost(host: string): void;
  /**
   * Notes a certificate among the issued ones. It is there before its set is published: one that
   * a crash kept from its host does no harm, one that nobody knows of cannot be revoked.
   */
  record(serial: string, pem: string): void;
  /** Makes the directory that the CA's own files are to be written to. */
  stageAuthority(mode: "create" | "replace"): string;
}

/**
 * Takes the directory's lock, finishes what an interrupted command has left, runs the work and
 * publishes what it staged. If the work throws, nothing has changed.
 *
 * The contract: files are staged with their final mode; to sync them is done here, for all at once.
 * A host is staged once.
 *
 * @throws {CaError} `JOURNAL`, `NOT_A_DIRECTORY`.
 * @throws {BaseError} `FILE_NOT_WRITABLE` If the directory cannot be written to.
 */
export async function changePki<T>(
  paths: PkiPaths,
  options: LockOptions,
  work: (change: Change) => Promise<T>,
): Promise<T> {
  try {
    using _lock = await takeLock(paths.lock, options);
    await finishInterrupted(paths);
    return await runChange(paths, work);
  } catch (error) {
    throw withHint(error, paths.root);
  }
}

async function runChange<T>(paths: PkiPaths, work: (change: Change) => Promise<T>): Promise<T> {
  const staged = new Set<string>();
  const records = new Map<string, string>();
  let authority: "create" | "replace" | undefined;
  const stage = (name: string) => {
    ensureDirectory(paths.staging);
    const directory = `${paths.staging}/${name}`;
    makeDirectory(directory);
    return directory;
  };
  try {
    const result = await work({
      stageHost(host) {
        staged.add(host);
        return stage(host);
      },
      discardHost(host) {
        if (staged.delete(host)) removeAll(`${paths.staging}/${host}`);
      },
      record(serial, pem) {
        records.set(serial, pem);
      },
      stageAuthority(mode) {
        authority = mode;
        return stage(STAGED_AUTHORITY);
      },
    });
    await commit(paths, authority, [...staged], records);
    return result;
  } catch (error) {
    discardStaged(paths);
    throw error;
  }
}

async function commit(
  paths: PkiPaths,
  authority: "create" | "replace" | undefined,
  staged: readonly string[],
  records: ReadonlyMap<string, string>,
): Promise<void> {
  const directories = staged.map((host) => `${paths.staging}/${host}`);
  if (authority !== undefined) directories.push(`${paths.staging}/${STAGED_AUTHORITY}`);
  if (directories.length === 0) return;
  writeRecords(paths, records);
  await syncStaged(paths, directories, records);
  const hosts: StagedHost[] = [];
  for (const [i, host] of staged.entries()) {
    hosts.push({ host, digest: await setDigest(directories[i]!) });
  }
  const journal: Journal = {
    authority: authority !== undefined,
    replaces: authority === "replace",
    hosts,
  };
  writeJournal(paths, journal);
  try {
    await publish(paths, journal);
  } catch (error) {
    if (await abandon(paths, journal)) removeJournal(paths);
    throw error;
  }
  removeJournal(paths);
  removeAll(paths.staging);
}

async function finishInterrupted(paths: PkiPaths): Promise<void> {
  const journal = readJournal(paths);
  if (journal !== undefined) {
    await publish(paths, journal);
    removeJournal(paths);
  }
  removeAll(paths.staging);
}

/** Private keys that nobody will use are not left lying; a journal needs what it names. */
function discardStaged(paths: PkiPaths): void {
  try {
    if (readJournal(paths) === undefined) removeAll(paths.staging);
  } catch {
    // The error that is on its way says more; the next command cleans up first.
  }
}

function writeRecords(paths: PkiPaths, records: ReadonlyMap<string, string>): void {
  if (records.size === 0) return;
  ensureDirectory(paths.issued);
  const written: string[] = [];
  try {
    for (const [serial, pem] of records) {
      const file = `${paths.issued}/${serial}.pem`;
      createFile(file, pem, 0o644, false);
      written.push(file);
    }
  } catch (error) {
    for (const file of written) removeAll(file);
    throw error;
  }
}

/** Everything that is staged reaches the disk before the journal names it. */
async function syncStaged(
  paths: PkiPaths,
  directories: readonly string[],
  records: ReadonlyMap<string, string>,
): Promise<void> {
  // For a few files it would be waiting for what other programs have written.
  if (directories.length >= MANY_DIRECTORIES && await syncFileSystem(paths.staging)) return;
  for (const directory of directories) {
    for (const name of entryNames(directory)) syncFile(`${directory}/${name}`);
    syncDirectory(directory);
  }
  syncDirectory(paths.staging);
  if (records.size === 0) return;
  for (const serial of records.keys()) syncFile(`${paths.issued}/${serial}.pem`);
  syncDirectory(paths.issued);
  syncDirectory(paths.root);
}
