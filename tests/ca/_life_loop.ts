/** Renews, revokes and publishes CRLs again and again, so that a test can kill it in the middle. */

import { publishCrl, renewHosts, revokeCertificates } from "../../ca/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";

const [dir] = Deno.args as [string];
const engine = await chooseEngine("platform");
for (let i = 0;; i++) {
  const selection = { kind: "all" } as const;
  await renewHosts({ dir, engine, selection, authority: i % 2 === 0, rekey: i % 3 === 0 });
  await publishCrl({ dir, engine });
  await revokeCertificates(["gone"], "superseded", { dir, engine });
  if (i === 0) console.log("ready");
}
