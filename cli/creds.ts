/** `creds`: what QEMU does with TLS credentials. */

import { type CommandGroup, runGroup } from "./_command.ts";
import { credsCheck } from "./_creds_check.ts";
import { credsExplain } from "./_creds_explain.ts";
import { credsMatrix } from "./_creds_matrix.ts";
import { credsSecret } from "./_creds_secret.ts";
import { credsShow } from "./_creds_show.ts";

/** All that is asked about credentials. */
export const CREDS: CommandGroup = {
  name: "creds",
  summary: "ask what QEMU will say of TLS credentials before it has to",
  commands: [credsCheck, credsMatrix, credsExplain, credsShow, credsSecret],
};

if (import.meta.main) await runGroup(CREDS, Deno.args);
