/** What a running program says of the renewal of its credentials. */

import type { ObjectRegistry, ReloadOutcome } from "../creds/mod.ts";
import { day, printable } from "../base/mod.ts";
import { say, sayError } from "./_console.ts";

/**
 * Makes the function that reads all credentials again and tells what became of them: always when
 * somebody asked, and only what is new when files changed.
 */
export function reloadObjects(
  objects: ObjectRegistry,
): (why: "asked" | "changed") => Promise<void> {
  const failures = new Map<string, string>();
  return async (why) => {
    for (const outcome of await objects.reload()) {
      const { id, dir, result, error } = outcome;
      const failure = result === "failed" ? String(error) : undefined;
      const hadFailed = failures.has(id);
      const isKnown = failure !== undefined && failures.get(id) === failure;
      if (failure === undefined) failures.delete(id);
      else failures.set(id, failure);
      if (result === "failed" && (why === "asked" || !isKnown)) {
        sayError(`${id} keeps its old credentials`, error);
      } else if (result === "reloaded") {
        say(`reloaded ${id} from ${printable(dir)}${identityText(objects, outcome)}`);
      } else if (result === "unchanged" && (why === "asked" || hadFailed)) {
        say(`${id} is unchanged: the files of ${printable(dir)} are the ones in use`);
      }
    }
  };
}

function identityText(objects: ObjectRegistry, { id, endpoint }: ReloadOutcome): string {
  const identity = objects.tlsCreds(id, endpoint).identity;
  if (identity === undefined) return "";
  const end = day(identity.notAfter);
  return `: ${printable(identity.subject.text)}, expires ${end}`;
}
