/** What programs and people see of a migration's course: `--json` and `--report`. */

import { VirtcredsError } from "../base/mod.ts";
import type { MigrationState } from "../migration/mod.ts";
import type { Flag, Input } from "./_command.ts";
import { say } from "./_console.ts";
import { messageOf, type MigrationRoom } from "./_migration.ts";
import { checkPageFile, writePage } from "./_page_file.ts";

/** The flags. */
export const WATCH_FLAGS: readonly Flag[] = [
  { name: "json", help: "print each status, pass and progress as one JSON object a line" },
  {
    name: "report",
    value: "FILE.html",
    help: "write a page with the throughput and what was left over time, at the end",
  },
];

/** ms between two lines of progress. */
const INTERVAL = 500;

/** What is watched. */
export interface Watched {
  readonly side: "source" | "target" | "relay";
  readonly state: MigrationState;
}

/** A migration that is watched. */
export interface MigrationWatch extends Disposable {
  /** Tells of a block of memory. */
  digest(block: string, sha256: string): void;
  /** Writes what there is to write at the end of a migration; what fails is a warning. */
  finish(facts: readonly (readonly [string, string])[]): void;
}

/**
 * Watches as the flags say.
 *
 * @throws {BaseError} `FILE_NOT_WRITABLE` If the report cannot be written, or would replace what is
 * no report.
 */
export function watchMigration(
  input: Input,
  room: MigrationRoom,
  { side, state }: Watched,
): MigrationWatch {
  const file = input.get("report");
  if (file !== undefined) checkPageFile(file);
  const recorder = file === undefined ? undefined : new room.CourseRecorder(state);
  const isJson = input.on("json");
  const emit = (event: string, data: unknown) => {
    const now = Date.now();
    const timestamp = { seconds: Math.floor(now / 1000), microseconds: now % 1000 * 1000 };
    console.log(JSON.stringify({ event, timestamp, data }));
  };
  const progress = () => emit("MIGRATION_PROGRESS", progressOf(room, { side, state }));
  let timer: ReturnType<typeof setInterval> | undefined;
  if (isJson) {
    const { onStatus, onPass } = state;
    state.onStatus = (status) => {
      onStatus?.(status);
      emit("MIGRATION", { status });
    };
    state.onPass = (pass) => {
      onPass?.(pass);
      emit("MIGRATION_PASS", { pass });
    };
    timer = setInterval(() => room.isUnderWay(state) && state.bytes > 0 && progress(), INTERVAL);
  }
  return {
    digest(block, sha256) {
      if (isJson) emit("MIGRATION_DIGEST", { block, sha256 });
      else console.log(`${sha256}  ${block}`);
    },
    finish(facts) {
      if (isJson) progress();
      if (file === undefined) return;
      try {
        writePage(
          file,
          room.migrationReport({ side, state, course: recorder!.course, facts, date: new Date() }),
        );
      } catch (error) {
        // The guest has gone over or it has not: a page changes nothing about that.
        say(
          `warning: there is no report: ${messageOf(error)}`,
          ...(error instanceof VirtcredsError ? error.hints : []),
        );
        return;
      }
      say(`the report is in ${file}`);
    },
    [Symbol.dispose]() {
      clearInterval(timer);
      recorder?.[Symbol.dispose]();
    },
  };
}

/** What a monitor would answer; a relay has none, and knows no more than what has passed. */
function progressOf(room: MigrationRoom, { side, state }: Watched): unknown {
  if (side !== "relay") return room.queryMigrate(state, side);
  return { ...room.queryMigrate(state, "target"), transferred: state.bytes };
}
