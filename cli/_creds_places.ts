/** What `creds check` looks at: directories, places of a layout, or all that a system reads. */

import type { CheckOptions, PlacedLayout, Verdict } from "../creds/mod.ts";
import { type Flag, type Input, usage } from "./_command.ts";
import { LAYOUT_CHOICES } from "./_layout_flag.ts";
import { say } from "./_output.ts";

/** One thing to judge. */
export interface Place {
  readonly dir: string;
  readonly placed?: PlacedLayout;
  /** Who reads it, where that is known. */
  readonly readers?: readonly string[];
  check(options: CheckOptions): Promise<Verdict[]>;
}

/** Flags that say what is looked at. */
export const PLACE_FLAGS: readonly Flag[] = [
  {
    name: "layout",
    value: "NAME",
    choices: LAYOUT_CHOICES,
    help: "the files lie as a program wants them, in DIR or in that program's own place",
  },
  { name: "system", help: "all that libvirt and QEMU read on this system, by configuration" },
  { name: "root", value: "DIR", help: "with --layout or --system: of a mounted image" },
];

/** Finds what the flags and operands name. */
export async function placesOf(input: Input): Promise<readonly Place[]> {
  const room = await import("../creds/mod.ts");
  const { checkCredentials, checkSystemPlace, findLayout, findSystemPlaces, placeLayout } = room;
  const layout = input.get("layout");
  const root = input.get("root");
  const dirs = input.operands;
  const isSystem = input.on("system");
  checkUsage(layout, root, isSystem, dirs);
  const home = Deno.env.get("HOME");
  const at = { ...(root === undefined ? {} : { root }), ...(home === undefined ? {} : { home }) };
  if (isSystem) {
    const places = findSystemPlaces(at);
    if (places.length === 0) {
      say("nothing is set up: no program finds credentials in its place", HOW_TO_START);
    }
    return places.map((place): Place => ({
      dir: place.dir,
      placed: place,
      readers: place.readers,
      check: (options) => checkSystemPlace(place, options),
    }));
  }
  if (layout === undefined) {
    return dirs.map((dir): Place => ({ dir, check: (options) => checkCredentials(dir, options) }));
  }
  const places = dirs.length === 0 ? [at] : dirs.map((dir) => ({ ...at, dir }));
  return places.map((where): Place => {
    const placed = placeLayout(findLayout(layout), where);
    const { dir } = placed;
    return { dir, placed, check: (options) => checkCredentials(dir, { ...options, placed }) };
  });
}

const HOW_TO_START = "deno task ca export HOST --layout libvirt writes files for libvirtd";

function checkUsage(
  layout: string | undefined,
  root: string | undefined,
  isSystem: boolean,
  dirs: readonly string[],
): void {
  const help = "see: deno task creds check --help";
  if (isSystem && (layout !== undefined || dirs.length > 0)) {
    throw usage("--system looks in all places, and takes no other", help);
  }
  if (layout === undefined && !isSystem) {
    if (dirs.length === 0) throw usage("missing DIR", help);
    if (root !== undefined) throw usage("--root goes with --layout or --system", help);
  }
  if (root !== undefined && dirs.length > 0) {
    throw usage("--root and DIR are two ways to name a place", "leave one of them out");
  }
}
