/**
 * A guest of random memory over mutual TLS 1.3, from and to a QEMU and this toolkit, over one
 * connection and over multifd, and what else a user would run.
 *
 * `VIRTCREDS_BENCH_RAM` sets another size than 1024 MiB, `VIRTCREDS_BENCH_ROUNDS` other rounds.
 */

import { makePki } from "../tests/support/pki.ts";
import {
  type Bench,
  type Cost,
  type Destination,
  ourSource,
  ourTarget,
  qemuSource,
  qemuTarget,
} from "./_migration_peers.ts";
import { compare, type Contestant, printTable } from "./measure.ts";

const RAM = Number(Deno.env.get("VIRTCREDS_BENCH_RAM") ?? 1024);
const ROUNDS = Number(Deno.env.get("VIRTCREDS_BENCH_ROUNDS") ?? 3);
/** Connections for pages; with one it is the main one. */
const CHANNELS = [1, 2, 4];

/** Runs all in turn and prints MiB a second of guest memory, and what ours took. */
export async function benchMigration(): Promise<void> {
  const dir = Deno.makeTempDirSync({ prefix: "virtcreds-bench-", dir: "/dev/shm" });
  try {
    const memory = `${dir}/ram`;
    writeRandom(memory);
    const pki = await makePki(`${dir}/pki`, {
      hosts: [{ name: "source" }, { name: "target", ip: ["127.0.0.1"] }],
    });
    const bench = { ram: RAM, memory, source: pki.host("source"), target: pki.host("target") };
    const costs = new Map<string, Cost[]>();
    const contestants = [
      ...CHANNELS.flatMap((channels) => withChannels(bench, channels, costs)),
      into(bench, "QEMU → our target, kept in a file", costs, `${dir}/guest.mig`),
      into(bench, "QEMU → our target, platform engine", costs, undefined, "platform"),
      viaSocat(bench, `${dir}/socat`),
    ];
    const results = await compare(contestants, ROUNDS, false);
    printTable(`a guest of ${RAM} MiB over mutual TLS`, "MiB/s", "more", results);
    printCosts(costs);
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}

type Costs = Map<string, Cost[]>;

function withChannels(bench: Bench, channels: number, costs: Costs): Contestant[] {
  const how = channels === 1 ? "" : `, ${channels} channels`;
  const note = (name: string, cost: Cost | undefined) => {
    if (cost !== undefined) costs.set(name, [...costs.get(name) ?? [], cost]);
  };
  const contestant = (
    name: string,
    open: () => Promise<Destination>,
    send: (uri: string) => Promise<{ ms: number; cost?: Cost }>,
  ): Contestant => ({
    name: name + how,
    async run() {
      await using destination = await open();
      const { ms, cost } = await send(destination.uri);
      note(`${name + how}: source`, cost);
      note(`${name + how}: target`, await destination.done);
      return RAM / ms * 1000;
    },
  });
  const fromQemu = async (uri: string) => ({ ms: await qemuSource(bench, channels, uri) });
  const fromUs = (uri: string) => ourSource(bench, channels, uri);
  return [
    contestant("ours → ours", () => ourTarget(bench, channels), fromUs),
    contestant("QEMU → QEMU", () => qemuTarget(bench, channels), fromQemu),
    contestant("QEMU → our target", () => ourTarget(bench, channels), fromQemu),
    contestant("our source → QEMU", () => qemuTarget(bench, channels), fromUs),
  ];
}

function into(
  bench: Bench,
  name: string,
  costs: Costs,
  file: string | undefined,
  engine?: string,
): Contestant {
  return {
    name,
    async run() {
      const out = file === undefined ? [] : ["--out", file, "--force"];
      await using target = await ourTarget(bench, 1, out, engine);
      const ms = await qemuSource(bench, 1, target.uri);
      const cost = await target.done;
      costs.set(`${name}: target`, [...costs.get(`${name}: target`) ?? [], cost!]);
      return RAM / ms * 1000;
    },
  };
}

/** What one would do without: a QEMU's plain stream through socat's TLS, into a file. */
function viaSocat(bench: Bench, file: string): Contestant {
  return {
    name: "QEMU → exec:socat → socat, file",
    async run() {
      const port = 20_000 + Math.floor(Math.random() * 20_000);
      const tls = (dir: string, role: string) =>
        `cert=${dir}/${role}-cert.pem,key=${dir}/${role}-key.pem,cafile=${dir}/ca-cert.pem,verify=1`;
      const listener = new Deno.Command("socat", {
        args: [
          "-u",
          `OPENSSL-LISTEN:${port},bind=127.0.0.1,${tls(bench.target, "server")}`,
          `OPEN:${file},creat,trunc`,
        ],
        stdin: "null",
        stdout: "null",
        stderr: "null",
      }).spawn();
      try {
        await new Promise((resolve) => setTimeout(resolve, 300));
        const to = `OPENSSL:127.0.0.1:${port},${tls(bench.source, "client")}`;
        const ms = await qemuSource(bench, 1, `exec:socat -u - ${to}`, false);
        await listener.status;
        return RAM / ms * 1000;
      } finally {
        try {
          listener.kill();
        } catch { /* it has ended with its stream */ }
        await listener.status;
      }
    },
  };
}

function printCosts(costs: Costs): void {
  console.log("\nwhat ours took, its start included (mean)   CPU s/GiB  peak MiB");
  for (const [name, all] of costs) {
    const mean = (pick: (cost: Cost) => number) =>
      all.reduce((sum, cost) => sum + pick(cost), 0) / all.length;
    const cpu = mean(({ cpu }) => cpu) / RAM * 1024;
    console.log(
      `  ${name.padEnd(40)} ${cpu.toFixed(2).padStart(6)} ${
        mean(({ peak }) => peak).toFixed(0).padStart(8)
      }`,
    );
  }
}

function writeRandom(file: string): void {
  using handle = Deno.openSync(file, { write: true, createNew: true });
  const block = new Uint8Array(1024 * 1024);
  for (let i = 0; i < RAM; i++) {
    for (let at = 0; at < block.length; at += 65_536) {
      crypto.getRandomValues(block.subarray(at, at + 65_536));
    }
    handle.writeSync(block);
  }
}

if (import.meta.main) await benchMigration();
