/** A change of an authority's directory: all of it or nothing, one at a time. */

import { createFile, syncDirectory, syncFile } from "../base/mod.ts";
import type { SigningKey } from "../engine/mod.ts";
import { syncFileSystem } from "../os/mod.ts";
import { type Act, sealActs, signRecords } from "./act.ts";
import {
  type Journal,
  readJournal,
  type Removable,
  removeJournal,
  type StagedHost,
  writeJournal,
} from "./journal.ts";
import { openLedger } from "./ledger.ts";
import { type LockOptions, takeLock } from "./lock.ts";
import { decodeRecord, encodeRecord, type LogRecord } from "./log_entry.ts";
import { mirrorLog } from "./log_file.ts";
import type { LogGap } from "./log_gap.ts";
import {
  CA_CRL_FILE,
  ensureDirectory,
  entryNames,
  FORMER_DIRECTORY,
  isThere,
  makeDirectory,
  NEXT_DIRECTORY,
  type PkiPaths,
  removeAll,
} from "./pki.ts";
import {
  abandon,
  digestOf,
  publish,
  setDigest,
  STAGED_AUTHORITY,
  STAGED_CRL,
  STAGED_FILES,
} from "./publish.ts";
import type { Store } from "./store.ts";

/** From how many staged sets on one sync of the whole file system is the cheaper one. */
const MANY_DIRECTORIES = 4;

/** How a directory is changed. */
export interface ChangeOptions extends LockOptions {
  /** Called if the log's file had lost entries, which it has again afterwards. */
  readonly onGap?: (gap: LogGap) => void;
}

/** What a command may do while it holds the directory. */
export interface Change {
  /** Makes the directory that a host's new set is to be written to; it is published at the end. */
  stageHost(host: string): string;
  /** Tells which certificates, PEM, the server's first, were written for a host. */
  identify(host: string, certificates: readonly string[]): void;
  /** Gives a host up that was staged. */
  discardHost(host: string): void;
  /**
   * Makes the directory that the CA's own files are to be written to.
   *
   * @param removes What of it goes, once they are in their places.
   */
  stageAuthority(mode: "create" | "replace", removes?: readonly Removable[]): string;
  /**
   * Replaces single files of a host's set, in the order given; between two of them the set has to
   * be whole too. At most ten for a host, and not for one that is staged.
   */
  stageFiles(host: string, files: readonly (readonly [name: string, text: string])[]): void;
  /** Puts a CRL, PEM, into the authority's directory and into those of hosts, at the end. */
  stageCrl(pem: string, hosts: readonly string[]): void;
  /**
   * Notes what is done: it reaches the log, and the store what follows from it, in one transaction
   * with the rest of this change. That is before a set is published: a certificate that a crash
   * kept from its host does no harm, one that nobody knows of cannot be revoked.
   */
  record(act: Act): void;
  /** The store as it is before this change. */
  store(): Promise<Store>;
  /** Keeps an opened authority until the change is over, so that its key signs the log. */
  signedBy<T extends Disposable & { readonly key: SigningKey }>(issuer: T): T;
}

/**
 * Takes the directory's lock, finishes what an interrupted command has left, runs the work and
 * publishes what it staged. If the work throws, nothing has changed.
 *
 * The contract: files are staged with their final mode; to sync them is done here, for all at once.
 * A host is staged once.
 *
 * @throws {CaError} `JOURNAL`, `NOT_A_DIRECTORY`; what is wrong with the store, as `openLedger`.
 * @throws {BaseError} `FILE_NOT_WRITABLE` If the directory cannot be written to.
 */
export async function changePki<T>(
  paths: PkiPaths,
  options: ChangeOptions,
  work: (change: Change) => Promise<T>,
): Promise<T> {
  using _lock = await takeLock(paths.lock, options);
  await using ledger = new Ledger(paths, options.onGap);
  await finishInterrupted(paths, ledger);
  return await runChange(paths, ledger, work);
}

/** The store, opened when it is first needed: much that is done needs none. */
class Ledger implements AsyncDisposable {
  #store: Promise<Store> | undefined;

  constructor(readonly paths: PkiPaths, readonly onGap: ChangeOptions["onGap"]) {}

  /** @param unfinished What a killed command's journal has for the log; only the first call has it. */
  open(unfinished: readonly LogRecord[] = []): Promise<Store> {
    return this.#store ??= openLedger(this.paths, { unfinished, onGap: this.onGap });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const store = await this.#store?.catch(() => undefined);
    await store?.[Symbol.asyncDispose]();
  }
}

/** What the work has staged and noted. */
interface Staged {
  /** With the digest of each set, where it is known. */
  readonly hosts: Map<string, string | undefined>;
  readonly acts: Act[];
  /** Of which single files are staged. */
  readonly files: Set<string>;
  authority: "create" | "replace" | undefined;
  removes: readonly Removable[];
  crl: boolean;
  key: SigningKey | undefined;
}

async function runChange<T>(
  paths: PkiPaths,
  ledger: Ledger,
  work: (change: Change) => Promise<T>,
): Promise<T> {
  const staged: Staged = {
    hosts: new Map(),
    acts: [],
    files: new Set(),
    authority: undefined,
    removes: [],
    crl: false,
    key: undefined,
  };
  using owned = new DisposableStack();
  let isReady = false;
  const stage = (name: string) => {
    if (!isReady) ensureDirectory(paths.staging);
    isReady = true;
    const directory = `${paths.staging}/${name}`;
    makeDirectory(directory);
    return directory;
  };
  try {
    const result = await work({
      stageHost(host) {
        staged.hosts.set(host, undefined);
        return stage(host);
      },
      identify(host, certificates) {
        staged.hosts.set(host, digestOf(certificates));
      },
      discardHost(host) {
        if (staged.hosts.delete(host)) removeAll(`${paths.staging}/${host}`);
      },
      stageAuthority(mode, removes = []) {
        staged.authority = mode;
        staged.removes = removes;
        return stage(STAGED_AUTHORITY);
      },
      stageFiles(host, files) {
        if (staged.files.size === 0) stage(STAGED_FILES);
        staged.files.add(host);
        const directory = stage(`${STAGED_FILES}/${host}`);
        for (const [i, [name, text]] of files.entries()) {
          createFile(`${directory}/${i}-${name}`, text, 0o644, false);
        }
      },
      stageCrl(pem, hosts) {
        staged.crl = true;
        const directory = stage(STAGED_CRL);
        createFile(`${directory}/${CA_CRL_FILE}`, pem, 0o644, false);
        makeDirectory(`${directory}/hosts`);
        for (const host of hosts) createFile(`${directory}/hosts/${host}`, pem, 0o644, false);
      },
      record: (act) => void staged.acts.push(act),
      store: () => ledger.open(),
      signedBy(issuer) {
        staged.key = issuer.key;
        return owned.use(issuer);
      },
    });
    await commit(paths, ledger, staged);
    return result;
  } catch (error) {
    discardStaged(paths);
    throw error;
  }
}

async function commit(paths: PkiPaths, ledger: Ledger, staged: Staged): Promise<void> {
  const directories = [...staged.hosts.keys()].map((host) => `${paths.staging}/${host}`);
  const records = await seal(ledger, staged);
  if (staged.authority !== undefined) directories.push(...authorityDirectories(paths));
  if (staged.crl) directories.push(...[STAGED_CRL, `${STAGED_CRL}/hosts`].map(at(paths.staging)));
  directories.push(...[...staged.files].map((host) => `${paths.staging}/${STAGED_FILES}/${host}`));
  if (directories.length === 0 && records.length === 0) return;
  if (directories.length > 0) await syncStaged(paths, directories);
  const hosts: StagedHost[] = [];
  for (const [i, [host, digest]] of [...staged.hosts].entries()) {
    hosts.push({ host, digest: digest ?? setDigest(directories[i]!) });
  }
  const journal: Journal = {
    authority: staged.authority !== undefined,
    replaces: staged.authority === "replace",
    removes: staged.removes,
    hosts,
    crl: staged.crl,
    files: staged.files.size > 0,
    records: records.map(encodeRecord),
  };
  writeJournal(paths, journal);
  try {
    if (records.length > 0) await (await ledger.open()).append(records);
  } catch (error) {
    removeJournal(paths);
    throw error;
  }
  if (records.length > 0) await mirrorLog(paths.log, await ledger.open(), records);
  try {
    await publish(paths, journal, true);
  } catch (error) {
    if (abandon(paths, journal)) removeJournal(paths);
    throw error;
  }
  removeJournal(paths);
  removeAll(paths.staging);
}

function authorityDirectories(paths: PkiPaths): string[] {
  const own = `${paths.staging}/${STAGED_AUTHORITY}`;
  const others = [NEXT_DIRECTORY, FORMER_DIRECTORY].map(at(own)).filter(isThere);
  return [own, ...others];
}

/** Makes the log's entries of what was done, behind the ones that are there. */
async function seal(ledger: Ledger, { acts, key }: Staged): Promise<LogRecord[]> {
  if (acts.length === 0) return [];
  const records = sealActs(acts, await (await ledger.open()).head());
  return key === undefined ? records : await signRecords(records, key);
}

async function finishInterrupted(paths: PkiPaths, ledger: Ledger): Promise<void> {
  const journal = readJournal(paths);
  if (journal !== undefined) {
    const unfinished = (journal.records ?? []).map((line) => decodeRecord(line)!);
    if (unfinished.length > 0) await ledger.open(unfinished);
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

/** Everything that is staged reaches the disk before the journal names it. */
async function syncStaged(paths: PkiPaths, directories: readonly string[]): Promise<void> {
  // For a few files it would be waiting for what other programs have written.
  if (directories.length >= MANY_DIRECTORIES && await syncFileSystem(paths.staging)) return;
  for (const directory of directories) {
    for (const name of entryNames(directory)) syncFile(`${directory}/${name}`);
    syncDirectory(directory);
  }
  syncDirectory(paths.staging);
}

function at(directory: string): (name: string) => string {
  return (name) => `${directory}/${name}`;
}
