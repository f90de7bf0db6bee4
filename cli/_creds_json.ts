/** Verdicts for programs: one JSON object per line. */

import type { Renderer } from "./_creds_render.ts";

/** Prints each verdict as it comes. */
export function renderJson(): Renderer {
  return {
    directory: (_place, verdicts) => {
      for (const { dir, endpoint, qemu, ok, message, findings } of verdicts) {
        console.log(JSON.stringify({ dir, endpoint, qemu, ok, message, findings }));
      }
    },
  };
}
