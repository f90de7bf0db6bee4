/** `ca status`: what ends when, for people and for monitoring. */

import type { Fleet, FleetHost } from "../ca/mod.ts";
import { DIR_FLAG, expiringOf, sayStrayFiles, untilText } from "./_ca_flags.ts";
import { hostJson } from "./_ca_list.ts";
import { countStates, nagiosResult, prometheusText, STATES } from "./_ca_metrics.ts";
import { type Command, type Input, usage } from "./_command.ts";
import { line, say } from "./_output.ts";
import { tableText } from "./_table.ts";

/** The command. */
export const caStatus: Command = {
  name: "ca status",
  summary: "say what ends when: the CA, its CRL, every host",
  usage: "[--expiring SPAN] [--json|--prometheus|--nagios] [--dir DIR]",
  examples: [
    ["deno task ca status", "a summary; ends with 1 if something ends soon"],
    ["deno task ca status --expiring 60d", "ends with 1 if something ends within 60 days"],
    [
      "deno task ca status --prometheus > /var/lib/node_exporter/virtcreds.prom",
      "for the textfile collector",
    ],
    ["deno task ca status --nagios --expiring 2w", "one line, and the exit codes of a plugin"],
  ],
  flags: [
    DIR_FLAG,
    { name: "expiring", value: "SPAN", help: "what ends within 30d, 12h, 2w is expiring" },
    { name: "json", help: "one JSON object" },
    { name: "prometheus", help: "Prometheus' text format" },
    { name: "nagios", help: "a Nagios plugin: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN" },
  ],
  exitOne: "something has expired, is damaged, or ends soon (--expiring)",
  notes:
    `Without --expiring, what ends within 30 days is expiring; of a life of 90 days or fewer, what has
less than a third of it left. No key is needed, and nothing is changed.`,
  run,
};

async function run(input: Input): Promise<number> {
  const forms = ["json", "prometheus", "nagios"].filter((name) => input.on(name));
  if (forms.length > 1) {
    throw usage(`--${forms[0]} and --${forms[1]} are two forms`, "give one of them");
  }
  const expiring = expiringOf(input);
  if (input.on("nagios")) return await nagios(input, expiring);
  const { daysUntil, readFleet, rotationStatus } = await import("../ca/mod.ts");
  const dir = input.get("dir")!;
  const fleet = await readFleet({ dir, expiring });
  const rotation = rotationStatus({ dir });
  await sayStrayFiles(dir);
  if (rotation.next !== undefined) {
    const what = `a roll-over to ${rotation.next.name} is under way`;
    say(`note: ${what}`, `how far it is: deno task ca rotate status --dir ${dir}`);
  }
  const { position } = rotation;
  if (input.on("json")) {
    console.log(JSON.stringify({ ...statusJson(fleet), rollOver: position }));
  } else if (input.on("prometheus")) console.log(prometheusText(fleet));
  else print(fleet, (date) => untilText(date, daysUntil(new Date(), date)));
  const bad = fleet.hosts.some(({ state }) => BAD.includes(state));
  return bad || BAD.includes(fleet.authority.state) ? 1 : 0;
}

const BAD: readonly string[] = ["expired", "damaged", "expiring"];

/** A plugin that fails is UNKNOWN, whatever our own exit codes are. */
async function nagios(input: Input, expiring: number | undefined): Promise<number> {
  const { readFleet } = await import("../ca/mod.ts");
  try {
    const { text, code } = nagiosResult(
      await readFleet({ dir: input.get("dir")!, expiring }),
      new Date(),
    );
    await sayStrayFiles(input.get("dir")!);
    console.log(line(text));
    return code;
  } catch (error) {
    console.log(line(`VIRTCREDS UNKNOWN - ${error instanceof Error ? error.message : error}`));
    return 3;
  }
}

function statusJson({ authority, crl, hosts }: Fleet): Record<string, unknown> {
  const ends = hosts.filter((host) => host.state !== "ok");
  return {
    ca: authority,
    crl: { ...crl, number: String(crl.number), nextUpdate: crl.nextUpdate ?? null },
    hosts: { total: hosts.length, ...countStates(hosts) },
    notOk: ends.map(hostJson),
  };
}

function print(fleet: Fleet, until: (date: Date) => string): void {
  const { authority, crl, hosts } = fleet;
  const counts = countStates(hosts);
  const states = STATES.filter((state) => counts[state] > 0)
    .map((state) => `${counts[state]} ${state}`);
  console.log(
    line(`CA     ${authority.name}, ${authority.state}, until ${until(authority.notAfter)}`),
  );
  const next = crl.nextUpdate === undefined
    ? "without a next update"
    : `until ${until(crl.nextUpdate)}`;
  const which = crl.missing ? "missing" : `number ${crl.number}`;
  console.log(`CRL    ${which}, ${crl.count} revoked${crl.missing ? "" : `, ${next}`}`);
  if (crl.missing) {
    say(`warning: ${crl.file} is missing`, "deno task ca crl says where the newest copy is");
  }
  console.log(`hosts  ${hosts.length}${states.length === 0 ? "" : `: ${states.join(", ")}`}`);
  const timeline = timelineText(hosts);
  if (timeline !== "") console.log(`\n${timeline}`);
  const ends = hosts.filter((host) => host.state !== "ok");
  if (ends.length > 0) {
    const rows = ends.map((host) => [
      host.host,
      host.state,
      line(host.damage ?? (host.notAfter === undefined ? "" : until(host.notAfter))),
    ]);
    console.log(`\n${tableText(rows)}`);
  }
  if (counts.due + counts.expiring + counts.expired > 0 || authority.state === "expired") {
    say("hint: deno task ca renew");
  }
}

const BAR = 40;
/** The most lines: what is spread over more months is shown by years. */
const MOST_LINES = 24;

/** How many hosts' credentials end in each month, as bars. */
export function timelineText(hosts: readonly Pick<FleetHost, "notAfter">[]): string {
  const ends = hosts.flatMap(({ notAfter }) => notAfter === undefined ? [] : [notAfter]);
  if (ends.length === 0) return "";
  const first = new Date(Math.min(...ends.map(Number)));
  const last = new Date(Math.max(...ends.map(Number)));
  const monthOf = (date: Date) => 12 * date.getUTCFullYear() + date.getUTCMonth();
  const step = monthOf(last) - monthOf(first) < MOST_LINES ? 1 : 12;
  const slot = (date: Date) => Math.floor(monthOf(date) / step);
  const counts = new Map<number, number>();
  for (const date of ends) counts.set(slot(date), (counts.get(slot(date)) ?? 0) + 1);
  const most = Math.max(...counts.values());
  const lines: string[] = [];
  for (let at = slot(first); at <= slot(last); at++) {
    const count = counts.get(at) ?? 0;
    const label = step === 12
      ? String(at)
      : `${Math.floor(at / 12)}-${String(at % 12 + 1).padStart(2, "0")}`;
    const bar = "#".repeat(Math.ceil(BAR * count / most));
    lines.push(`${label} |${bar}${count === 0 ? "" : ` ${count}`}`);
  }
  return lines.join("\n");
}
