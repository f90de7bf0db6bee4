/** An earlier guest that has the name of a new one: it is kept beside it, under a number. */

import { BaseError } from "../base/mod.ts";

/** Earlier guests that are kept; somebody has to look at them one day. */
const MAX_KEPT = 999;

/**
 * Gives a file a second name, so that its own can be given away: `FILE.1`, or the first number that
 * is free. Its own name stays until then.
 *
 * @returns The second name; nothing if there is no such file.
 * @throws {BaseError} `FILE_EXISTS` If no number is free.
 */
export function setAside(file: string): string | undefined {
  for (let number = 1; number <= MAX_KEPT; number++) {
    const name = `${file}.${number}`;
    try {
      nameAlso(file, name);
      return name;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
  }
  throw new BaseError("FILE_EXISTS", {
    file: `${file}.${MAX_KEPT}`,
    hint: "move earlier guests away, or give --force to replace them",
  });
}

function nameAlso(file: string, name: string): void {
  try {
    Deno.linkSync(file, name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.AlreadyExists) {
      throw error;
    }
    // A file system without links: the name is given away for a moment.
    if (isThere(name)) throw new Deno.errors.AlreadyExists();
    Deno.renameSync(file, name);
  }
}

function isThere(name: string): boolean {
  try {
    Deno.lstatSync(name);
    return true;
  } catch {
    return false;
  }
}
