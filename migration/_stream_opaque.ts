/**
 * The rest of a stream that cannot be walked without the device's model (no footers, or sections
 * with a format of their own): the description at the end is searched for, it alone tells that
 * the stream is whole.
 */

import type { Parser, StreamInput } from "./_stream_input.ts";
import { MigrationError } from "./error.ts";
import { SectionType, StreamLimits } from "./stream_constants.ts";
import { isDescription } from "./stream_vmdescription.ts";

/** EOF, VMDESCRIPTION, be32 length. */
const MARKER_LENGTH = 6;
/** `{"` begins every description. */
const BRACE = 0x7b;
const QUOTE = 0x22;
/** What looks like a description and is none, this often, is made to look so. */
const MAX_CANDIDATES = 16;

/**
 * Passes over everything up to the end marker with its description.
 *
 * @returns The description's length in bytes.
 * @throws {MigrationError} `STREAM_END_UNKNOWN` if the stream ends without one.
 */
export function* skipToDescription(input: StreamInput, why: string): Parser<number> {
  let candidates = 0;
  for (let held = 0;;) {
    const { view, end } = input;
    const bytes = input.bytes.subarray(0, end);
    const brace = bytes.indexOf(BRACE, input.pos + held);
    if (brace < 0 || brace + 1 === end) {
      const seen = brace < 0 ? end : brace;
      // The marker may lie before a border that the brace lies behind.
      input.pos = Math.max(input.pos, seen - MARKER_LENGTH);
      held = seen - input.pos;
      if (!(yield* input.more())) throw endUnknown(why);
      continue;
    }
    held = brace + 1 - input.pos;
    const marker = brace - MARKER_LENGTH;
    if (
      bytes[brace + 1] !== QUOTE || marker < input.pos ||
      bytes[marker] !== SectionType.QEMU_VM_EOF ||
      bytes[marker + 1] !== SectionType.QEMU_VM_VMDESCRIPTION
    ) continue;
    const length = view.getUint32(marker + 2);
    if (length > StreamLimits.vmdescription) continue;
    if (++candidates > MAX_CANDIDATES) throw endUnknown(why);
    input.pos = brace;
    yield* input.need(length);
    if (isDescription(input.bytes.subarray(input.pos, input.pos + length))) {
      input.pos += length;
      return length;
    }
    held = 1;
  }
}

function endUnknown(why: string): MigrationError {
  return new MigrationError("STREAM_END_UNKNOWN", {
    cause: `${why}, and no description of the devices was found at its end`,
  });
}
