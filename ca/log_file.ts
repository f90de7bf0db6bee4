/** The log as a plain file, one line of JSON for each entry: what the database is made anew from. */

import { createFile, fileError, syncDirectory } from "../base/mod.ts";
import { CaError } from "./error.ts";
import {
  decodeRecord,
  EMPTY_LOG,
  encodeRecord,
  type LogHead,
  type LogRecord,
} from "./log_entry.ts";
import { isThere, refuseLink } from "./pki.ts";
import type { Store } from "./store.ts";

/** The longest line in bytes: a certificate has at most 64 KiB. */
const LONGEST_LINE = 1024 * 1024;

/** How many records are written at a time. */
const PIECE = 500;

/** A line of the file. */
export interface LogLine {
  /** From 1. */
  readonly line: number;
  /** `undefined` for one that cannot be read. */
  readonly record: LogRecord | undefined;
  /** Whether it ends with a line feed; what was being written when a machine died does not. */
  readonly whole: boolean;
}

/** Reads the file line by line; nothing where there is none. */
export async function* readLog(file: string): AsyncIterable<LogLine> {
  if (!isThere(file)) return;
  let rest = "";
  let line = 0;
  try {
    using handle = await Deno.open(file, { read: true });
    const text = handle.readable.pipeThrough(new TextDecoderStream());
    for await (const chunk of text) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop()!;
      for (const one of lines) yield { line: ++line, record: decodeRecord(one), whole: true };
      if (rest.length > LONGEST_LINE) throw tooLong(file, line + 1);
    }
  } catch (error) {
    throw fileError(error, file, "read");
  }
  if (rest !== "") yield { line: ++line, record: decodeRecord(rest), whole: false };
}

/**
 * Brings the file to what the store has: writes the records that it lacks.
 *
 * @param fresh Records that the store has taken last, so that they need not be read back.
 * @throws {CaError} `LOG` If its end is not a part of the store's log; `SYMBOLIC_LINK`.
 * @throws {BaseError} `FILE_NOT_WRITABLE`.
 */
export async function mirrorLog(
  file: string,
  store: Store,
  fresh: readonly LogRecord[] = [],
): Promise<void> {
  refuseLink(file);
  if (!isThere(file)) {
    createFile(file, "", 0o600);
    syncDirectory(file.replace(/[^/]*$/, "") || ".");
  }
  try {
    using handle = Deno.openSync(file, { read: true, write: true });
    const { head, size } = lastLine(handle, file);
    const follows = fresh[0]?.entry.prev === head.hash;
    if (!follows) await checkEnd(file, head, store);
    if (handle.statSync().size > size) handle.truncateSync(size);
    handle.seekSync(0, Deno.SeekMode.End);
    if (follows) writeRecords(handle, fresh);
    else await writeLacking(handle, store, head.seq);
    handle.syncSync();
  } catch (error) {
    throw fileError(error, file, "write");
  }
}

/**
 * Reads where the file ends; {@linkcode EMPTY_LOG} where it has no whole line, or is not there.
 *
 * @throws {CaError} `LOG` If its last line is no entry; `SYMBOLIC_LINK`.
 * @throws {BaseError} `FILE_NOT_READABLE`.
 */
export function readLogEnd(file: string): LogHead {
  refuseLink(file);
  if (!isThere(file)) return EMPTY_LOG;
  try {
    using handle = Deno.openSync(file, { read: true });
    return lastLine(handle, file).head;
  } catch (error) {
    throw fileError(error, file, "read");
  }
}

async function writeLacking(handle: Deno.FsFile, store: Store, after: number): Promise<void> {
  let piece: LogRecord[] = [];
  for await (const record of store.records(after)) {
    piece.push(record);
    if (piece.length < PIECE) continue;
    writeRecords(handle, piece);
    piece = [];
  }
  writeRecords(handle, piece);
}

function writeRecords(handle: Deno.FsFile, records: readonly LogRecord[]): void {
  writeAll(handle, records.map((record) => encodeRecord(record) + "\n").join(""));
}

/** Finds the last whole line, and the size of the file up to its end. */
function lastLine(handle: Deno.FsFile, file: string): { head: LogHead; size: number } {
  const { size } = handle.statSync();
  let tail = new Uint8Array(0);
  let at = size;
  let end = -1;
  let start = -1;
  while (at > 0 && start < 0) {
    const piece = Math.min(at, 64 * 1024);
    at -= piece;
    const bytes = new Uint8Array(piece + tail.length);
    handle.seekSync(at, Deno.SeekMode.Start);
    readAll(handle, bytes.subarray(0, piece));
    bytes.set(tail, piece);
    tail = bytes;
    end = tail.lastIndexOf(0x0a);
    start = end < 0 ? -1 : tail.lastIndexOf(0x0a, end - 1);
    if (tail.length > 2 * LONGEST_LINE) throw tooLong(file);
  }
  if (end < 0) return { head: EMPTY_LOG, size: 0 };
  const record = decodeRecord(new TextDecoder().decode(tail.subarray(start + 1, end)));
  if (record === undefined) throw differs(file, "its last line is no entry");
  return { head: { seq: record.entry.seq, hash: record.hash }, size: at + end + 1 };
}

async function checkEnd(file: string, { seq, hash }: LogHead, store: Store): Promise<void> {
  if (seq === 0) return;
  const head = await store.head();
  if (seq > head.seq) {
    throw differs(
      file,
      `it has ${seq} entries and the database ${head.seq}, which is an older one`,
    );
  }
  for await (const record of store.records(seq - 1)) {
    if (record.hash === hash) return;
    break;
  }
  throw differs(file, `its entry ${seq} is not the one of the database`);
}

function differs(file: string, cause: string): CaError {
  const dir = file.replace(/\/?[^/]*$/, "") || "/";
  return new CaError("LOG", {
    file,
    cause,
    hint: [
      `see what differs: deno task ca log --verify --dir ${dir}`,
      `then make both one again: deno task ca rebuild --dir ${dir}`,
    ],
  });
}

function tooLong(file: string, line?: number): CaError {
  return differs(file, `${line === undefined ? "a line" : `line ${line}`} is too long`);
}

function writeAll(handle: Deno.FsFile, text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let offset = 0; offset < bytes.length;) offset += handle.writeSync(bytes.subarray(offset));
}

function readAll(handle: Deno.FsFile, bytes: Uint8Array): void {
  for (let offset = 0; offset < bytes.length;) {
    const count = handle.readSync(bytes.subarray(offset));
    if (count === null) return;
    offset += count;
  }
}
