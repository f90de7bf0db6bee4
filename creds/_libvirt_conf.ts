/** Settings of libvirt's daemons: `name = value` lines (`virconf`). */

import { BaseError, readTextLimited } from "../base/mod.ts";

/** Texts and numbers by name; lists are left out. */
export type Settings = ReadonlyMap<string, string | number>;

/** Reads a configuration; one that is not there sets nothing. */
export function readLibvirtConf(file: string): Settings {
  try {
    return parseLibvirtConf(readTextLimited(file, 1024 * 1024));
  } catch (error) {
    const isThere = !(error instanceof BaseError && error.cause instanceof Deno.errors.NotFound);
    if (!isThere) return new Map();
    throw error;
  }
}

/** Where a daemon stops reading its configuration, in libvirt's words; not all of its rules. */
export function findConfFault(file: string): string | undefined {
  let text: string;
  try {
    text = readTextLimited(file, 1024 * 1024);
  } catch (error) {
    // Whoever reads the settings says so.
    if (error instanceof BaseError) return undefined;
    throw error;
  }
  // A text of several lines may have anything in it.
  if (text.includes('"""')) return undefined;
  let isInList = false;
  for (const [i, line] of text.split("\n").entries()) {
    const at = `configuration file syntax error: ${file}:${i + 1}: `;
    const code = line.replace(/^[^"']*?#.*$/, (whole) => whole.slice(0, whole.indexOf("#"))).trim();
    if (isInList) {
      isInList = !code.includes("]");
      continue;
    }
    if (code === "") continue;
    if (!/^[A-Za-z_]/.test(code)) return `${at}expecting a name`;
    if (/^[\w.-]+[ \t]*=$/.test(code)) return `${at}expecting a value`;
    isInList = /^[\w.-]+[ \t]*=[ \t]*\[[^\]]*$/.test(code);
  }
  return undefined;
}

/** Reads the lines of a configuration; what is no setting is passed over, as a comment is. */
export function parseLibvirtConf(text: string): Settings {
  const settings = new Map<string, string | number>();
  const line = /^[ \t]*([A-Za-z_][\w-]*)[ \t]*=?[ \t]*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|(-?\d+))/gm;
  for (const [, name, quoted, plain, number] of text.matchAll(line)) {
    const value = quoted?.replace(/\\(.)/g, "$1") ?? plain;
    settings.set(name!, value ?? Number(number));
  }
  return settings;
}
