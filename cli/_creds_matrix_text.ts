/** A matrix for people: the grid, and below it one line for each fault. */

import { getColorEnabled, gray, green, red, setColorEnabled, yellow } from "@std/fmt/colors";
import type { Matrix, MatrixEntry, PairState } from "../creds/mod.ts";
import { printable } from "../base/mod.ts";
import { type MatrixReason, matrixReasons } from "./_creds_matrix_reasons.ts";
import { versionsText } from "./_creds_render.ts";
import { line } from "./_output.ts";

/** Marks of a pair's state. */
export const MARKS: Readonly<Record<PairState, string>> = {
  passes: "✓",
  names: "~",
  refused: "✗",
  role: "-",
};

const COLOURS: Readonly<Record<PairState, (text: string) => string>> = {
  passes: green,
  names: yellow,
  refused: red,
  role: gray,
};

/** More rows than this are drawn once for each kind of host. */
const MOST_ROWS = 30;

/** The most hosts that a line names. */
const MOST_NAMED = 4;

/** A row of the grid: hosts that do the same. */
interface Row {
  readonly label: string;
  readonly qemu: string;
  readonly members: readonly number[];
}

/** Draws a matrix; colour only where the standard output is a terminal. */
export function matrixText(matrix: Matrix): string {
  setColorEnabled(getColorEnabled() && Deno.stdout.isTerminal());
  const rows = rowsOf(matrix.hosts);
  return [
    headline(matrix),
    "",
    ...grid(matrix, rows),
    "",
    Object.entries(MARKS).map(([state, mark]) => `${mark} ${STATE_WORDS[state as PairState]}`).join(
      "  ",
    ),
    ...matrixReasons(matrix).flatMap((reason) => ["", ...reasonLines(reason)]),
  ].join("\n");
}

/** What the marks mean. */
export const STATE_WORDS: Readonly<Record<PairState, string>> = {
  passes: "passes",
  names: "passes by some names only",
  refused: "refused",
  role: "has not that role",
};

/** Says what the whole comes to. */
export function headline({ hosts, pair }: Matrix): string {
  const counts = { passes: 0, names: 0, refused: 0, role: 0 };
  for (const from of hosts.keys()) {
    for (const to of hosts.keys()) if (from !== to) counts[pair(from, to).state]++;
  }
  const pairs = hosts.length * (hosts.length - 1);
  const parts = [
    ...(counts.names > 0 ? [`${counts.names} by some names only`] : []),
    ...(counts.refused > 0 ? [`${counts.refused} refused`] : []),
    ...(counts.role > 0 ? [`${counts.role} without that role`] : []),
  ];
  const rest = parts.length === 0 ? "" : `, ${parts.join(", ")}`;
  return `${hosts.length} hosts, ${pairs} pairs: ${counts.passes} pass${rest}`;
}

function rowsOf(hosts: readonly MatrixEntry[]): Row[] {
  const groups = hosts.length > MOST_ROWS
    ? [...Map.groupBy(hosts.keys(), (i) => hosts[i]!.kind).values()]
    : [...hosts.keys()].map((i) => [i]);
  return groups.map((members) => {
    const name = printable(hosts[members[0]!]!.name);
    const others = members.length - 1;
    return {
      label: others === 0 ? name : `${name} and ${others} more`,
      qemu: qemuText(members.map((i) => hosts[i]!.qemu)),
      members,
    };
  });
}

function qemuText(versions: readonly (readonly string[])[]): string {
  const all = [...new Set(versions.map((names) => names.length > 1 ? "all" : names[0] ?? ""))];
  return all.length > 2 ? `${all[0]}, …` : all.join(", ");
}

function grid({ pair }: Matrix, rows: readonly Row[]): string[] {
  const digits = String(rows.length).length;
  const width = Math.max("source".length, ...rows.map(({ label }) => label.length));
  const versions = Math.max("QEMU".length, ...rows.map(({ qemu }) => qemu.length));
  const gap = " ".repeat(digits + 2 + width + 2 + versions + 2);
  const numbers = Array.from(
    { length: digits },
    (_, place) => rows.map((_, i) => String(i + 1).padStart(digits)[place]!).join(" "),
  );
  const header = `${" ".repeat(digits + 2)}${"source".padEnd(width)}  ${"QEMU".padEnd(versions)}  `;
  return [
    ...numbers.map((text, i) => `${i === digits - 1 ? header : gap}${text}`),
    ...rows.map((from, i) => {
      const cells = rows.map((to) => {
        const [a, b] = [from.members[0]!, to === from ? to.members[1] : to.members[0]];
        if (b === undefined) return "·";
        const { state } = pair(a, b);
        return COLOURS[state](MARKS[state]);
      });
      const number = String(i + 1).padStart(digits);
      const label = `${from.label.padEnd(width)}  ${from.qemu.padEnd(versions)}`;
      return `${number}  ${label}  ${cells.join(" ")}`;
    }),
  ];
}

function reasonLines(reason: MatrixReason): string[] {
  const { kind, refusal: { by, code, message, seen, cause, mend, qemu } } = reason;
  const state = kind === "names" ? "names" : "refused";
  const says = qemu === undefined ? `${by} says` : versionsText(qemu);
  const other = by === "source" ? "destination" : "source";
  return [
    `${COLOURS[state](MARKS[state])} ${line(whatIs(reason))}`,
    `    ${says}: ${line(message)}`,
    ...(seen === "" ? [] : [`    ${other} says: ${line(seen)}`]),
    `    ${code}: ${line(cause)}`,
    `    mend: ${line(mend)}`,
  ];
}

/** The sentence that a reason begins with. */
export function whatIs({ kind, hosts, roles, by }: MatrixReason): string {
  const who = hosts.length <= MOST_NAMED
    ? hosts.join(", ")
    : `${hosts.slice(0, MOST_NAMED - 1).join(", ")} and ${hosts.length - MOST_NAMED + 1} more`;
  const isOne = hosts.length === 1;
  const role = `as ${[...roles].sort().reverse().join(" and ")}`;
  const others = `${by} ${by === 1 ? "host" : "hosts"}`;
  if (kind === "load") return `${who} ${isOne ? "does" : "do"} not load ${role}`;
  if (kind === "trust") return `${who} and ${others} have not one authority`;
  const refused = `${who} ${isOne ? "is" : "are"} refused ${role} by ${others}`;
  return kind === "names" ? `${refused} under some names` : refused;
}
