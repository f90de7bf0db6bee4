/** The store of an authority's directory, opened for a change or to be looked at. */

import { sealActs } from "./act.ts";
import { CaError } from "./error.ts";
import { faultOf, type LogHead, type LogRecord } from "./log_entry.ts";
import { mirrorLog, readLog, readLogEnd } from "./log_file.ts";
import { gapAct, gapOf, type LogGap } from "./log_gap.ts";
import { isThere, type PkiPaths } from "./pki.ts";
import type { Store } from "./store.ts";
import { openSqliteStore, readSqliteStore } from "./store_sqlite.ts";
import { findUnknown, traceOfStore } from "./take_over.ts";

/** How many records are put into a store at a time. */
const PIECE = 500;

/** What is known when a store is opened, and who hears of what is found. */
export interface OpenLedgerOptions {
  /** What the journal of a killed command has for the log. */
  readonly unfinished?: readonly LogRecord[];
  readonly onGap?: ((gap: LogGap) => void) | undefined;
}

/**
 * Opens the store for a change; the caller holds the directory's lock. What a killed command had for
 * the log is taken in, what an earlier version left in files is taken over by the first change, and
 * the log's file is brought up to date. What it had lost by no such command is noted as an entry
 * before it is written again, so that no crash makes that look as if it had never been.
 *
 * @throws {CaError} `STORE_MISSING`, `STORE_DAMAGED`, `STORE_VERSION`, `STORE`, `LOG`,
 * `SYMBOLIC_LINK`; `CA_CERTIFICATE`, `CRL`, `NOT_A_DIRECTORY` for what is to be taken over.
 * @throws {BaseError} `FILE_NOT_WRITABLE`.
 */
export async function openLedger(
  paths: PkiPaths,
  { unfinished = [], onGap }: OpenLedgerOptions = {},
): Promise<Store> {
  // Before anything is written: a file of nothing would get a schema.
  if (sizeOf(paths.store) === 0) refuseLoss(paths);
  const store = openSqliteStore(paths.store);
  try {
    const head = await store.head();
    if (head.seq === 0) {
      refuseLoss(paths);
      await store.append(sealActs(findUnknown(paths), head));
    }
    await appendOnce(store, unfinished);
    if (head.seq > 0) await noteGap(paths, store, unfinished, onGap);
    await mirrorLog(paths.log, store);
    return store;
  } catch (error) {
    await store[Symbol.asyncDispose]();
    throw error;
  }
}

async function noteGap(
  paths: PkiPaths,
  store: Store,
  unfinished: readonly LogRecord[],
  onGap: OpenLedgerOptions["onGap"],
): Promise<void> {
  const head = await store.head();
  const gap = gapOf(paths, readLogEnd(paths.log), head, unfinished);
  if (gap === undefined) return;
  await store.append(sealActs([gapAct(gap)], head));
  onGap?.(gap);
}

/** Refuses to begin a store where there was one: what it knew would be lost without a word. */
function refuseLoss(paths: PkiPaths): void {
  const [file, isLogged] = [paths.store, sizeOf(paths.log) > 0];
  const trace = isLogged ? paths.log : traceOfStore(paths);
  if (trace === undefined) return;
  const hint = `make it anew from the other files: deno task ca rebuild --dir ${paths.root}`;
  if (isThere(file)) {
    throw new CaError("STORE_DAMAGED", { file, cause: `it is empty, and ${trace} is not`, hint });
  }
  const cause = `${isLogged ? "a log of what it had" : "what it knew of"}: ${trace}`;
  throw new CaError("STORE_MISSING", { file, cause, hint });
}

/** In bytes; zero for what is not there. */
function sizeOf(file: string): number {
  return isThere(file) ? Deno.lstatSync(file).size : 0;
}

/**
 * Opens the store to look at it: no file is changed or made. Where there is none, or only a writer
 * could read it, one in memory has what the files say.
 *
 * @throws {CaError} `STORE_DAMAGED`, `STORE_VERSION`, `STORE`, `CA_CERTIFICATE`, `CRL`.
 */
export async function readLedger(paths: PkiPaths): Promise<Store> {
  const store = isThere(paths.store) ? readSqliteStore(paths.store) : undefined;
  if (store !== undefined) return store;
  const memory = openSqliteStore(":memory:");
  const { head } = await replayLog(paths.log, memory);
  if (head.seq === 0) await memory.append(sealActs(findUnknown(paths), head));
  return memory;
}

/** How far a log's file could be taken in. */
export interface Replay {
  readonly head: LogHead;
  /** What is wrong with the line after it; `undefined` where the file ends there. */
  readonly fault: { readonly line: number; readonly cause: string } | undefined;
}

/**
 * Puts the log of a file into an empty store, up to the first line that is wrong.
 *
 * @throws {CaError} `STORE`, `STORE_CONFLICT`.
 */
export async function replayLog(file: string, store: Store): Promise<Replay> {
  let head = await store.head();
  let piece: LogRecord[] = [];
  let fault: Replay["fault"];
  for await (const { line, record, whole } of readLog(file)) {
    const cause = !whole || record === undefined ? "it is no entry" : faultOf(record, head);
    if (cause !== undefined) {
      fault = { line, cause };
      break;
    }
    piece.push(record!);
    head = { seq: record!.entry.seq, hash: record!.hash };
    if (piece.length < PIECE) continue;
    await store.append(piece);
    piece = [];
  }
  await store.append(piece);
  return { head, fault };
}

/** Appends records that may be there already, since the command that made them was killed. */
async function appendOnce(store: Store, records: readonly LogRecord[]): Promise<void> {
  const [first, last] = [records[0], records.at(-1)];
  if (first === undefined || last === undefined) return;
  for await (const { hash } of store.records(last.entry.seq - 1)) {
    if (hash === last.hash) return;
    break;
  }
  await store.append(records);
}
