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
  /** Bytes of records that follow a PACKAGED. */
  readonly packaged?: number;
  /** What POSTCOPY_RAM_DISCARD takes back: it has been written since, and comes again. */
  readonly discard?: Discard;
}

/** Parts of a block of memory. */
export interface Discard {
  readonly block: string;
  /** Start and length in bytes. */
  readonly ranges: readonly (readonly [start: number, length: number])[];
}

/** What needs a destination with a guest in it, to ask for pages and to go back. */
const UNSUPPORTED: Readonly<Record<number, string>> = {
  [MigCmd.MIG_CMD_POSTCOPY_LISTEN]: "the source switched to post-copy",
  [MigCmd.MIG_CMD_POSTCOPY_RUN]: "the source switched to post-copy",
  [MigCmd.MIG_CMD_PACKAGED]: "the source switched to post-copy",
  [MigCmd.MIG_CMD_ENABLE_COLO]: "the source wants COLO",
  [MigCmd.MIG_CMD_POSTCOPY_RESUME]: "the source resumes a post-copy migration",
};

const POSTCOPY: ReadonlySet<number> = new Set([
  MigCmd.MIG_CMD_POSTCOPY_LISTEN,
  MigCmd.MIG_CMD_POSTCOPY_RUN,
  MigCmd.MIG_CMD_PACKAGED,
]);

/**
 * Reads a command behind its type byte.
 *
 * @param offset Where the type byte stands.
 * @param postcopy Whether the destination can go through with post-copy.
 * @throws {MigrationError} `STREAM` in QEMU's words, `STREAM_UNSUPPORTED` for post-copy and COLO.
 */
export function* readCommand(
  input: StreamInput,
  offset: number,
  postcopy: boolean,
): Parser<StreamCommand> {
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
  if (cause !== undefined && !(postcopy && POSTCOPY.has(number))) {
    throw new MigrationError("STREAM_UNSUPPORTED", {
      cause,
      offset,
      hint: "let it finish in pre-copy: raise max-bandwidth or downtime-limit at the source",
    });
  }
  if (number === MigCmd.MIG_CMD_PING) return { name, length, value: yield* input.u32() };
  if (number === MigCmd.MIG_CMD_PACKAGED) return { name, length, packaged: yield* input.u32() };
  if (number === MigCmd.MIG_CMD_POSTCOPY_RAM_DISCARD) {
    return { name, length, discard: yield* readDiscard(input, length, offset) };
  }
  if (number === MigCmd.MIG_CMD_POSTCOPY_ADVISE && length !== 0 && length !== 16) {
    throw new MigrationError("STREAM", {
      text: `CMD_POSTCOPY_ADVISE invalid length (${length})`,
      offset,
    });
  }
  yield* input.skip(length);
  return { name, length };
}

/** Version, name, a NUL, then pairs (QEMU migration/savevm.c, `loadvm_postcopy_ram_handle_discard`). */
function* readDiscard(input: StreamInput, length: number, offset: number): Parser<Discard> {
  const bad = (text: string) => new MigrationError("STREAM", { text, offset });
  if (length < 3 + 16) throw bad(`CMD_POSTCOPY_RAM_DISCARD invalid length (${length})`);
  const version = yield* input.u8();
  if (version !== 0) throw bad(`CMD_POSTCOPY_RAM_DISCARD invalid version (${version})`);
  const block = yield* input.countedString("the name of a RAM block");
  const rest = length - 2 - block.length - 1;
  if ((yield* input.u8()) !== 0) throw bad("CMD_POSTCOPY_RAM_DISCARD missing nil");
  if (rest < 16 || rest % 16 !== 0) throw bad(`CMD_POSTCOPY_RAM_DISCARD invalid length (${rest})`);
  const ranges: [number, number][] = [];
  for (let left = rest; left > 0; left -= 16) ranges.push([yield* input.u64(), yield* input.u64()]);
  return { block, ranges };
}
