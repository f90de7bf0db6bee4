/** A fleet as monitoring reads it: Prometheus' text format and Nagios' line. */

import type { Fleet, FleetHost, HostState } from "../ca/mod.ts";

/** The states that are counted, in the order that they are shown. */
export const STATES: readonly HostState[] = [
  "ok",
  "due",
  "expiring",
  "early",
  "expired",
  "revoked",
  "damaged",
];

/** How many hosts are in each state. */
export function countStates(hosts: readonly FleetHost[]): Readonly<Record<HostState, number>> {
  const counts = Object.fromEntries(STATES.map((state) => [state, 0])) as Record<HostState, number>;
  for (const host of hosts) counts[host.state]++;
  return counts;
}

/** Prometheus' text format, for the textfile collector of its node exporter. */
export function prometheusText(fleet: Fleet): string {
  const { authority, crl, hosts } = fleet;
  const counts = countStates(hosts);
  const metrics: string[] = [];
  const add = (name: string, help: string, samples: readonly string[]) => {
    if (samples.length === 0) return;
    metrics.push(`# HELP ${name} ${help}`, `# TYPE ${name} gauge`);
    metrics.push(...samples.map((sample) => `${name}${sample}`));
  };
  const ends = hosts.flatMap((host) =>
    host.certificates.map(({ role, notAfter, serial }) => {
      const labels = labelText({ host: host.host, role, serial });
      return `${labels} ${seconds(notAfter)}`;
    })
  );
  add("virtcreds_ca_not_after_timestamp_seconds", "When the certificate of the CA ends.", [
    `${labelText({ subject: authority.name, serial: authority.serial })} ${
      seconds(authority.notAfter)
    }`,
  ]);
  add("virtcreds_certificate_not_after_timestamp_seconds", "When a host's certificate ends.", ends);
  add(
    "virtcreds_renewal_due_timestamp_seconds",
    "When a host should be renewed.",
    hosts.flatMap(({ host, dueAt }) =>
      dueAt === undefined ? [] : [`${labelText({ host })} ${seconds(dueAt)}`]
    ),
  );
  add(
    "virtcreds_hosts",
    "Hosts in each state.",
    STATES.map((state) => `${labelText({ state })} ${counts[state]}`),
  );
  add("virtcreds_crl_number", "Number of the CRL.", [` ${crl.number}`]);
  add("virtcreds_crl_entries", "Certificates that the CRL revokes.", [` ${crl.count}`]);
  if (crl.nextUpdate !== undefined) {
    add("virtcreds_crl_next_update_timestamp_seconds", "When the next CRL is due.", [
      ` ${seconds(crl.nextUpdate)}`,
    ]);
  }
  return metrics.join("\n");
}

/** What Nagios shows of a plugin, and its exit code: 0 OK, 1 WARNING, 2 CRITICAL. */
export interface NagiosResult {
  readonly text: string;
  readonly code: 0 | 1 | 2;
}

/** Judges a fleet as a Nagios plugin does. */
export function nagiosResult(fleet: Fleet, now: Date): NagiosResult {
  const counts = countStates(fleet.hosts);
  const critical = [
    ...fleet.authority.state === "expired" ? ["the CA has expired"] : [],
    ...named(fleet.hosts, "expired"),
    ...named(fleet.hosts, "damaged"),
  ];
  const isLate = fleet.crl.nextUpdate !== undefined && fleet.crl.nextUpdate < now;
  const warning = [
    ...fleet.authority.state === "expiring" ? ["the CA ends soon"] : [],
    ...named(fleet.hosts, "expiring"),
    ...named(fleet.hosts, "due"),
    ...named(fleet.hosts, "early"),
    ...isLate ? ["the CRL is past its next update"] : [],
    ...fleet.crl.missing ? ["the CRL is missing"] : [],
  ];
  const [word, code] = critical.length > 0
    ? ["CRITICAL", 2] as const
    : warning.length > 0
    ? ["WARNING", 1] as const
    : ["OK", 0] as const;
  const said = [...critical, ...warning];
  const total = `${fleet.hosts.length} hosts`;
  const figures = STATES.map((state) => `${state}=${counts[state]}`).join(" ");
  return { text: `VIRTCREDS ${word} - ${[...said, total].join("; ")} | ${figures}`, code };
}

/** The most hosts that one line names. */
const MOST_NAMED = 3;

function named(hosts: readonly FleetHost[], state: HostState): string[] {
  const names = hosts.filter((host) => host.state === state).map((host) => host.host);
  if (names.length === 0) return [];
  const more = names.length > MOST_NAMED ? ` and ${names.length - MOST_NAMED} more` : "";
  return [`${state}: ${names.slice(0, MOST_NAMED).join(", ")}${more}`];
}

function labelText(labels: Readonly<Record<string, string>>): string {
  const escape = (text: string) =>
    text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
  return `{${Object.entries(labels).map(([name, text]) => `${name}="${escape(text)}"`).join(",")}}`;
}

function seconds(date: Date): number {
  return Math.floor(date.getTime() / 1000);
}
