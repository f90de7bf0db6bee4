/** A monitor for tests, what a client gets from one, and the same lines typed into a real QEMU. */

import { connect } from "../../channel/mod.ts";
import {
  makeEventHub,
  type Monitor,
  type MonitorAddress,
  qmpCommand,
  serveMonitor,
  type ServeOptions,
} from "../../monitor/mod.ts";
import { temporaryDirectory } from "../support/temp.ts";

/** A monitor with some commands that answer what a QEMU answers that is started with `-S`. */
export function sampleMonitor(more: Partial<Monitor> = {}): Monitor {
  const status = { status: "prelaunch", singlestep: false, running: false };
  return {
    qmp: [
      qmpCommand({ name: "query-status", run: () => status }),
      qmpCommand({ name: "query-kvm", run: () => ({ enabled: false, present: true }) }),
      ...more.qmp ?? [],
    ],
    hmp: [
      {
        name: "info status",
        help: "show the current VM status (running|paused)",
        run: () => "VM status: paused (prelaunch)",
      },
      {
        name: "migrate",
        parameters: [
          { kind: "flag", name: "detach", letter: "d" },
          { kind: "flag", name: "blk", letter: "b" },
          { kind: "string", name: "uri" },
        ],
        usage: "[-d] [-b] uri",
        help: "migrate to URI",
        run: () => {},
      },
      {
        name: "migrate_set_capability",
        parameters: [{ kind: "string", name: "capability" }, { kind: "bool", name: "state" }],
        usage: "capability state",
        help: "Enable/Disable the usage of a capability for migration",
        run: () => {},
      },
      { name: "migrate_set_parameter", help: "", run: () => {} },
      { name: "cont|c", help: "resume emulation", run: () => {} },
      ...more.hmp ?? [],
    ],
    events: more.events ?? makeEventHub(["STOP", "SHUTDOWN"]),
    quit: more.quit ?? (() => {}),
  };
}

/** A monitor served on a unix socket, until disposed. */
export async function serveForTest(
  mode: ServeOptions["mode"],
  monitor: Monitor,
): Promise<AsyncDisposable & { readonly path: string }> {
  const temp = temporaryDirectory();
  const path = `${temp.path}/monitor`;
  const stop = new AbortController();
  const where: MonitorAddress = {
    kind: "socket",
    address: { kind: "unix", path },
    server: true,
    wait: false,
  };
  const served = serveMonitor(where, { mode, monitor, signal: stop.signal });
  await served.ready;
  return {
    path,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await served.ended;
      temp[Symbol.dispose]();
    },
  };
}

/** Sends all of it to a monitor and gives all that comes back until the monitor hangs up. */
export async function talkTo(path: string, input: string): Promise<string> {
  await using channel = await connect({ kind: "unix", path });
  const sending = channel.write(new TextEncoder().encode(input));
  const buffer = new Uint8Array(64 * 1024);
  const decoder = new TextDecoder();
  let output = "";
  for (;;) {
    // A monitor that has quit leaves unread what was sent after.
    const count = await channel.read(buffer).catch(() => null);
    if (count === null) break;
    output += decoder.decode(buffer.subarray(0, count), { stream: true });
  }
  await sending;
  return output;
}

/** Sends lines of QMP and `quit`, and gives the lines that came back; events are left out. */
export async function talkQmp(path: string, lines: readonly string[]): Promise<string[]> {
  const all = ['{"execute":"qmp_capabilities"}', ...lines, '{"execute":"quit"}'];
  const output = await talkTo(path, all.map((line) => `${line}\n`).join(""));
  return output.split("\r\n").filter((line) => line !== "" && !line.startsWith('{"timestamp"'));
}

/** Types lines into a human monitor, and `quit`, and gives what a terminal got. */
export async function typeHmp(path: string, lines: readonly string[]): Promise<string> {
  return await talkTo(path, [...lines, "quit"].map((line) => `${line}\n`).join(""));
}
