/** `creds`: what QEMU does with TLS credentials. */

import { type CommandGroup, runGroup } from "./_command.ts";
import { credsCheck } from "./_creds_check.ts";

/** All that is asked about credentials. */
export const CREDS: CommandGroup = {
  name: "creds",
  summary: "ask what QEMU will say of TLS credentials before it has to",
  commands: [credsCheck],
};

if (import.meta.main) await runGroup(CREDS, Deno.args);
