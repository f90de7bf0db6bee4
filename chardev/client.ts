/** The program that connects to a TLS serial port: `chardev client` by itself. */

import { chardevClient } from "../cli/_chardev_client.ts";
import { runProgram } from "../cli/_command.ts";

if (import.meta.main) {
  await runProgram({ ...chardevClient, name: "chardev/client.ts" }, Deno.args);
}
