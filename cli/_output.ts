/** Messages to people, by the rules that stand in `_command.ts`. */

import { asInvoked, kernelText, printable, VirtcredsError } from "../base/mod.ts";

/** Longest message in characters; a ready `-object` line is long. */
const LONGEST = 4000;

/**
 * One line that is safe on a terminal, whatever names of files, peers and certificates it quotes,
 * with commands as the user can type them.
 */
export function line(text: string): string {
  return asInvoked(printable(text, LONGEST));
}

/** Tells the person at the console something, with advice. */
export function say(text: string, ...hints: readonly string[]): void {
  console.error([line(text), ...hints.map((hint) => `hint: ${line(hint)}`)].join("\n"));
}

/** Tells of a failure that does not end the program. */
export function sayError(subject: string, error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  say(`error: ${subject}: ${message}`, ...(error instanceof VirtcredsError ? error.hints : []));
}

/** Tells of the failure that ends the program, and gives its exit code. */
export function reportError(error: unknown): number {
  if (Deno.env.get("VIRTCREDS_DEBUG")) console.error(error);
  if (error instanceof VirtcredsError) {
    say(`error: ${error.message}`, ...error.hints);
    return error.exitCode;
  }
  if (error instanceof Deno.errors.NotCapable) {
    const what = error.message.split(",")[0]!.replace(/^R/, "r");
    say(`error: ${what}`, "run it with `deno task`, which grants what it needs");
    return 1;
  }
  const message = error instanceof Error ? error.message : String(error);
  if (/No space left on device|Disk quota exceeded/.test(message)) {
    say(
      `error: cannot write: ${kernelText(message).toLowerCase()}`,
      "make room: df shows where there is none",
    );
    return 1;
  }
  say(
    `error: internal: ${message}`,
    "this is a defect; VIRTCREDS_DEBUG=1 prints what a report needs",
  );
  return 1;
}
