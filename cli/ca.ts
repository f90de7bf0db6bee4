/** `ca`: the authority. */

import type { CommandGroup } from "./_command.ts";
import { runGroup } from "./_command.ts";
import { caBackup, caRestore } from "./_ca_backup.ts";
import { caExport } from "./_ca_export.ts";
import { caImport } from "./_ca_import.ts";
import { caInit } from "./_ca_init.ts";
import { caIssue } from "./_ca_issue.ts";
import { caList } from "./_ca_list.ts";
import { caLog } from "./_ca_log.ts";
import { caRebuild } from "./_ca_rebuild.ts";
import { caRenew } from "./_ca_renew.ts";
import { caRequest } from "./_ca_request.ts";
import { caCrl, caRevoke } from "./_ca_revoke.ts";
import { caShow } from "./_ca_show.ts";
import { caRotate } from "./_ca_rotate.ts";
import { caSign } from "./_ca_sign.ts";
import { caStatus } from "./_ca_status.ts";

/** All that is done with an authority. */
export const CA: CommandGroup = {
  name: "ca",
  summary: "make a CA and issue TLS credentials for virtualization hosts",
  commands: [
    caInit,
    caIssue,
    caRequest,
    caSign,
    caRenew,
    caRotate,
    caRevoke,
    caCrl,
    caList,
    caShow,
    caStatus,
    caLog,
    caRebuild,
    caBackup,
    caRestore,
    caImport,
    caExport,
  ],
};

if (import.meta.main) await runGroup(CA, Deno.args);
