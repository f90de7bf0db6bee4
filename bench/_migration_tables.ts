/** What was measured of migrations, as tables: a row for each way, a column for each number of channels. */

import type { Cost } from "./_meter.ts";
import { median } from "./measure.ts";
import type { Run } from "./_migration_ways.ts";

/** All runs of one way over so many channels. */
export interface Cell {
  readonly way: string;
  readonly channels: number;
  readonly runs: readonly Run[];
}

/** Prints MiB a second and what each end took, beside what the peer took. */
export function printMigrations(ram: number, cells: readonly Cell[], peer: string): void {
  const speed = ({ runs }: Cell) => median(runs.map(({ ms }) => ram / ms * 1000));
  const peers = new Map(
    cells.filter(({ way }) => way === peer).map((cell) => [cell.channels, speed(cell)]),
  );
  const rounds = Math.max(...cells.map(({ runs }) => runs.length));
  print(
    `a guest of ${ram} MiB over mutual TLS: MiB/s, median of ${rounds}, and how many times ${peer}`,
    cells,
    (cell) => {
      const all = cell.runs.map(({ ms }) => ram / ms * 1000);
      const spread = `(${Math.min(...all).toFixed(0)}–${Math.max(...all).toFixed(0)}) `;
      const times = speed(cell) / peers.get(cell.channels)!;
      return `${speed(cell).toFixed(0)} ${rounds === 1 ? "" : spread}${times.toFixed(1)}×`;
    },
  );
  const both = (cell: Cell, show: (cost: Cost) => string) => {
    const ends = (["source", "target"] as const).map((end) => {
      const costs = cell.runs.flatMap((run) => run[end] ?? []);
      if (costs.length === 0) return "–";
      const middle = (pick: (cost: Cost) => number) => median(costs.map(pick));
      return show({ cpu: middle(({ cpu }) => cpu), peak: middle(({ peak }) => peak) });
    });
    return ends.join(" / ");
  };
  print(
    "CPU s a GiB, source / target, their start included",
    cells,
    (cell) => both(cell, ({ cpu }) => (cpu * 1024 / ram).toFixed(2)),
  );
  print(
    "peak MiB, source / target; a QEMU's has its guest's memory in it",
    cells,
    (cell) => both(cell, ({ peak }) => peak.toFixed(0)),
  );
}

/** Prints our peak memory against the size of the guest. */
export function printMemory(bySize: ReadonlyMap<number, readonly Cell[]>): void {
  const sizes = [...bySize.keys()].sort((a, b) => a - b);
  console.log("\nour peak MiB against the guest's memory");
  console.log(line("", sizes.map((size) => `${size} MiB`)));
  const first = bySize.get(sizes[0]!)!;
  for (const { way, channels } of first) {
    for (const end of ["source", "target"] as const) {
      if (end === "source" && way.startsWith("QEMU")) continue;
      const peaks = sizes.map((size) => {
        const cell = bySize.get(size)!.find((one) => one.way === way && one.channels === channels);
        const costs = cell?.runs.flatMap((run) => run[end] ?? []) ?? [];
        return costs.length === 0 ? "–" : median(costs.map(({ peak }) => peak)).toFixed(0);
      });
      console.log(line(`${way}: ${end}, ${channelsOf(channels)}`, peaks));
    }
  }
}

function print(title: string, cells: readonly Cell[], show: (cell: Cell) => string): void {
  console.log(`\n${title}`);
  const columns = [...new Set(cells.map(({ channels }) => channels))];
  console.log(line("", columns.map(channelsOf)));
  for (const way of new Set(cells.map((cell) => cell.way))) {
    const texts = columns.map((channels) => {
      const cell = cells.find((one) => one.way === way && one.channels === channels);
      return cell === undefined ? "" : show(cell);
    });
    console.log(line(way, texts));
  }
}

const channelsOf = (count: number): string => count === 1 ? "1 channel" : `${count} channels`;

function line(name: string, texts: readonly string[]): string {
  return `  ${name.padEnd(42)}${texts.map((text) => text.padStart(21)).join("")}`.trimEnd();
}
