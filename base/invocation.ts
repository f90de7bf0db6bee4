/**
 * How the user starts this toolkit. Hints and help name commands as `deno task ca …`, which is
 * what a checkout has; whoever prints them passes them through {@linkcode asInvoked}.
 */

const TASKS = /\bdeno task (-q )?(ca|creds|migration|chardev|demo)\b/g;

/** Puts the commands in a text as the user can type them: `virtcreds ca …` in the one file. */
export function asInvoked(text: string, main: string = Deno.mainModule): string {
  return isOneFile(main) ? text.replace(TASKS, "virtcreds $2") : text;
}

/** Whether this is the file that `deno task install` makes, and not a checkout. */
function isOneFile(main: string): boolean {
  return main !== "" && !main.endsWith(".ts");
}
