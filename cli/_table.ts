/** Rows as text: a table for people, CSV for spreadsheets. */

/** Writes columns side by side; the last is not padded. */
export function tableText(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, i) =>
    Math.max(...rows.map((row) => [...row[i] ?? ""].length))
  );
  return rows.map((row) =>
    row.map((cell, i) =>
      i === row.length - 1 ? cell : cell + " ".repeat(widths[i]! - [...cell].length)
    ).join("  ").trimEnd()
  ).join("\n");
}

/** Writes rows as RFC 4180 has them, with bare line feeds. */
export function csvText(rows: readonly (readonly string[])[]): string {
  const quote = (cell: string) => /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
  return rows.map((row) => row.map(quote).join(",")).join("\n");
}
