/**
 * A guest of random memory over mutual TLS 1.3, from and to a QEMU and this toolkit, over one
 * connection and over multifd, and what else a user would run.
 *
 * `VIRTCREDS_BENCH_RAM` lists other sizes than 1024 and 4096 MiB (`512,2048`),
 * `VIRTCREDS_BENCH_ROUNDS` sets other rounds for all of them.
 */

import { makePki } from "../tests/support/pki.ts";
import type { Bench } from "./_migration_peers.ts";
import { benchShakes } from "./_migration_shakes.ts";
import { type Cell, printMemory, printMigrations } from "./_migration_tables.ts";
import { ONTO_DISK, OURS, PEER, type Run, type Way, WAYS } from "./_migration_ways.ts";

const SIZES = (Deno.env.get("VIRTCREDS_BENCH_RAM") ?? "1024,4096").split(",").map(Number);
const ROUNDS = Deno.env.get("VIRTCREDS_BENCH_ROUNDS");
/** MiB of a guest that shows what our programs take by themselves. */
const SMALL = 64;
/** MiB from which on one round is long enough. */
const LARGE = 2048;

/** Runs all in turn and prints MiB a second of guest memory, and what each end took. */
export async function benchMigration(): Promise<void> {
  const fast = Deno.makeTempDirSync({ prefix: "virtcreds-bench-", dir: "/dev/shm" });
  const disk = Deno.makeTempDirSync({ prefix: "virtcreds-bench-" });
  try {
    const memory = `${fast}/ram`;
    writeRandom(memory, Math.max(SMALL, ...SIZES));
    const pki = await makePki(`${fast}/pki`, {
      hosts: [{ name: "source" }, { name: "target", dns: ["localhost"], ip: ["127.0.0.1"] }],
    });
    const common = { memory, disk, source: pki.host("source"), target: pki.host("target") };
    const bySize = new Map<number, readonly Cell[]>();
    const shown: readonly string[] = [OURS, ONTO_DISK];
    const small = WAYS.filter(({ name }) => shown.includes(name));
    bySize.set(SMALL, await measure({ ...common, ram: SMALL }, small, 1));
    for (const ram of SIZES) {
      const rounds = Number(ROUNDS ?? (ram >= LARGE ? 1 : 3));
      const cells = await measure({ ...common, ram }, WAYS, rounds);
      bySize.set(ram, cells.filter(({ way }) => shown.includes(way)));
      printMigrations(ram, cells, PEER);
    }
    printMemory(bySize);
    await benchShakes({ ...common, ram: SMALL }, Number(ROUNDS ?? 3));
  } finally {
    Deno.removeSync(fast, { recursive: true });
    Deno.removeSync(disk, { recursive: true });
  }
}

/** All take turns, so that a busy moment is nobody's. */
async function measure(bench: Bench, ways: readonly Way[], rounds: number): Promise<Cell[]> {
  const cells = ways.flatMap((way) =>
    way.channels.map((channels) => ({ way, channels, runs: [] as Run[] }))
  );
  for (let round = 0; round < rounds; round++) {
    for (const { way, channels, runs } of cells) runs.push(await way.run(bench, channels));
  }
  return cells.map(({ way, ...cell }) => ({ ...cell, way: way.name }));
}

function writeRandom(file: string, mebibytes: number): void {
  using handle = Deno.openSync(file, { write: true, createNew: true });
  const block = new Uint8Array(1024 * 1024);
  for (let i = 0; i < mebibytes; i++) {
    for (let at = 0; at < block.length; at += 65_536) {
      crypto.getRandomValues(block.subarray(at, at + 65_536));
    }
    handle.writeSync(block);
  }
}

if (import.meta.main) await benchMigration();
