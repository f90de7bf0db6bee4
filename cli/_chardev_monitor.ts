/** Two devices joined under a monitor: what `join` does, and the others with `--qmp`. */

import type { Backend, Chardev } from "../chardev/mod.ts";
import type { ObjectRegistry } from "../creds/mod.ts";
import type { Monitor } from "../monitor/mod.ts";
import { escapeKey, sayPty, socketEvents } from "./_chardev.ts";
import { type Flag, type Input, usage } from "./_command.ts";
import { say } from "./_console.ts";
import { serveObjects } from "./_objects.ts";

/** Flags of the monitors. */
export const MONITOR_FLAGS: readonly Flag[] = [
  {
    name: "qmp",
    value: "unix:PATH,server=on,wait=off",
    help: "serve QMP: query-chardev, chardev-add, chardev-change, chardev-remove, …",
  },
  {
    name: "monitor",
    value: "unix:PATH,server=on,wait=off",
    help: "serve the human monitor: info chardev, chardev-add, …; stdio where nothing else uses it",
  },
];

/** Whether a program has a monitor. */
export function hasMonitor(input: Input, devices: readonly (Chardev | undefined)[]): boolean {
  return input.get("qmp") !== undefined || input.get("monitor") !== undefined ||
    devices.some((device) => device?.text.startsWith("mon:"));
}

/** What is joined. */
export interface JoinedDevices {
  readonly first: Chardev;
  readonly second: Chardev;
  readonly objects: ObjectRegistry;
  /** A server ends with its client. */
  readonly once?: boolean;
}

/** Joins two devices until either ends, a signal or a monitor's `quit`; gives the exit code. */
export async function joinDevices(input: Input, devices: JoinedDevices): Promise<number> {
  const { first, second, objects, once = false } = devices;
  checkStdio(input, [first, second]);
  const { chardevHmp, chardevQmp, ESCAPE_NAME, joinEnds, makeBoard, muxMonitor } = await import(
    "../chardev/mod.ts"
  );
  const { makeEventHub } = await import("../monitor/mod.ts");
  return await serveObjects(input, objects, async (signal) => {
    const quit = new AbortController();
    const stop = AbortSignal.any([signal, quit.signal]);
    await using board = makeBoard({
      objects,
      events: socketEvents,
      once,
      signal: stop,
      keysOf: (chardev) => ({
        escape: escapeKey(input),
        ...(chardev.text.startsWith("mon:")
          ? { monitor: (print) => muxMonitor(monitor, print, stop) }
          : {}),
      }),
    });
    const monitor: Monitor = {
      qmp: chardevQmp(board),
      hmp: chardevHmp(board),
      events: makeEventHub(["SHUTDOWN"]),
      quit: () => quit.abort(),
    };
    try {
      await serveMonitors(input, monitor, stop);
      const ends = new Map<Chardev, Backend>();
      for (const chardev of [first, second].sort((a, b) => turn(a) - turn(b))) {
        const end = await board.use(chardev);
        end.quit?.addEventListener("abort", () => quit.abort(), { once: true });
        sayPty(chardev, end);
        ends.set(chardev, end);
      }
      if ([first, second].some(({ kind }) => kind === "stdio") && Deno.stdin.isTerminal()) {
        say(`${ESCAPE_NAME} ends it`);
      }
      const { there, back } = await joinEnds(ends.get(first)!, ends.get(second)!, { signal: stop });
      say(`joined: ${there} bytes from ${first.id} to ${second.id}, ${back} back`);
    } catch (error) {
      if (!quit.signal.aborted) throw error;
    }
  });
}

/** When a device is opened: what waits for a client holds back all but standard input's keys. */
function turn(chardev: Chardev): number {
  if (chardev.kind === "stdio") return 0;
  return chardev.kind === "socket" && chardev.wait ? 1 : 2;
}

/** There is one standard input, for one of those that may want it. */
function checkStdio(input: Input, devices: readonly Chardev[]): void {
  const users = devices.filter(({ kind }) => kind === "stdio").length +
    ["qmp", "monitor"].filter((flag) => input.get(flag) === "stdio").length;
  if (users <= 1) return;
  throw usage("cannot use stdio by multiple character devices", [
    "a monitor can be on a socket: --monitor unix:PATH,server=on,wait=off",
    "or behind Ctrl-A c of the terminal: --backend mon:stdio",
  ]);
}

async function serveMonitors(input: Input, monitor: Monitor, signal: AbortSignal): Promise<void> {
  const { formatMonitorAddress, parseMonitorAddress, serveMonitor } = await import(
    "../monitor/mod.ts"
  );
  for (const [flag, mode] of [["qmp", "qmp"], ["monitor", "hmp"]] as const) {
    const text = input.get(flag);
    if (text === undefined) continue;
    const where = parseMonitorAddress(text);
    const served = serveMonitor(where, {
      mode,
      monitor,
      signal,
      onListening: (address) => say(`${flag}: listening on ${formatMonitorAddress(address)}`),
    });
    await served.ready;
  }
}
