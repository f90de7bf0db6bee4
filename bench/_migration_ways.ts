/** The ways that a guest's memory may take over TLS: ours, QEMU's, and what else a user would run. */

import { freePort, openTunnel, start, untilOpen } from "./_chardev_tunnels.ts";
import type { Cost } from "./_meter.ts";
import {
  type Bench,
  type Destination,
  ourSource,
  ourTarget,
  qemuSource,
  qemuTarget,
  type Sent,
  type TargetSettings,
} from "./_migration_peers.ts";

/** What one run came to. */
export interface Run {
  readonly ms: number;
  readonly source: Cost;
  /** None of a tunnel: it is more than one program. */
  readonly target?: Cost;
}

/** A way. */
export interface Way {
  readonly name: string;
  /** Connections for pages; with one it is the main one. */
  readonly channels: readonly number[];
  run(bench: Bench, channels: number): Promise<Run>;
}

const CHANNELS: readonly number[] = [1, 2, 4];

/** What all are compared with. */
export const PEER = "QEMU → QEMU";
/** The two whose memory is shown against the size of the guest. */
export const OURS = "ours → ours";
export const ONTO_DISK = "QEMU → ours, on disk";

const fromUs = (bench: Bench, channels: number, uri: string) => ourSource(bench, channels, uri);
const fromQemu = (bench: Bench, channels: number, uri: string) => qemuSource(bench, channels, uri);
const intoUs = (settings: TargetSettings = {}) => (bench: Bench, channels: number) =>
  ourTarget(bench, channels, settings);

/** All of them; the first one is ours at both ends. */
export const WAYS: readonly Way[] = [
  { name: OURS, channels: CHANNELS, run: direct(intoUs(), fromUs) },
  { name: "QEMU → ours, counted", channels: CHANNELS, run: direct(intoUs(), fromQemu) },
  { name: ONTO_DISK, channels: CHANNELS, run: ontoDisk },
  { name: "ours → QEMU", channels: CHANNELS, run: direct(qemuTarget, fromUs) },
  { name: PEER, channels: CHANNELS, run: direct(qemuTarget, fromQemu) },
  {
    name: "QEMU → ours, platform engine",
    channels: [1],
    run: direct(intoUs({ engine: "platform" }), fromQemu),
  },
  { name: "QEMU → stunnel, two → QEMU", channels: [1], run: viaStunnel },
  { name: "QEMU → socat, two → file", channels: [1], run: viaSocat },
];

function direct(
  open: (bench: Bench, channels: number) => Promise<Destination>,
  send: (bench: Bench, channels: number, uri: string) => Promise<Sent>,
): Way["run"] {
  return async (bench, channels) => {
    await using destination = await open(bench, channels);
    const { ms, cost } = await send(bench, channels, destination.uri);
    return { ms, source: cost, target: await destination.done() };
  };
}

/** Until the file is synced and has its name, and the target has ended. */
async function ontoDisk(bench: Bench, channels: number): Promise<Run> {
  const file = `${bench.disk}/guest.mig`;
  const more = ["--once", "--out", file];
  try {
    await using target = await ourTarget(bench, channels, { more });
    const { began, cost } = await qemuSource(bench, channels, target.uri);
    const stored = await target.done();
    return { ms: performance.now() - began, source: cost, target: stored };
  } finally {
    Deno.removeSync(file);
  }
}

async function viaStunnel(bench: Bench): Promise<Run> {
  const scratch = Deno.makeTempDirSync({ prefix: "virtcreds-bench-" });
  const port = freePort();
  try {
    // It is tried out before there is anybody at its end, who would take that for a migration.
    const credentials = { dir: bench.target, scratch };
    await using tunnel = await openTunnel("stunnel4", "stunnel4", port, credentials);
    await using destination = await qemuTarget(bench, 1, port);
    const { ms, cost } = await qemuSource(bench, 1, `tcp:127.0.0.1:${tunnel.port}`, false);
    await destination.done();
    return { ms, source: cost };
  } finally {
    Deno.removeSync(scratch, { recursive: true });
  }
}

async function viaSocat(bench: Bench): Promise<Run> {
  const port = freePort();
  const file = `${bench.disk}/socat.mig`;
  const tls = (dir: string, role: string) =>
    `cert=${dir}/${role}-cert.pem,key=${dir}/${role}-key.pem,cafile=${dir}/ca-cert.pem,verify=1`;
  try {
    await using _ = start("socat", [
      "-u",
      `OPENSSL-LISTEN:${port},bind=127.0.0.1,fork,${tls(bench.target, "server")}`,
      `OPEN:${file},creat`,
    ]);
    await untilOpen(port);
    const to = `OPENSSL:127.0.0.1:${port},${tls(bench.source, "client")}`;
    const { ms, cost } = await qemuSource(bench, 1, `exec:socat -u - ${to}`, false);
    return { ms, source: cost };
  } finally {
    Deno.removeSync(file);
  }
}
