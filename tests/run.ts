/**
 * The test command: installs the real programs that are missing, runs all tests (or those in the
 * files and folders given), and closes with `N passed, N failed`.
 */

import { closingLine, denoTest, sum } from "./support/deno_test.ts";
import { installPrograms } from "./support/install.ts";

/** Real programs: two files at a time, since more would take each other's processor away. */
const INTEROP = "tests/interop";
/** Whole demos and what users type, which use the ports that the pages name. */
const PAGES = "tests/readme";

await installPrograms();
const tally = Deno.args.length > 0 ? await denoTest(["--parallel", ...Deno.args]) : sum([
  await denoTest(["--doc", "--parallel", `--ignore=${INTEROP},${PAGES}`, "."]),
  await denoTest(["--parallel", INTEROP], { DENO_JOBS: "2" }),
  await denoTest([PAGES]),
]);
if (tally.skipped > 0) console.log(`${tally.skipped} skipped, each named above with the reason`);
console.log(closingLine(tally));
Deno.exit(tally.failed === 0 && tally.passed > 0 ? 0 : 1);
