/** `ca rebuild`: the database made anew from the files. */

import { changeTold, DIR_FLAG } from "./_ca_flags.ts";
import type { Command, Input } from "./_command.ts";
import { line, say } from "./_output.ts";

/** The command. */
export const caRebuild: Command = {
  name: "ca rebuild",
  summary: "make the database anew from the log's file, the hosts' directories and the CRL",
  usage: "[--dry-run] [--json] [--dir DIR]",
  examples: [
    ["deno task ca rebuild --dry-run", "what would be done, and what is wrong"],
    ["deno task ca rebuild", "the way back when pki/ca.db is damaged or lost"],
  ],
  flags: [
    DIR_FLAG,
    { name: "dry-run", help: "say what would be done, and change nothing" },
    { name: "json", help: "one JSON object" },
  ],
  notes:
    `DIR/ca.log has all that the database has, so nothing is lost while one of the two is whole.
From a log that is damaged the entries before the damage are taken, then what the database, the
directories of hosts, DIR/previous and the CRL have beside. What is replaced is kept beside the
new files under a name with the time. Where all is right nothing is changed.`,
  run,
};

async function run(input: Input): Promise<number> {
  const { rebuildStore } = await import("../ca/mod.ts");
  const dir = input.get("dir")!;
  const dryRun = input.on("dry-run");
  const result = await rebuildStore({ dir, dryRun, ...changeTold(dir) });
  if (input.on("json")) {
    console.log(JSON.stringify({ ...result, source: result.source ?? null }));
    return 0;
  }
  for (const { file, seq, cause } of result.faults) {
    say(line(`note: ${file}: from entry ${seq} on: ${cause}`));
  }
  if (result.unchanged) {
    console.log(`nothing to do: database and log agree on ${result.entries} entries`);
    return 0;
  }
  const verb = dryRun ? "would make" : "made";
  console.log(line(`${verb} the database of ${dir} anew`));
  console.log(line(`  from the log   ${result.entries} entries, ${result.source ?? "none"}`));
  console.log(`  from files     ${result.certificates} certificates that no entry had`);
  console.log(`  from the CRL   ${result.revocations} revocations that no entry had`);
  for (const file of result.kept) console.log(line(`  kept           ${file}`));
  return 0;
}
