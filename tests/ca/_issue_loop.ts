/** Issues for one host again and again, so that a test can kill it in the middle. */

import { issueHost } from "../../ca/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";

const [dir, first] = Deno.args as [string, string];
const engine = await chooseEngine("platform");
for (let i = 0;; i++) {
  await issueHost({ dir, host: "h", dns: [`set-${first}-${i}`], engine });
  if (i === 0) console.log("ready");
}
