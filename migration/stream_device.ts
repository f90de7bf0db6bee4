/**
 * Device sections: they carry no length, and only the device's model knows where one ends. What
 * stands behind each is known, though: a footer with the section's own number, then a record.
 */

import { isPrintable, type Parser, type StreamInput } from "./_stream_input.ts";
import { MigrationError } from "./error.ts";
import { MIG_CMD, SectionType, StreamLimits } from "./stream_constants.ts";

const FOOTER_LENGTH = 5;
/** Larger numbers than these are not seen: sections are counted from 0, versions are small. */
const MAX_SECTION_ID = 0xff_ffff;
const MAX_VERSION = 0xffff;
/** Lengths in bytes that a command of any length may have at all. */
const VARIABLE_COMMANDS: Readonly<Record<string, (length: number) => boolean>> = {
  POSTCOPY_ADVISE: (length) => length === 0 || length === 16,
  POSTCOPY_RAM_DISCARD: (length) => length >= 3,
  RECV_BITMAP: (length) => length >= 2,
};

/**
 * Passes over a device section's payload and its footer.
 *
 * @param id The section's number.
 * @param ramId The number of the `ram` section, once it is known.
 * @returns The payload's length in bytes.
 * @throws {MigrationError} `STREAM_LIMIT` if the section is larger than a device's state can be.
 */
export function* skipDevicePayload(
  input: StreamInput,
  id: number,
  ramId: number | undefined,
): Parser<number> {
  const start = input.offset;
  for (let from = 0;;) {
    const at = findFooter(input, from, id);
    const length = at - input.pos;
    const behind = at + FOOTER_LENGTH;
    const verdict = behind > input.end ? undefined : isRecord(input, behind, id, ramId);
    if (verdict === true) {
      input.pos = behind;
      return length;
    }
    // A hit that cannot be judged yet is looked at again with more bytes, a wrong one never.
    from = verdict === false ? length + 1 : length;
    if (from > StreamLimits.deviceSection) {
      throw new MigrationError("STREAM_LIMIT", {
        cause: `a device section has more than ${StreamLimits.deviceSection} bytes`,
        offset: start,
      });
    }
    if (verdict === undefined && !(yield* input.more())) {
      if (behind === input.end - 1 && input.bytes[behind] === SectionType.QEMU_VM_EOF) {
        input.pos = behind;
        return length;
      }
      throw input.truncated();
    }
  }
}

/** Where a footer of this section is, or the first place in which one may begin. */
function findFooter(input: StreamInput, from: number, id: number): number {
  const { view, end } = input;
  // Bounded, so that a search does not run on through the unused part of a large buffer.
  const window = input.bytes.subarray(0, end);
  for (let at = input.pos + from;; at++) {
    at = window.indexOf(SectionType.QEMU_VM_SECTION_FOOTER, at);
    if (at < 0) return end;
    if (at + FOOTER_LENGTH > end || view.getUint32(at + 1) === id) return at;
  }
}

/** Whether a record begins here that may follow this section; `undefined` where bytes lack. */
function isRecord(
  { bytes, view, end }: StreamInput,
  at: number,
  id: number,
  ramId: number | undefined,
): boolean | undefined {
  const has = (count: number) => at + count <= end;
  if (!has(2)) return undefined;
  switch (bytes[at]) {
    case SectionType.QEMU_VM_EOF:
      // A description follows: its length, and a JSON object.
      if (bytes[at + 1] !== SectionType.QEMU_VM_VMDESCRIPTION) return false;
      if (!has(7)) return undefined;
      return view.getUint32(at + 2) <= StreamLimits.vmdescription && bytes[at + 6] === 0x7b;
    case SectionType.QEMU_VM_SECTION_START:
    case SectionType.QEMU_VM_SECTION_FULL: {
      if (!has(6)) return undefined;
      const other = view.getUint32(at + 1);
      const name = at + 6;
      const length = bytes[at + 5]!;
      if (other === id || other > MAX_SECTION_ID || length === 0) return false;
      if (!isPrintable(bytes, name, Math.min(name + length, end))) return false;
      if (!has(6 + length + 8)) return undefined;
      return view.getUint32(name + length + 4) <= MAX_VERSION;
    }
    case SectionType.QEMU_VM_SECTION_PART:
    case SectionType.QEMU_VM_SECTION_END:
      return has(5) ? view.getUint32(at + 1) === ramId : undefined;
    case SectionType.QEMU_VM_COMMAND: {
      if (!has(5)) return undefined;
      const [name, length] = MIG_CMD[view.getUint16(at + 1)] ?? ["INVALID", -1];
      const given = view.getUint16(at + 3);
      return length < 0 ? VARIABLE_COMMANDS[name]?.(given) ?? false : given === length;
    }
    default:
      return false;
  }
}
