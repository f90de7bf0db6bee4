/** The program that connects two devices: `chardev join` by itself. */

import { chardevJoin } from "../cli/_chardev_join.ts";
import { runProgram } from "../cli/_command.ts";

if (import.meta.main) {
  await runProgram({ ...chardevJoin, name: "chardev/join.ts" }, Deno.args);
}
