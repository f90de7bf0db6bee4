/** Verdicts for programs: one JSON object per line. */

import type { Verdict } from "../creds/mod.ts";

/** Prints the verdicts of a directory. */
export function renderJson(_dir: string, verdicts: readonly Verdict[]): void {
  for (const { dir, endpoint, qemu, ok, message, findings } of verdicts) {
    console.log(JSON.stringify({ dir, endpoint, qemu, ok, message, findings }));
  }
}
