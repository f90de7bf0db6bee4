/** The lines of QEMU that judge credentials differently. */

import { BaseError } from "../base/mod.ts";

/** One line of QEMU. */
export interface Profile {
  /** As it is shown and may be asked for: a version, or the first and last of a range. */
  readonly name: string;
  /** Which walk its checks take: QEMU 10.2 wrote the load of credentials anew. */
  readonly logic: "old" | "new";
  /** Whether a critical key usage must have keyEncipherment. */
  readonly wantsKeyEncipherment: boolean;
}

type Version = readonly [major: number, minor: number, micro: number];

/** Each line with the versions that it begins and ends with, both included. */
const LINES: readonly (Profile & { readonly from: Version; readonly to: Version })[] = [
  line("2.5-7.2.21", [2, 5, 0], [7, 2, 21], "old", true),
  line("7.2.22", [7, 2, 22], [7, 2, Infinity], "old", false),
  line("8.0-10.1.2", [8, 0, 0], [10, 1, 2], "old", true),
  line("10.1.3", [10, 1, 3], [10, 1, Infinity], "old", false),
  line("10.2", [10, 2, 0], [Infinity, 0, 0], "new", false),
];

/** All lines, oldest first. */
export const PROFILES: readonly Profile[] = LINES.map(({ from: _from, to: _to, ...profile }) =>
  profile
);

/** The line whose behaviour the objects of this toolkit have. */
export const DEFAULT_PROFILE: Profile = PROFILES[1]!;

/**
 * Finds the line that a version belongs to; its name is the version as it was asked for.
 *
 * @example A version and its rules
 * ```ts
 * import { findProfile } from "@virtcreds/virtcreds/creds";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(findProfile("7.2.21").wantsKeyEncipherment, true);
 * assertEquals(findProfile("10.2").logic, "new");
 * ```
 *
 * @throws {BaseError} `USAGE` if it is no version, or one without TLS credentials.
 */
export function findProfile(version: string): Profile {
  const named = PROFILES.find((profile) => profile.name === version);
  if (named !== undefined) return named;
  const match = /^v?(\d{1,3})\.(\d{1,3})(?:\.(\d{1,3}))?$/.exec(version);
  const wanted = match?.slice(1).map((part) => Number(part ?? NaN)) as Version | undefined;
  const found = wanted && LINES.find(({ from, to }) => isWithin(wanted, from, to));
  if (found === undefined) {
    const names = PROFILES.map((profile) => profile.name).join(", ");
    throw new BaseError("USAGE", {
      text: `unknown QEMU version '${version}'`,
      hint: `give a version from 2.5 on, such as 7.2.22, or one of: ${names}, all`,
    });
  }
  const { logic, wantsKeyEncipherment } = found;
  return { name: version, logic, wantsKeyEncipherment };
}

/** A version without its last number is the first of its series. */
function isWithin(version: Version, from: Version, to: Version): boolean {
  return compare(version, from) >= 0 && compare(version, to) <= 0;
}

function compare(a: Version, b: Version): number {
  for (const i of [0, 1, 2] as const) {
    const [x, y] = [a[i] || 0, b[i]];
    if (x !== y) return x < y ? -1 : 1;
  }
  return 0;
}

function line(
  name: string,
  from: Version,
  to: Version,
  logic: Profile["logic"],
  wantsKeyEncipherment: boolean,
) {
  return { name, from, to, logic, wantsKeyEncipherment };
}
