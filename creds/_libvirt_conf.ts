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
