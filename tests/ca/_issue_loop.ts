/** Issues for two hosts again and again, so that a test can kill it in the middle. */

import { issueHosts } from "../../ca/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";

const [dir, first] = Deno.args as [string, string];
const engine = await chooseEngine("platform");
for (let i = 0;; i++) {
  const dns = [`set-${first}-${i}`];
  await issueHosts([{ host: "a", dns }, { host: "b", dns }], { dir, engine });
  if (i === 0) console.log("ready");
}
