/** The program that sends migrations: `migration source` by itself. */

import { runProgram } from "../cli/_command.ts";
import { migrationSource } from "../cli/_migration_source.ts";

if (import.meta.main) {
  await runProgram({ ...migrationSource, name: "migration/source.ts" }, Deno.args);
}
