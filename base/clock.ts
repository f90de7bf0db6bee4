/** Time as the toolkit reads it, so that a test or `--at DATE` can stand on another day. */
export type Clock = () => Date;

/** The clock of the machine. */
export const systemClock: Clock = (): Date => new Date();

/** The day of a date, in UTC: `2027-11-24`. */
export function day(date: Date): string {
  return date.toISOString().slice(0, 10);
}

const UNITS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/**
 * Reads a span of time such as `30d`, `12h`, `90m`, `45s` or `2w`; a bare number is days.
 *
 * @example Days to milliseconds
 * ```ts
 * import { parseDuration } from "@virtcreds/virtcreds/base";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parseDuration("30d"), 30 * 86_400_000);
 * assertEquals(parseDuration("soon"), undefined);
 * ```
 *
 * @returns The span in ms, or `undefined` if the text is not one.
 */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d{1,6})([smhdw]?)$/.exec(text);
  if (match === null) return undefined;
  return Number(match[1]) * UNITS[match[2] || "d"]!;
}
