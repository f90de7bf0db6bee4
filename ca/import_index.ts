/** The `index.txt` of `openssl ca` and easy-rsa: a line for each certificate, with its status. */

import { derString, readDerWhole, readTime, Tag } from "../base/mod.ts";
import { CaError } from "./error.ts";
import { serialText } from "./issued.ts";
import { REASONS } from "./revoked.ts";

/** A line of the index. */
export interface IndexEntry {
  readonly serial: string;
  /** For one that is revoked. */
  readonly revoked?: { readonly date: Date; readonly reason?: number };
}

/** RFC 5280's names as openssl writes them, and its own two that carry a time behind. */
const NAMES: Readonly<Record<string, number>> = {
  ...Object.fromEntries(Object.entries(REASONS).map(([name, code]) => [name.toLowerCase(), code])),
  keytime: REASONS.keyCompromise,
  cakeytime: REASONS.cACompromise,
  holdinstruction: REASONS.certificateHold,
};

/**
 * Reads an index: status, end, revocation, serial, file and name, parted by tabs.
 *
 * @param file Named in the error.
 * @throws {CaError} `IMPORT` For a line that is none.
 */
export function parseIndex(text: string, file: string): IndexEntry[] {
  const entries: IndexEntry[] = [];
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === "") continue;
    const refuse = (cause: string) =>
      new CaError("IMPORT", {
        file: `${file}:${i + 1}`,
        cause,
        hint: "a line has six fields, parted by tabs: status, end, revocation, serial, file, name",
      });
    const [status, , revocation, serial, ...rest] = line.split("\t");
    if (!/^[VRE]$/.test(status!)) throw refuse("its status is none of V, R and E");
    if (rest.length < 2 || !/^[0-9a-f]+$/i.test(serial!)) throw refuse("it has no serial");
    const revoked = status === "R" ? parseRevocation(revocation!) : undefined;
    if (status === "R" && revoked === undefined) throw refuse("its revocation cannot be read");
    entries.push({ serial: serialText(serial!), ...(revoked === undefined ? {} : { revoked }) });
  }
  return entries;
}

/** `DATE[,REASON[,MORE]]`; `unspecified` is as good as none (RFC 5280 5.3.1). */
function parseRevocation(text: string): IndexEntry["revoked"] {
  const [date, name = "unspecified"] = text.split(",");
  const reason = NAMES[name.toLowerCase()];
  if (reason === undefined) return undefined;
  const tag = date!.length === 13 ? Tag.UTC_TIME : Tag.GENERALIZED_TIME;
  try {
    const when = readTime(readDerWhole(derString(tag, date!)));
    return { date: when, ...(reason === REASONS.unspecified ? {} : { reason }) };
  } catch {
    return undefined;
  }
}
