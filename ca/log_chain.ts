/** The two copies of the log as they are kept, walked from their first entry to their last. */

import { CaError } from "./error.ts";
import { EMPTY_LOG, faultOf, type LogHead, type LogRecord } from "./log_entry.ts";
import { readLog } from "./log_file.ts";
import { isThere, type PkiPaths } from "./pki.ts";
import { readSqliteStore, sqliteFaults } from "./store_sqlite.ts";

/** Something that is not as it was written. */
export interface LogFault {
  /** The copy of the log, or the file that contradicts it. */
  readonly file: string;
  /** The first entry that is concerned; absent where no entry is. */
  readonly seq?: number;
  readonly cause: string;
}

/** A copy of the log as far as it is whole; certificates are left out. */
export interface Chain {
  readonly file: string;
  readonly records: readonly LogRecord[];
  readonly head: LogHead;
  readonly fault: LogFault | undefined;
}

/** Walks the copy in the database. */
export async function walkStore(paths: PkiPaths): Promise<Chain> {
  const file = paths.store;
  if (!isThere(file)) {
    return { file, records: [], head: EMPTY_LOG, fault: { file, cause: "it is missing" } };
  }
  try {
    await using store = readSqliteStore(file);
    // What a killed command left to be rolled back: the next change does that.
    if (store === undefined) return await walkFile(paths);
    const [damage] = sqliteFaults(file);
    if (damage !== undefined) {
      const fault = { file, cause: `the database is damaged: ${damage}` };
      return { file, records: [], head: EMPTY_LOG, fault };
    }
    return await walk(file, store.records());
  } catch (error) {
    if (!(error instanceof CaError) || error.code !== "STORE_DAMAGED") throw error;
    const fault = { file, cause: `the database is damaged: ${error.facts.cause}` };
    return { file, records: [], head: EMPTY_LOG, fault };
  }
}

/** Walks the copy in the file. */
export async function walkFile(paths: PkiPaths): Promise<Chain> {
  const file = paths.log;
  if (!isThere(file)) {
    return { file, records: [], head: EMPTY_LOG, fault: { file, cause: "it is missing" } };
  }
  async function* records() {
    for await (const { record, whole } of readLog(file)) yield whole ? record : undefined;
  }
  return await walk(file, records());
}

async function walk(
  file: string,
  all: AsyncIterable<LogRecord | undefined>,
): Promise<Chain> {
  const records: LogRecord[] = [];
  let head = EMPTY_LOG;
  for await (const record of all) {
    const cause = record === undefined ? "it cannot be read" : faultOf(record, head);
    if (cause !== undefined) {
      return { file, records, head, fault: { file, seq: head.seq + 1, cause } };
    }
    const { certificate: _, ...rest } = record!;
    records.push(rest);
    head = { seq: rest.entry.seq, hash: rest.hash };
  }
  return { file, records, head, fault: undefined };
}

/** Both are whole for themselves: the first entry at which they part. */
export function compareChains(paths: PkiPaths, stored: Chain, written: Chain): LogFault[] {
  const length = Math.min(stored.head.seq, written.head.seq);
  for (let i = 0; i < length; i++) {
    if (stored.records[i]!.hash === written.records[i]!.hash) continue;
    const cause = `it is another one than in ${stored.file}`;
    return [{ file: written.file, seq: i + 1, cause }];
  }
  if (stored.head.seq === written.head.seq) return [];
  const [shorter, longer] = stored.head.seq < written.head.seq
    ? [stored, written]
    : [written, stored];
  // The next command writes what one that was killed has left.
  if (shorter === written && isThere(paths.journal)) return [];
  const count = longer.head.seq - shorter.head.seq;
  const cause = count === 1
    ? `it is missing: ${longer.file} has it`
    : `it and what follows, ${count} entries, are missing: ${longer.file} has them`;
  return [{ file: shorter.file, seq: shorter.head.seq + 1, cause }];
}
