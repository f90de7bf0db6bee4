/** The program that receives migrations: `migration target` by itself. */

import { runProgram } from "../cli/_command.ts";
import { migrationTarget } from "../cli/_migration_target.ts";

if (import.meta.main) {
  await runProgram({ ...migrationTarget, name: "migration/target.ts" }, Deno.args);
}
