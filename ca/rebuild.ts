/** The store made anew from the files: the way back when the database is lost or damaged. */

import { fileError, syncDirectory } from "../base/mod.ts";
import { type Act, sealActs } from "./act.ts";
import { type ChangeOptions, changePki } from "./change.ts";
import { CaError } from "./error.ts";
import { refuseWithoutAuthority } from "./issue.ts";
import { readJournal, writeJournal } from "./journal.ts";
import { type Replay, replayLog } from "./ledger.ts";
import { type LockOptions, takeLock } from "./lock.ts";
import { decodeRecord, faultOf, type LogHead, type LogRecord } from "./log_entry.ts";
import { mirrorLog } from "./log_file.ts";
import { gapAct, gapOf, type LogGap } from "./log_gap.ts";
import {
  ensureDirectory,
  isThere,
  type PkiPaths,
  pkiPaths,
  refuseLink,
  removeAll,
  rename,
} from "./pki.ts";
import { effectsOf, type Store } from "./store.ts";
import { openSqliteStore, readSqliteStore, sqliteFaults } from "./store_sqlite.ts";
import { findUnknown, type Known } from "./take_over.ts";

/** What is made anew, and how. */
export interface RebuildOptions extends ChangeOptions {
  /** The authority's directory. */
  readonly dir: string;
  /** Says what would be done, and changes nothing. */
  readonly dryRun?: boolean;
}

/** What became of the store. */
export interface RebuildResult {
  /** Where the log was taken from; `undefined` where there was none that could be read. */
  readonly source: string | undefined;
  /** How many of its entries could be taken. */
  readonly entries: number;
  /** What is wrong with each copy of the log, and from which entry on. */
  readonly faults: readonly {
    readonly file: string;
    readonly seq: number;
    readonly cause: string;
  }[];
  /** Certificates that no entry had, from hosts' directories. */
  readonly certificates: number;
  /** Revocations that no entry had, from the CRL. */
  readonly revocations: number;
  /** Whether all was right already, so that nothing is changed. */
  readonly unchanged: boolean;
  /** Where what was replaced lies now. */
  readonly kept: readonly string[];
  /** What the log's file alone had lost, which is one of the faults too. */
  readonly gap: LogGap | undefined;
}

/**
 * Makes the store anew from the log's file, else from what of the database can be read, and takes
 * over what hosts' directories and the CRL have beside. What is replaced is kept under another name.
 *
 * @throws {CaError} `CA_MISSING`, `CA_CERTIFICATE`, `CRL`, `JOURNAL`, `STORE_VERSION`, `STORE`,
 * `SYMBOLIC_LINK`.
 * @throws {BaseError} `FILE_NOT_WRITABLE`.
 */
export async function rebuildStore(options: RebuildOptions): Promise<RebuildResult> {
  const paths = pkiPaths(options.dir);
  refuseWithoutAuthority(paths);
  if (options.dryRun) return (await build(paths, openSqliteStore(":memory:"), true)).result;
  const result = await replaceStore(paths, options);
  if (result.unchanged) return result;
  const { source = "nothing", entries, certificates, revocations, gap } = result;
  const note = `${entries} entries of ${source.replace(/.*\//, "")}, ` +
    `${certificates} certificates, ${revocations} revocations`;
  await changePki(paths, options, (change) => {
    if (gap !== undefined) change.record(gapAct(gap));
    change.record({ act: "rebuild", note });
    return Promise.resolve();
  });
  return result;
}

/** The new database and log lie in the staging directory until both are whole. */
async function replaceStore(paths: PkiPaths, options: LockOptions): Promise<RebuildResult> {
  using _lock = await takeLock(paths.lock, options);
  // What a killed command has staged is still to be published.
  const place = `${paths.root === "/" ? "" : paths.root}/.rebuild`;
  removeAll(place);
  ensureDirectory(place);
  try {
    const [database, log] = [`${place}/ca.db`, `${place}/ca.log`];
    const { result, rest, apart } = await build(paths, openSqliteStore(database), false, log);
    if (result.unchanged) return result;
    for (const one of [paths.store, paths.log, `${paths.store}-journal`]) refuseLink(one);
    const stamp = new Date().toISOString().replace(/[-:]|\.\d+/g, "");
    // Of a copy that is whole, and a part of the new one, nothing would be lost.
    const kept = [paths.store, paths.log].filter(isThere)
      .filter((file) =>
        apart && file === paths.store || result.faults.some((fault) => fault.file === file)
      )
      .map((file) => [file, `${file}.${stamp}`] as const);
    if (rest !== undefined) writeJournal(paths, { ...rest, records: [] });
    for (const [file, name] of kept) keep(file, name);
    // Whenever this ends, there is a log that has everything.
    rename(log, paths.log);
    const hot = `${paths.store}-journal`;
    // It would be rolled back into the new database.
    if (isThere(hot)) rename(hot, `${paths.store}.${stamp}-journal`);
    rename(database, paths.store);
    syncDirectory(paths.root);
    return { ...result, kept: kept.map(([, name]) => name) };
  } finally {
    removeAll(place);
  }
}

/** A second name for a file; a copy where the file system has no such thing. */
function keep(file: string, name: string): void {
  try {
    Deno.linkSync(file, name);
  } catch {
    try {
      Deno.copyFileSync(file, name);
    } catch (error) {
      throw fileError(error, name, "write");
    }
  }
}

interface Built {
  readonly result: RebuildResult;
  /** The journal whose records are in the new log. */
  readonly rest: ReturnType<typeof readJournal>;
  /** Whether the old database has entries that the new one has not. */
  readonly apart: boolean;
}

async function build(
  paths: PkiPaths,
  target: Store,
  dryRun: boolean,
  log?: string,
): Promise<Built> {
  await using store = target;
  const old = await readOld(paths, dryRun);
  const replay = await replayLog(paths.log, store);
  const isPart = replay.head.seq === 0 ||
    old.records[replay.head.seq - 1]?.hash === replay.head.hash;
  const rest = readJournal(paths);
  const pending = (rest?.records ?? []).map((line) => decodeRecord(line)!);
  const known = { seq: old.records.length, hash: old.records.at(-1)?.hash ?? "" };
  const gap = isPart && replay.fault === undefined
    ? gapOf(paths, replay.head, known, pending)
    : undefined;
  const faults = [...old.faults, ...faultsOf(paths, replay, gap)];
  let head = replay.head;
  let source = head.seq > 0 ? paths.log : undefined;
  if (isPart && old.records.length > head.seq) {
    await store.append(old.records.slice(head.seq));
    head = await store.head();
    source ??= paths.store;
  }
  const apart = !await hasRecord(store, old.records.at(-1));
  // Of a database whose log is another one, what it alone has.
  const acts = await missingActs(paths, store, isPart ? pending : [...old.records, ...pending]);
  const count = (test: (act: Act) => boolean) => acts.filter(test).length;
  const unchanged = faults.length === 0 && acts.length === 0 &&
    same(old.head, replay.head);
  const result: RebuildResult = {
    source,
    entries: head.seq,
    faults,
    certificates: count((act) => act.certificate !== undefined),
    revocations: count((act) => act.revoked !== undefined),
    unchanged,
    kept: [],
    gap,
  };
  if (unchanged || dryRun) return { result, rest: undefined, apart };
  await store.append(sealActs(acts, head));
  await mirrorLog(log!, store);
  return { result, rest, apart };
}

async function hasRecord(store: Store, record: LogRecord | undefined): Promise<boolean> {
  if (record === undefined) return true;
  for await (const { hash } of store.records(record.entry.seq - 1)) return hash === record.hash;
  return false;
}

/** The old database as far as it can be read. */
async function readOld(paths: PkiPaths, dryRun: boolean) {
  const records: LogRecord[] = [];
  const faults: RebuildResult["faults"][number][] = [];
  let head: LogHead = { seq: 0, hash: "" };
  const fault = (cause: string) => faults.push({ file: paths.store, seq: head.seq + 1, cause });
  if (!isThere(paths.store)) {
    fault("it is missing");
    return { records, faults, head };
  }
  try {
    await using store = dryRun ? readSqliteStore(paths.store) : openSqliteStore(paths.store);
    if (store === undefined) return { records, faults, head };
    head = { seq: 0, hash: "0".repeat(64) };
    for await (const record of store.records()) {
      const cause = faultOf(record, head);
      if (cause !== undefined) {
        fault(cause);
        break;
      }
      records.push(record);
      head = { seq: record.entry.seq, hash: record.hash };
    }
    const [damage] = sqliteFaults(paths.store);
    if (damage !== undefined) fault(damage);
  } catch (error) {
    if (!(error instanceof CaError) || error.code !== "STORE_DAMAGED") throw error;
    fault(error.facts.cause ?? "it is damaged");
  }
  return { records, faults, head };
}

function faultsOf(
  paths: PkiPaths,
  { head, fault }: Replay,
  gap: LogGap | undefined,
): RebuildResult["faults"] {
  const file = paths.log;
  if (!isThere(file)) return [{ file, seq: 1, cause: "it is missing" }];
  if (gap !== undefined) {
    const cause = `it was ${gap.state} and had lost ${gap.count} that ${gap.store} has`;
    return [{ file, seq: gap.first, cause }];
  }
  return fault === undefined ? [] : [{ file, seq: head.seq + 1, cause: fault.cause }];
}

/** What files have and the new store has not; first what is to be taken from other records. */
async function missingActs(
  paths: PkiPaths,
  store: Store,
  others: readonly LogRecord[],
): Promise<Act[]> {
  const [hashes, certificates, revocations] = [
    new Set<string>(),
    new Set<string>(),
    new Set<string>(),
  ];
  const numbers = new Map<string, bigint>();
  const known: Known = {
    certificate: (issuer, serial) => certificates.has(`${issuer} ${serial}`),
    revocation: (issuer, serial) => revocations.has(`${issuer} ${serial}`),
    crlNumber: (issuer) => numbers.get(issuer) ?? 0n,
  };
  const note = (record: LogRecord) => {
    hashes.add(record.hash);
    const { certificate, revocation, crl } = effectsOf(record);
    if (certificate) certificates.add(`${certificate.issuer} ${certificate.serial}`);
    if (revocation) revocations.add(`${revocation.issuer} ${revocation.serial}`);
    if (crl) numbers.set(crl.issuer, crl.number);
  };
  for await (const record of store.records()) note(record);
  const missing = others.filter((record) => {
    const { certificate, revocation, crl } = effectsOf(record);
    const isNew = !hashes.has(record.hash) &&
      (certificate !== undefined && !known.certificate(certificate.issuer, certificate.serial) ||
        revocation !== undefined && !known.revocation(revocation.issuer, revocation.serial) ||
        crl !== undefined && crl.number > known.crlNumber(crl.issuer));
    if (isNew) note(record);
    return isNew;
  });
  return [...missing.map(actOf), ...findUnknown(paths, known)];
}

function actOf(record: LogRecord): Act {
  const { seq: _, time: __, who: ___, prev: ____, revoked: _____, number, ...entry } = record.entry;
  const { certificate, revocation } = effectsOf(record);
  return {
    ...entry,
    ...(certificate === undefined ? {} : { certificate: certificate.certificate }),
    ...(revocation === undefined ? {} : { revoked: revocation }),
    ...(number === undefined ? {} : { number: BigInt(number) }),
  };
}

function same(a: LogHead, b: LogHead): boolean {
  return a.seq === b.seq && a.hash === b.hash;
}
