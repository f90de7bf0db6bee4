/** Runs every test that has a count at its full number and prints what each one did. */

import { closingLine, denoTest } from "./support/deno_test.ts";
import { installPrograms } from "./support/install.ts";

await installPrograms();
const file = Deno.makeTempFileSync({ prefix: "virtcreds-soak-" });
const targets = Deno.args.length > 0 ? Deno.args : ["tests"];
const tally = await denoTest([...targets], { VIRTCREDS_SOAK: "1", VIRTCREDS_SOAK_TABLE: file });
const rows = Deno.readTextFileSync(file).split("\n").filter((line) => line !== "")
  .map((line) => JSON.parse(line) as { test: string; count: number; result: string });
Deno.removeSync(file);
const width = Math.max(4, ...rows.map((row) => row.test.length));
console.log(`\n${"test".padEnd(width)}  ${"count".padStart(8)}  result`);
for (const { test, count, result } of rows) {
  console.log(`${test.padEnd(width)}  ${String(count).padStart(8)}  ${result}`);
}
if (tally.skipped > 0) console.log(`${tally.skipped} skipped, each named above with the reason`);
console.log(closingLine(tally));
Deno.exit(tally.failed === 0 && tally.passed > 0 ? 0 : 1);
