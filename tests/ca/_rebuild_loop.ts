/** Damages the database and makes it anew again and again, so that a test can kill it. */

import { rebuildStore } from "../../ca/mod.ts";

const [dir] = Deno.args as [string];
for (let i = 0;; i++) {
  Deno.writeTextFileSync(`${dir}/ca.db`, "no database ".repeat(100));
  const { kept } = await rebuildStore({ dir });
  for (const file of kept) Deno.removeSync(file);
  if (i === 0) console.log("ready");
}
