/** `migration`: receiving, inspecting and sending QEMU's live migrations. */

import { type CommandGroup, runGroup } from "./_command.ts";
import { migrationInspect } from "./_migration_inspect.ts";
import { migrationRelay } from "./_migration_relay.ts";
import { migrationSource } from "./_migration_source.ts";
import { migrationTarget } from "./_migration_target.ts";

/** All that is done with migrations. */
export const MIGRATION: CommandGroup = {
  name: "migration",
  summary: "receive, keep, inspect and send QEMU's live migrations over TLS",
  commands: [migrationTarget, migrationSource, migrationRelay, migrationInspect],
};

if (import.meta.main) await runGroup(MIGRATION, Deno.args);
