/** What the log's file had lost when a command found it so: told, and noted in the log itself. */

import type { Act } from "./act.ts";
import type { LogEntry, LogHead, LogRecord } from "./log_entry.ts";
import { isThere, type PkiPaths } from "./pki.ts";

/** Entries that the database has and the log's file had lost. */
export interface LogGap {
  /** The log's file. */
  readonly file: string;
  /** Where the entries still are. */
  readonly store: string;
  /** Why they are not in the file. */
  readonly state: "gone" | "empty" | "cut";
  /** Number of the first one that was lost. */
  readonly first: number;
  /** How many were lost; all that follow the first one. */
  readonly count: number;
}

/**
 * Tells what a file lost from what a command that was killed had not yet written to it.
 *
 * @param end Where the file ends.
 * @param head Where the log in the database ends.
 * @param unfinished What the journal of a killed command has for the log.
 */
export function gapOf(
  paths: PkiPaths,
  end: LogHead,
  head: LogHead,
  unfinished: readonly LogRecord[],
): LogGap | undefined {
  const last = (unfinished[0]?.entry.seq ?? head.seq + 1) - 1;
  if (end.seq >= last) return undefined;
  const state = end.seq > 0 ? "cut" : isThere(paths.log) ? "empty" : "gone";
  const count = last - end.seq;
  return { file: paths.log, store: paths.store, state, first: end.seq + 1, count };
}

/** What the log is to have of it. */
export function gapAct(gap: LogGap): Act {
  return { act: "log", note: gapText(gap) };
}

/** Says what was lost in one line. */
export function gapText({ file, state, first, count }: LogGap): string {
  const name = file.replace(/.*\//, "");
  const lost = count === 1
    ? `entry ${first}`
    : `${count} entries, ${first} to ${first + count - 1}`;
  return `${name} was ${state} and had lost ${lost}`;
}

/** An entry about a gap that a command found. */
export interface NotedGap extends Pick<LogEntry, "seq" | "time" | "who"> {
  readonly note: string;
}

/** Finds the entries about gaps. */
export function notedGaps(records: readonly LogRecord[]): NotedGap[] {
  return records.filter(({ entry }) => entry.act === "log")
    .map(({ entry: { seq, time, who, note = "" } }) => ({ seq, time, who, note }));
}
