/** The monitors of a migration: `--monitor` for people, `--qmp` for programs. */

import type { MigrationControls } from "../migration/mod.ts";
import type { MonitorAddress, ServedMonitor } from "../monitor/mod.ts";
import { type Flag, type Input, usage } from "./_command.ts";
import { say } from "./_console.ts";
import { ofFlag } from "./_flag_value.ts";

/** The flags. */
export const MONITOR_FLAGS: readonly Flag[] = [
  {
    name: "monitor",
    value: "stdio|ADDRESS",
    help: "take QEMU's monitor commands: stdio, unix:PATH,server=on,wait=off or tcp:H:P,server=on",
  },
  {
    name: "qmp",
    value: "stdio|ADDRESS",
    help: "take QMP commands: unix:PATH,server=on,wait=off or tcp:H:P,server=on",
  },
];

/** Whether anybody can give commands. */
export function isMonitored(input: Input): boolean {
  return input.get("monitor") !== undefined || input.get("qmp") !== undefined;
}

/** Where the monitors are to be served. */
export interface MonitorPlan {
  readonly hmp: MonitorAddress | undefined;
  readonly qmp: MonitorAddress | undefined;
}

/** Whether a monitor has the terminal: a line that draws itself anew would wipe what is typed. */
export function hasStdio({ hmp, qmp }: MonitorPlan): boolean {
  return hmp?.kind === "stdio" || qmp?.kind === "stdio";
}

/**
 * Reads the flags.
 *
 * @throws {BaseError} `USAGE` If one is no address of a monitor, or both are to be on standard input.
 */
export async function planMonitors(input: Input): Promise<MonitorPlan> {
  const { parseMonitorAddress } = await import("../monitor/mod.ts");
  const read = (name: string) => {
    const text = input.get(name);
    return text === undefined ? undefined : ofFlag(name, () => parseMonitorAddress(text));
  };
  const plan = { hmp: read("monitor"), qmp: read("qmp") };
  if (plan.hmp?.kind === "stdio" && plan.qmp?.kind === "stdio") {
    throw usage("--monitor and --qmp cannot both have standard input", [
      "give one of them a socket: --qmp unix:PATH,server=on,wait=off",
    ]);
  }
  if (input.on("json") && hasStdio(plan)) {
    throw usage("--json and a monitor cannot both have standard output", [
      "give the monitor a socket: unix:PATH,server=on,wait=off",
    ]);
  }
  return plan;
}

/** Monitors that are served. */
export interface Monitors {
  /** Settles at `quit`. */
  readonly quit: Promise<void>;
  /** Settles when commands can come from nowhere any more; never while a socket listens. */
  readonly eof: Promise<void>;
  /** Settles when nobody is connected to a socket. */
  idle(): Promise<void>;
}

/** Serves the monitors of a plan; settles when the program may go on. */
export async function serveMonitors(
  plan: MonitorPlan,
  controls: MigrationControls,
  signal: AbortSignal,
): Promise<Monitors> {
  const { serveMonitor, formatMonitorAddress } = await import("../monitor/mod.ts");
  const { migrationHmp, migrationQmp } = await import("../migration/mod.ts");
  const quit = Promise.withResolvers<void>();
  const monitor = {
    qmp: migrationQmp(controls),
    hmp: migrationHmp(controls),
    events: controls.events,
    quit: quit.resolve,
  };
  const served: ServedMonitor[] = [];
  for (const mode of ["hmp", "qmp"] as const) {
    const where = plan[mode];
    if (where === undefined) continue;
    const one = serveMonitor(where, {
      mode,
      monitor,
      signal,
      onListening: (address) => {
        const waits = where.kind === "socket" && where.wait;
        const name = mode === "qmp" ? "QMP" : "the monitor";
        say(
          `${waits ? "waiting for a client of" : "serving"} ${name} on ` +
            formatMonitorAddress(address),
        );
        if (address.kind === "tcp" && !/^(127\.|::1$|localhost$)/.test(address.host)) {
          say(
            `warning: ${name} asks nobody who he is, and others reach it at ${
              address.host || "every address"
            }`,
            "serve it on 127.0.0.1, or on unix:PATH, whose folder's mode says who may connect",
          );
        }
      },
    });
    served.push(one);
    await one.ready;
  }
  const ends = served.map(async ({ ended }) => {
    if (await ended === "stopped") await new Promise(() => {});
  });
  return {
    quit: quit.promise,
    eof: ends.length === 0 ? new Promise(() => {}) : Promise.all(ends).then(() => {}),
    idle: async () => void await Promise.all(served.map((one) => one.idle())),
  };
}
