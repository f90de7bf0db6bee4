/** `chardev`: TLS serial ports. */

import { chardevClient } from "./_chardev_client.ts";
import { chardevJoin } from "./_chardev_join.ts";
import { chardevServer } from "./_chardev_server.ts";
import { type CommandGroup, runGroup } from "./_command.ts";

/** All that is done with character devices. */
export const CHARDEV: CommandGroup = {
  name: "chardev",
  summary: "TLS serial ports: serve one, connect to one, or join two",
  commands: [chardevServer, chardevClient, chardevJoin],
};

if (import.meta.main) await runGroup(CHARDEV, Deno.args);
