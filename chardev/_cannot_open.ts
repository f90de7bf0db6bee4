import { kernelText, VirtcredsError } from "../base/mod.ts";
import { SystemError } from "../os/mod.ts";
import { ChardevError } from "./error.ts";

/** Why what takes the C library cannot be had. */
export const NEEDS_LIBC = "it takes the C library, and this process may not call it";

/** The error of a back end that does not open. */
export function cannotOpen(what: string, why: unknown, hint?: string): unknown {
  if (why instanceof VirtcredsError || why instanceof Deno.errors.NotCapable) return why;
  const cause = why instanceof Error ? kernelText(why.message) : String(why);
  return new ChardevError("BACKEND", {
    option: what,
    cause,
    hint: hint ?? "run with --allow-ffi on Linux",
  }, { cause: why });
}

/** The error of a file that does not open, in QEMU's words. */
export function couldNotOpen(file: string, error: unknown, hint: string): unknown {
  if (error instanceof Deno.errors.NotCapable || !(error instanceof Error)) return error;
  const reason = error instanceof SystemError ? error.message : kernelText(error.message);
  return new ChardevError("BACKEND", {
    file,
    text: `Could not open '${file}': ${reason}`,
    hint,
  }, { cause: error });
}
