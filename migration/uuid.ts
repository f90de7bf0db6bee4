/** UUIDs of guests, as `-uuid` gives them to a QEMU. */

import { MigrationError } from "./error.ts";

/** The UUID of a guest that has none. */
export const NO_UUID = "00000000-0000-0000-0000-000000000000";

/**
 * Reads a UUID (util/uuid.c, `qemu_uuid_parse`).
 *
 * @returns It, in small letters.
 * @throws {MigrationError} `PARAMETER` if it is none.
 */
export function parseUuid(text: string): string {
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) return text.toLowerCase();
  throw new MigrationError("PARAMETER", {
    option: "guest-uuid",
    cause: `'${text.slice(0, 40)}' is no UUID`,
    hint: "give it as QEMU's -uuid: 01234567-89ab-cdef-0123-456789abcdef",
  });
}
