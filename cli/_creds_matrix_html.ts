/** A matrix as one page: the grid, what a cell stands for, and the faults; nothing is fetched. */

import type { Matrix, MatrixEntry, MatrixRefusal, PairOutcome, PairState } from "../creds/mod.ts";
import { asInvoked, VERSION } from "../base/mod.ts";
import { MATRIX_SCRIPT, MATRIX_STYLE } from "./_creds_matrix_page.ts";
import { type MatrixReason, matrixReasons } from "./_creds_matrix_reasons.ts";
import { headline, MARKS, STATE_WORDS, whatIs } from "./_creds_matrix_text.ts";
import { versionsText } from "./_creds_render.ts";

/** Writes the page; `at` is the instant that it is true of. */
export function matrixHtml(matrix: Matrix, at: Date): string {
  const title = headline(matrix);
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="generator" content="virtcreds">
<meta name="viewport" content="width=device-width">
<title>TLS matrix: ${text(title)}</title>
<style>${MATRIX_STYLE}</style>
<header>
<h1>Who reaches whom over TLS</h1>
<p>${text(title)}. A row is a source, a column a destination. As of ${at.toISOString()}.</p>
<p class="legend">${legend()}</p>
<p><input id="find" type="search" placeholder="host or name" aria-label="show hosts with this text">
<label><input id="trouble" type="checkbox"> only hosts with a fault</label></p>
</header>
<main>
<div id="grid">${grid(matrix)}</div>
<aside id="detail" aria-live="polite"><p>Point at a cell, or click it to keep it here.</p></aside>
</main>
<section><h2>Why not</h2>
${matrixReasons(matrix).map(reasonHtml).join("\n") || "<p>Every pair passes by every name.</p>"}
</section>
<section><h2>Hosts</h2>
${hostTable(matrix.hosts)}
</section>
<footer>virtcreds ${VERSION}</footer>
<script type="application/json" id="data">${json(pageData(matrix))}</script>
<script>${MATRIX_SCRIPT}</script>
</html>
`;
}

/** What the script needs; what is said of many pairs stands there once. */
function pageData({ hosts, pair }: Matrix): unknown {
  const refusals = numbered((one: MatrixRefusal) =>
    JSON.stringify({ ...one, mend: asInvoked(one.mend) })
  );
  const outcomes = numbered(({ state, refusals: all }: PairOutcome) =>
    JSON.stringify({ state, refusals: all.map(refusals.numberOf) })
  );
  const pairs = hosts.map((_, from) =>
    hosts.map((_, to) => from === to ? -1 : outcomes.numberOf(pair(from, to)))
  );
  return {
    hosts: hosts.map(({ name, names, qemu }) => ({ name, names, qemu: versionsText(qemu) })),
    refusals: refusals.texts().map((one) => JSON.parse(one)),
    outcomes: outcomes.texts().map((one) => JSON.parse(one)),
    pairs,
  };
}

/** Numbers things, the same number for those of the same text. */
function numbered<T>(textOf: (thing: T) => string) {
  const known = new Map<T, number>();
  const numbers = new Map<string, number>();
  return {
    texts: () => [...numbers.keys()],
    numberOf(thing: T): number {
      let number = known.get(thing);
      if (number !== undefined) return number;
      const text = textOf(thing);
      number = numbers.get(text) ?? numbers.size;
      numbers.set(text, number);
      known.set(thing, number);
      return number;
    },
  };
}

function legend(): string {
  return (Object.keys(MARKS) as PairState[])
    .map((state) => `<span class="${state}">${MARKS[state]}</span> ${STATE_WORDS[state]}`)
    .join(" ");
}

function grid({ hosts, pair }: Matrix): string {
  const head = hosts.map(({ name }) => `<th scope="col"><span>${text(name)}</span></th>`);
  const rows = hosts.map(({ name }, from) => {
    const cells = hosts.map((_, to) => {
      if (from === to) return '<td class="self">';
      const { state } = pair(from, to);
      return `<td class="${state}">${MARKS[state]}`;
    });
    return `<tr><th scope="row">${text(name)}</th>${cells.join("")}</tr>`;
  });
  return `<table><thead><tr><td></td>${head.join("")}</tr></thead>
<tbody>${rows.join("\n")}</tbody></table>`;
}

function reasonHtml(reason: MatrixReason): string {
  const { kind, refusal: { by, code, message, seen, cause, mend, qemu } } = reason;
  const says = qemu === undefined ? `the ${by} says` : `${versionsText(qemu)} says`;
  const other = by === "source" ? "destination" : "source";
  const rows = [
    [says, `<q>${text(message)}</q>`],
    ...(seen === "" ? [] : [[`the ${other} says`, `<q>${text(seen)}</q>`]]),
    ["cause", `${text(cause)} <small>${text(code)}</small>`],
    ["mend", `<code>${text(asInvoked(mend))}</code>`],
  ];
  const state = kind === "names" ? "names" : "refused";
  return `<article class="${state}"><h3>${text(whatIs(reason))}</h3><dl>${
    rows.map(([term, value]) => `<dt>${text(term!)}</dt><dd>${value}</dd>`).join("")
  }</dl>${
    reason.hosts.length > 4
      ? `<details><summary>all ${reason.hosts.length}</summary>${
        text(reason.hosts.join(", "))
      }</details>`
      : ""
  }</article>`;
}

function hostTable(hosts: readonly MatrixEntry[]): string {
  const rows = hosts.map(({ name, qemu, roles, names, dir }) => {
    const shown = names.map((one) =>
      one.ok ? text(one.name) : `<s title="not in its certificate">${text(one.name)}</s>`
    );
    const cells = [text(name), text(versionsText(qemu)), roles.join(", "), shown.join(", ")];
    return `<tr><td>${[...cells, `<code>${text(dir)}</code>`].join("<td>")}`;
  });
  return `<table class="hosts"><thead><tr><th>host<th>judged as<th>roles<th>names<th>directory
<tbody>${rows.join("\n")}</table>`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
};

function text(value: string): string {
  return value.toWellFormed().replace(/[&<>"]/g, (character) => ENTITIES[character]!);
}

/** No `<` may stand in a script: it could end it. */
function json(value: unknown): string {
  return JSON.stringify(value).replaceAll("<", "\\u003c");
}
