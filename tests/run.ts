/**
 * The test command: installs the real programs that are missing, runs all tests (or those in the
 * files and folders given), and closes with `N passed, N failed`.
 */

import { closingLine, denoTest, sum } from "./support/deno_test.ts";
import { installPrograms } from "./support/install.ts";

const ALONE = ["tests/interop", "tests/readme"];

await installPrograms();
const tally = Deno.args.length > 0 ? await denoTest(["--parallel", ...Deno.args]) : sum([
  await denoTest(["--doc", "--parallel", `--ignore=${ALONE.join(",")}`, "."]),
  // Real programs and whole demos side by side would take each other's processor away.
  await denoTest(ALONE),
]);
if (tally.skipped > 0) console.log(`${tally.skipped} skipped, each named above with the reason`);
console.log(closingLine(tally));
Deno.exit(tally.failed === 0 && tally.passed > 0 ? 0 : 1);
