/** Comma-separated values (RFC 4180) with the line that each record starts on. */

/** One record. */
export interface CsvRecord {
  /** From 1. */
  readonly line: number;
  readonly fields: readonly string[];
}

/**
 * Splits a text into records; blank lines and those that begin with `#` are left out.
 *
 * @returns The records, or the line of a quote that is out of place.
 */
export function parseCsv(text: string): CsvRecord[] | { readonly line: number } {
  const records: CsvRecord[] = [];
  // A field, then what ends it; a quoted one has doubled quotes and line ends in it.
  const token = /[ \t]*(?:"((?:[^"]|"")*)"[ \t]*|([^",\r\n]*))(,|\r?\n|\r|$)/gy;
  let fields: string[] = [];
  let line = 1;
  let start = 1;
  while (token.lastIndex < text.length) {
    if (fields.length === 0 && /^[ \t]*#/.test(text.slice(token.lastIndex, token.lastIndex + 80))) {
      const end = text.indexOf("\n", token.lastIndex);
      if (end < 0) break;
      token.lastIndex = end + 1;
      line++;
      continue;
    }
    if (fields.length === 0) start = line;
    const match = token.exec(text);
    if (match === null) return { line };
    const [whole, quoted, plain, end] = match;
    fields.push(quoted === undefined ? plain!.trim() : quoted.replaceAll('""', '"'));
    line += whole.split("\n").length - 1;
    if (end === ",") {
      // A comma at the very end has an empty field behind it.
      if (token.lastIndex === text.length) fields.push("");
      else continue;
    }
    if (fields.length > 1 || fields[0] !== "") records.push({ line: start, fields });
    fields = [];
  }
  if (fields.length > 0) records.push({ line: start, fields });
  return records;
}
