/** `ca list`: the hosts and how it stands with them. */

import { day } from "../base/mod.ts";
import { resolve } from "@std/path";
import type { FleetHost } from "../ca/mod.ts";
import { DIR_FLAG, expiringOf, sayStrayFiles } from "./_ca_flags.ts";
import { type Command, type Input, usage } from "./_command.ts";
import { line, say } from "./_output.ts";
import { csvText, tableText } from "./_table.ts";

/** The command. */
export const caList: Command = {
  name: "ca list",
  summary: "list the hosts, what they hold and how long it lasts",
  usage: "[--expiring SPAN] [--json|--csv] [--dir DIR]",
  examples: [
    ["deno task ca list", "a table"],
    ["deno task ca list --expiring 60d", "what has expired or ends within 60 days"],
    [
      "deno task ca list --csv > fleet.csv",
      "for a spreadsheet; its columns begin as an inventory's",
    ],
  ],
  flags: [
    DIR_FLAG,
    { name: "expiring", value: "SPAN", help: "only what ends within 30d, 12h, 2w, or has expired" },
    { name: "json", help: "one JSON object for each host" },
    { name: "csv", help: "CSV with a header" },
  ],
  notes: `A state is ok, due (two thirds of its time are gone), expiring (ends within 30
days besides), early (not valid yet), expired, revoked or damaged. No key is needed, and nothing is changed.`,
  run,
};

async function run(input: Input): Promise<number> {
  if (input.on("json") && input.on("csv")) {
    throw usage("--json and --csv are two forms", "give one of them");
  }
  const { daysUntil, readFleet } = await import("../ca/mod.ts");
  const expiring = expiringOf(input);
  const fleet = await readFleet({ dir: input.get("dir")!, expiring });
  const isWanted = ({ state }: FleetHost) => state === "expiring" || state === "expired";
  const hosts = expiring === undefined ? fleet.hosts : fleet.hosts.filter(isWanted);
  await sayStrayFiles(input.get("dir")!);
  const now = new Date();
  const daysLeft = (host: FleetHost) =>
    host.notAfter === undefined ? "" : String(daysUntil(now, host.notAfter));
  if (input.on("json")) {
    for (const host of hosts) console.log(JSON.stringify(hostJson(host)));
  } else if (input.on("csv")) {
    const header = ["host", "dns", "ip", "role", "state", "until", "days_left", "key_type"];
    const rows = hosts.map((host) => [
      host.host,
      host.dns.join(";"),
      host.ip.join(";"),
      rolesOf(host).join(";"),
      host.state,
      dayOf(host.notAfter),
      daysLeft(host),
      host.keyType ?? "",
    ]);
    console.log(csvText([header, ...rows]));
  } else if (fleet.hosts.length === 0) {
    say("no hosts", "issue for one: deno task ca issue HOST");
  } else if (hosts.length === 0) {
    say(`no host of ${fleet.hosts.length} ends within ${input.get("expiring")}`);
  } else {
    const rows = hosts.map((host) => [
      host.host,
      host.state,
      dayOf(host.notAfter),
      daysLeft(host),
      rolesOf(host).join(","),
      host.keyType ?? "-",
      line(host.damage ?? namesBeside(host)),
    ]);
    console.log(tableText([["HOST", "STATE", "UNTIL", "DAYS", "ROLES", "KEY", "NAMES"], ...rows]));
  }
  return 0;
}

/** A host for programs. */
export function hostJson(host: FleetHost): Record<string, unknown> {
  const { keyType = null, damage = null, notAfter = null, dueAt = null } = host;
  const certificates = host.certificates.map((one) => ({ ...one, file: resolve(one.file) }));
  return { ...host, dir: resolve(host.dir), keyType, damage, notAfter, dueAt, certificates };
}

function namesBeside(host: FleetHost): string {
  return [...host.dns, ...host.ip].filter((name) => name !== host.host).join(" ");
}

function rolesOf(host: FleetHost): string[] {
  return host.certificates.map((one) => one.role);
}

function dayOf(date: Date | undefined): string {
  return date === undefined ? "-" : day(date);
}
