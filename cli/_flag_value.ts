/** Values of flags that a room reads, in whose errors the flag is named. */

import { VirtcredsError } from "../base/mod.ts";
import { usage } from "./_command.ts";

/**
 * Reads the value of a flag; what is wrong with it names the flag.
 *
 * @throws {BaseError} `USAGE`.
 */
export function ofFlag<T>(flag: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof VirtcredsError) || error.exitCode !== 2) throw error;
    throw usage(`--${flag}: ${error.message}`, [...error.hints]);
  }
}
