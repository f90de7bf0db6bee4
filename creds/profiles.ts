/** The lines of QEMU and libvirt that judge credentials differently. */

import { BaseError } from "../base/mod.ts";

/** One line of QEMU or libvirt. */
export interface Profile {
  /**
   * As it is shown and may be asked for: a version, or the first and last of a range; libvirt's
   * begin with its name.
   */
  readonly name: string;
  /** Which walk its checks take: QEMU 10.2 wrote the load of credentials anew. */
  readonly logic: "old" | "new" | "libvirt";
  /** Whether a critical key usage must have keyEncipherment. */
  readonly wantsKeyEncipherment: boolean;
  /** Whether libvirt looks all files up before it checks one, and takes no half pair. */
  readonly locatesFirst?: boolean;
  /** Whether libvirt looks for numbered identities too. */
  readonly takesNumbered?: boolean;
}

type Version = readonly [major: number, minor: number, micro: number];

/** A line with the versions that it begins and ends with, both included. */
type Line = Profile & { readonly from: Version; readonly to: Version };

const LINES: readonly Line[] = [
  line("2.5-7.2.21", [2, 5, 0], [7, 2, 21], "old", true),
  line("7.2.22", [7, 2, 22], [7, 2, Infinity], "old", false),
  line("8.0-10.1.2", [8, 0, 0], [10, 1, 2], "old", true),
  line("10.1.3", [10, 1, 3], [10, 1, Infinity], "old", false),
  line("10.2", [10, 2, 0], [Infinity, 0, 0], "new", false),
];

const LIBVIRT_LINES: readonly Line[] = [
  line("libvirt 9.0-10.4", [9, 0, 0], [10, 4, Infinity], "libvirt", true),
  {
    ...line("libvirt 10.5-11.5", [10, 5, 0], [11, 5, Infinity], "libvirt", true),
    locatesFirst: true,
  },
  {
    ...line("libvirt 11.6-11.9", [11, 6, 0], [11, 9, Infinity], "libvirt", false),
    locatesFirst: true,
  },
  {
    ...line("libvirt 11.10", [11, 10, 0], [Infinity, 0, 0], "libvirt", false),
    locatesFirst: true,
    takesNumbered: true,
  },
];

const profileOf = ({ from: _from, to: _to, ...profile }: Line): Profile => profile;

/** All lines of QEMU, oldest first. */
export const PROFILES: readonly Profile[] = LINES.map(profileOf);

/** All lines of libvirt, oldest first: what its daemons and clients make of their own files. */
export const LIBVIRT_PROFILES: readonly Profile[] = LIBVIRT_LINES.map(profileOf);

/** The line whose behaviour the objects of this toolkit have. */
export const DEFAULT_PROFILE: Profile = PROFILES[1]!;

/**
 * Finds the line of QEMU that a version belongs to; its name is the version as it was asked for.
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
  const found = findLine(LINES, version);
  if (found !== undefined) return { ...profileOf(found), name: version };
  throw unknownVersion("QEMU", version, "a version from 2.5 on, such as 7.2.22", PROFILES);
}

/**
 * Finds the line of libvirt that a version belongs to.
 *
 * @example A version and its rules
 * ```ts
 * import { findLibvirtProfile } from "@virtcreds/virtcreds/creds";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(findLibvirtProfile("11.3.0").name, "libvirt 11.3.0");
 * assertEquals(findLibvirtProfile("11.3.0").wantsKeyEncipherment, true);
 * ```
 *
 * @throws {BaseError} `USAGE` if it is no version, or one that is not known.
 */
export function findLibvirtProfile(version: string): Profile {
  const bare = version.replace(/^libvirt /, "");
  const named = LIBVIRT_PROFILES.find((profile) => profile.name === `libvirt ${bare}`);
  if (named !== undefined) return named;
  const found = findLine(LIBVIRT_LINES, bare);
  if (found !== undefined) return { ...profileOf(found), name: `libvirt ${bare}` };
  const known = "a version from 9.0 on, such as 9.0.0";
  throw unknownVersion("libvirt", version, known, LIBVIRT_PROFILES);
}

function findLine(lines: readonly Line[], version: string): Line | undefined {
  const match = /^v?(\d{1,3})\.(\d{1,3})(?:\.(\d{1,3}))?$/.exec(version);
  const wanted = match?.slice(1).map((part) => Number(part ?? NaN)) as Version | undefined;
  return wanted && lines.find(({ from, to }) => isWithin(wanted, from, to));
}

function unknownVersion(
  product: string,
  version: string,
  known: string,
  profiles: readonly Profile[],
): BaseError {
  const names = profiles.map(({ name }) => name.replace(/^libvirt /, "")).join(", ");
  return new BaseError("USAGE", {
    text: `unknown ${product} version '${version}'`,
    hint: `give ${known}, or one of: ${names}, all`,
  });
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
