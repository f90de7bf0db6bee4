/** The flag `--at`: a verdict on a day to come. */

import { printable } from "../base/mod.ts";
import { type Input, usage } from "./_command.ts";

/** Reads `--at`; a day begins at midnight, UTC. */
export function dateOf(input: Input): Date | undefined {
  const text = input.get("at");
  if (text === undefined) return undefined;
  const isDate = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?Z)?$/.test(text);
  const date = new Date(isDate ? text : NaN);
  // The parser turns the 31st of a shorter month into another day.
  if (Number.isNaN(date.getTime()) || !date.toISOString().startsWith(text.slice(0, 10))) {
    throw usage(`--at takes a date, not '${printable(text)}'`, "2027-01-31 or 2027-01-31T12:00Z");
  }
  return date;
}
