/** The program that serves a TLS serial port: `chardev server` by itself. */

import { chardevServer } from "../cli/_chardev_server.ts";
import { runProgram } from "../cli/_command.ts";

if (import.meta.main) {
  await runProgram({ ...chardevServer, name: "chardev/server.ts" }, Deno.args);
}
