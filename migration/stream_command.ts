/** Commands of the source to the destination (QEMU migration/savevm.c, `qemu_mig_cmd`). */

import type { Parser, StreamInput } from "./_stream_input.ts";
import { MigrationError } from "./error.ts";
import { MIG_CMD, MigCmd } from "./stream_constants.ts";

/** A command as it came. */
export interface StreamCommand {
  /** As in QEMU's table: `PING`. */
  readonly name: string;
  /** Bytes of its data. */
  readonly length: number;
  /** The value of a PING, to be answered with PONG. */
  readonly value?: number;
}

/** What needs a destination with a guest in it, to ask for pages and to go back. */
const UNSUPPORTED: Readonly<Record<number, string>> = {
  [MigCmd.MIG_CMD_POSTCOPY_LISTEN]: "the source switched to post-copy",
  [MigCmd.MIG_CMD_POSTCOPY_RUN]: "the source switched to post-copy",
  [MigCmd.MIG_CMD_PACKAGED]: "the source switched to post-copy",
  [MigCmd.MIG_CMD_ENABLE_COLO]: "the source wants COLO",
  [MigCmd.MIG_CMD_POSTCOPY_RESUME]: "the source resumes a post-copy migration",
};

/**
 * Reads a command behind its type byte.
 *
 * @param offset Where the type byte stands.
 * @throws {MigrationError} `STREAM` in QEMU's words, `STREAM_UNSUPPORTED` for post-copy and COLO.
 */
export function* readCommand(input: StreamInput, offset: number): Parser<StreamCommand> {
  const number = yield* input.u16();
  const length = yield* input.u16();
  const entry = number === 0 ? undefined : MIG_CMD[number];
  if (entry === undefined) {
    throw new MigrationError("STREAM", {
      text: `MIG_CMD 0x${number.toString(16)} unknown (len 0x${length.toString(16)})`,
      offset,
    });
  }
  const [name, expected] = entry;
  if (expected >= 0 && length !== expected) {
    throw new MigrationError("STREAM", {
      text: `${name} received with bad length - expecting ${expected}, got ${length}`,
      offset,
    });
  }
  const cause = UNSUPPORTED[number];
  if (cause !== undefined) {
    throw new MigrationError("STREAM_UNSUPPORTED", {
      cause,
      offset,
      hint: "let it finish in pre-copy: raise max-bandwidth or downtime-limit at the source",
    });
  }
  if (number === MigCmd.MIG_CMD_PING) return { name, length, value: yield* input.u32() };
  if (number === MigCmd.MIG_CMD_POSTCOPY_ADVISE && length !== 0 && length !== 16) {
    throw new MigrationError("STREAM", {
      text: `CMD_POSTCOPY_ADVISE invalid length (${length})`,
      offset,
    });
  }
  yield* input.skip(length);
  return { name, length };
}
