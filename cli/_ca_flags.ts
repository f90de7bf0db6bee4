/** What the commands of `ca` share: flags, and how dates are shown. */

import { day, parseDuration } from "../base/mod.ts";
import type { ChangeOptions, LogGap } from "../ca/mod.ts";
import { KEY_TYPES, type KeyType } from "../engine/mod.ts";
import { type Flag, type Input, usage } from "./_command.ts";
import { say } from "./_output.ts";

/** The authority's directory. */
export const DIR_FLAG: Flag = {
  name: "dir",
  value: "DIR",
  default: "pki",
  help: "directory of the CA",
};

/** The kind of key that is made. */
export const KEY_TYPE_FLAG: Flag = {
  name: "key-type",
  value: "TYPE",
  choices: KEY_TYPES,
  default: "ec-p256",
  help: "kind of key",
};

/** The subject before its CN. */
export const SUBJECT_FLAG: Flag = {
  name: "subject",
  value: "DN",
  help: "what the subject has before its CN, as in O=Example,L=Rack 7",
};

/** The kind of key that the flag names. */
export function keyTypeFor(input: Input): KeyType {
  return input.get("key-type") as KeyType;
}

/** The ms of `--expiring`; `undefined` where it is absent. */
export function expiringOf(input: Input): number | undefined {
  const span = input.get("expiring");
  const ms = span === undefined ? undefined : parseDuration(span);
  if (span !== undefined && ms === undefined) {
    throw usage(`--expiring takes a span such as 30d, not '${span}'`, "units: s, m, h, d, w");
  }
  return ms;
}

/** A date as people plan by it: `2027-11-24, 365 days`. */
export function untilText(date: Date, days: number): string {
  return `${day(date)}, ${days} ${days === 1 ? "day" : "days"}`;
}

/** Says why the command stands still. */
export function sayWaiting(dir: string): () => void {
  return () => console.error(`waiting for another command that changes ${dir}`);
}

/** What a person hears of a directory that is changed. */
export function changeTold(dir: string): Pick<Required<ChangeOptions>, "onWait" | "onGap"> {
  return { onWait: sayWaiting(dir), onGap: sayGap };
}

/** Tells what the log's file had lost; of a root's too, which is not the directory of the flag. */
function sayGap({ file, store, state, first, count }: LogGap): void {
  const dir = file.replace(/\/?[^/]*$/, "") || "/";
  const which = count === 1 ? `entry ${first}` : `entries ${first} to ${first + count - 1}`;
  say(
    `warning: the log ${file} was ${state}: ${count} of its records were lost (${which})`,
    `written again from ${store}, and noted in the log: see deno task ca log --verify --dir ${dir}`,
    "if none of you did that, compare with a backup: deno task ca restore FILE --dir ELSEWHERE",
  );
}

/** Names the files that lie where only directories of hosts should, and are left out. */
export async function sayStrayFiles(dir: string): Promise<void> {
  const { strayFiles } = await import("../ca/mod.ts");
  for (const file of strayFiles(dir)) {
    say(`warning: ${file} is a file, not a host's directory: it is left out`, "move it away");
  }
}
