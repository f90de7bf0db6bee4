/** Reads the imports of the source and says which of them break the arrows between rooms. */

import { walkSync } from "@std/fs";
import { dirname, join, relative } from "@std/path";

/** What each room may use beside itself and `base`. */
export const ARROWS: Readonly<Record<string, readonly string[]>> = {
  base: [],
  os: [],
  engine: ["os"],
  creds: ["engine"],
  channel: ["creds", "engine", "os"],
  probe: ["channel", "creds", "engine"],
  monitor: ["channel", "engine", "os"],
  migration: ["channel", "creds", "engine", "monitor"],
  chardev: ["channel", "creds", "engine", "monitor", "os"],
  ca: ["creds", "engine", "os"],
  cli: ["ca", "probe", "migration", "chardev", "monitor", "creds", "engine", "channel"],
};

/** Files outside `cli/` that are thin entries and count as `cli`. */
export const PROGRAMS: readonly string[] = [
  "chardev/client.ts",
  "chardev/join.ts",
  "chardev/server.ts",
  "migration/source.ts",
  "migration/target.ts",
];

/** One import in one file. */
export interface Import {
  /** Path from the project's folder. */
  readonly file: string;
  readonly specifier: string;
  readonly kind: "static" | "type" | "dynamic" | "worker";
}

/** The source files of the rooms, as paths from the project's folder. */
export function sourceFiles(project: string): string[] {
  const rooms = Object.keys(ARROWS);
  return [...walkSync(project, { exts: [".ts"], includeDirs: false })]
    .map((entry) => relative(project, entry.path))
    .filter((file) => rooms.includes(file.split("/")[0]!) || file === "mod.ts")
    .sort();
}

/** Finds the imports in a source text; comments and other strings do not count. */
export function importsOf(file: string, source: string): Import[] {
  const code = source.replace(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, "");
  const found: Import[] = [];
  const add = (kind: Import["kind"], specifier: string | undefined) =>
    found.push({ file, kind, specifier: specifier ?? "(computed)" });
  for (
    const m of code.matchAll(/^\s*(import|export)\s+(type\s)?[^"'`;]*?\sfrom\s*["']([^"']+)["']/gm)
  ) {
    add(m[2] ? "type" : "static", m[3]);
  }
  for (const m of code.matchAll(/^\s*import\s*["']([^"']+)["']/gm)) add("static", m[1]);
  for (const m of code.matchAll(/\bimport\s*\(\s*(?:["']([^"']+)["'])?/g)) add("dynamic", m[1]);
  for (const m of code.matchAll(/\bnew URL\(\s*["']([^"']+\.ts)["']/g)) add("worker", m[1]);
  return found;
}

/** The room a file belongs to; programs count as `cli`. */
export function roomOf(file: string): string {
  return PROGRAMS.includes(file) ? "cli" : file.split("/")[0]!;
}

/** Says what is wrong with an import, or nothing. */
export function judge(found: Import): string | undefined {
  const { file, specifier } = found;
  const where = `${file} imports ${specifier}`;
  if (specifier === "(computed)") return `${file} has an import() of a computed name`;
  if (specifier.startsWith("@virtcreds/")) return `${where}: a room is imported by its path`;
  if (!specifier.startsWith(".") || !specifier.endsWith(".ts")) return undefined;
  const target = join(dirname(file), specifier);
  if (target.startsWith("..")) return `${where}: outside the project`;
  if (file === "mod.ts") {
    return /^[a-z]+\/mod\.ts$/.test(target)
      ? undefined
      : `${where}: mod.ts takes rooms' mod.ts only`;
  }
  const from = roomOf(file);
  const to = target.split("/")[0]!;
  const own = file.split("/")[0]!;
  if (PROGRAMS.includes(target) && to === own && from !== "cli") {
    return `${where}: a room does not use its programs`;
  }
  // A program lies in its room's folder and may use that room's files; its helpers are cli's.
  if (to === own) return undefined;
  if (to === "cli") return from === "cli" ? undefined : `${where}: nothing uses cli`;
  if (to !== "base" && !ARROWS[from]?.includes(to)) return `${where}: no arrow ${from} → ${to}`;
  if (target !== `${to}/mod.ts`) return `${where}: a room is used through its mod.ts`;
  return undefined;
}
