/** A page that shows the course of a migration: one file, nothing to load. */

import { chart } from "./_report_chart.ts";
import type { Course, Sample } from "./record.ts";
import type { MigrationState } from "./state.ts";

/** What a report is made of. */
export interface ReportFacts {
  readonly side: "source" | "target" | "relay";
  readonly state: Readonly<MigrationState>;
  readonly course: Course;
  /** Rows of what else is known: peer, machine, cipher. */
  readonly facts: readonly (readonly [name: string, value: string])[];
  /** When it was made. */
  readonly date: Date;
}

/** Writes the page. */
export function migrationReport(report: ReportFacts): string {
  const { side, state, course } = report;
  const outcome = state.status;
  const title = `Migration ${side}: ${outcome}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="generator" content="virtcreds">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<header>
<p class="kind">virtcreds migration report, ${escape(side)}</p>
<h1><span class="dot ${outcome === "completed" ? "good" : "bad"}"></span>${
    escape(outcome === "completed" ? "Completed" : capitalized(outcome))
  }</h1>
<p class="when">${escape(report.date.toISOString().replace("T", " ").replace(/\..*/, " UTC"))}</p>
${state.error === undefined ? "" : `<p class="error">${escape(state.error)}</p>`}
</header>
<section class="tiles">${tiles(state).map(tile).join("")}</section>
${charts(course)}
${passes(course)}
<section><h2>Facts</h2><table>${
    report.facts.map(([name, value]) =>
      `<tr><th scope="row">${escape(name)}</th><td>${escape(value)}</td></tr>`
    ).join("")
  }</table></section>
</main>
</body>
</html>
`;
}

function tiles(state: Readonly<MigrationState>): [string, string][] {
  const { started, ended, bytes, ram, downtime, throttle } = state;
  const elapsed = started === undefined ? 0 : (ended ?? started) - started;
  return [
    ["moved", size(bytes)],
    ["total time", time(elapsed)],
    ["mean throughput", `${size(elapsed > 0 ? bytes / elapsed * 1000 : 0)}/s`],
    ...(downtime === undefined ? [] : [["downtime", time(downtime)] as [string, string]]),
    ...(ram === undefined ? [] : [["passes", String(ram.passes)] as [string, string]]),
    ...(throttle ? [["throttled", `${throttle} %`] as [string, string]] : []),
  ];
}

function tile([name, value]: readonly [string, string]): string {
  return `<div class="tile"><b>${escape(value)}</b><span>${escape(name)}</span></div>`;
}

function charts({ samples, marks }: Course): string {
  const throughput = rates(samples);
  if (throughput.length === 0) return "<p>It was too short for a curve.</p>";
  const passes = marks.filter(({ what }) => typeof what === "number" && what > 1);
  const lines = passes.map(({ at, what }) => ({ at, label: String(what) }));
  const has = (pick: (sample: Sample) => number | undefined) =>
    samples.some((sample) => (pick(sample) ?? 0) > 0);
  const out = [
    chart({
      title: "Throughput",
      note: "bytes a second on the wire",
      marks: lines,
      series: [{ name: "throughput", tone: "a", points: throughput }],
      label: (value) => `${size(value)}/s`,
    }),
  ];
  if (has(({ remaining }) => remaining)) {
    out.push(chart({
      title: "Memory still to be sent",
      note: "what the guest writes meanwhile comes back at each pass",
      marks: lines,
      series: [{
        name: "remaining",
        tone: "b",
        points: samples.map(({ at, remaining = 0 }) => ({ at, value: remaining })),
      }],
      label: size,
    }));
  }
  if (has(({ dirtyRate }) => dirtyRate)) {
    out.push(chart({
      title: "Memory written by the guest",
      note: "bytes a second, in whole pages",
      marks: lines,
      series: [{
        name: "written",
        tone: "c",
        points: samples.map(({ at, dirtyRate = 0 }) => ({ at, value: dirtyRate })),
      }],
      label: (value) => `${size(value)}/s`,
    }));
  }
  if (has(({ throttle }) => throttle)) {
    out.push(chart({
      title: "Time taken from the guest",
      note: "percent, by auto-converge",
      marks: lines,
      series: [{
        name: "throttle",
        tone: "d",
        points: samples.map(({ at, throttle = 0 }) => ({ at, value: throttle })),
      }],
      label: (value) => `${Math.round(value)} %`,
    }));
  }
  return out.join("\n");
}

/** Bytes a second between samples that are at least so many ms apart. */
function rates(samples: readonly Sample[]): { at: number; value: number }[] {
  const points: { at: number; value: number }[] = [];
  if (samples.length < 2) return points;
  const span = Math.max(100, samples.at(-1)!.at / 200);
  let from = samples[0]!;
  for (const sample of samples.slice(1)) {
    if (sample.at - from.at < span && sample !== samples.at(-1)) continue;
    if (sample.at - from.at < 20) continue;
    const value = Math.max(0, sample.bytes - from.bytes) / (sample.at - from.at) * 1000;
    if (points.length === 0) points.push({ at: from.at, value });
    points.push({ at: sample.at, value });
    from = sample;
  }
  return points;
}

function passes({ marks }: Course): string {
  const rows = marks.map(({ at, what }) =>
    `<tr><td class="n">${time(at)}</td><td>${
      typeof what === "number" ? `pass ${what} over the memory` : escape(what)
    }</td></tr>`
  );
  if (rows.length === 0) return "";
  const shown = rows.length > 40 ? [...rows.slice(0, 20), GAP, ...rows.slice(-20)] : rows;
  return `<section><h2>Course</h2><table>${shown.join("")}</table></section>`;
}

const GAP = `<tr><td class="n">…</td><td></td></tr>`;

function size(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let [value, unit] = [bytes, 0];
  for (; value >= 1000 && unit < units.length - 1; unit++) value /= 1000;
  return `${unit === 0 || value >= 100 ? Math.round(value) : Number(value.toFixed(2))} ${
    units[unit]
  }`;
}

function time(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Text that is nothing but text in HTML. */
export function escape(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

const STYLE = `
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#16202b;--dim:#5b6875;--line:#dfe4ea;
--a:#1769d2;--b:#b4541a;--c:#7a3db8;--d:#a3273d;--good:#1e8a4c;--bad:#c2283c}
@media(prefers-color-scheme:dark){:root{--bg:#12171d;--card:#1a2129;--ink:#e6ebf0;--dim:#93a1ae;
--line:#2c363f;--a:#6aa9f7;--b:#eda26a;--c:#c093ee;--d:#f07f91;--good:#4fc07d;--bad:#f07f91}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.5 system-ui,-apple-system,sans-serif}
main{max-width:60rem;margin:0 auto;padding:2rem 1rem 4rem}
h1{margin:.1rem 0;font-size:2rem;line-height:1.2}h2{font-size:1.05rem;margin:0 0 .1rem}
.kind,.when,.note{color:var(--dim);margin:0;font-size:.9rem}
.dot{display:inline-block;width:.7em;height:.7em;border-radius:50%;margin-right:.4em}
.good{background:var(--good)}.bad{background:var(--bad)}
.error{color:var(--bad);font-weight:600;margin:.6rem 0 0}
section{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:1rem 1.2rem;margin:1rem 0}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr));gap:1rem}
.tile b{display:block;font-size:1.4rem;line-height:1.2;font-variant-numeric:tabular-nums}
.tile span{color:var(--dim);font-size:.85rem}
svg{display:block;width:100%;height:auto;margin-top:.6rem}
svg text{fill:var(--dim);font:12px system-ui,sans-serif;font-variant-numeric:tabular-nums}
.grid{stroke:var(--line);stroke-width:1}.mark{stroke:var(--dim);stroke-width:1;stroke-dasharray:2 4;opacity:.7}
.line{fill:none;stroke-width:2;stroke-linejoin:round}.area{opacity:.14;stroke:none}
.line.a{stroke:var(--a)}.area.a{fill:var(--a)}.line.b{stroke:var(--b)}.area.b{fill:var(--b)}
.line.c{stroke:var(--c)}.area.c{fill:var(--c)}.line.d{stroke:var(--d)}.area.d{fill:var(--d)}
table{border-collapse:collapse;width:100%;margin-top:.4rem}
th,td{text-align:left;padding:.3rem .8rem .3rem 0;border-top:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere}
tr:first-child th,tr:first-child td{border-top:0}
th{font-weight:500;color:var(--dim);width:12rem;white-space:nowrap}.n{width:7rem;font-variant-numeric:tabular-nums;color:var(--dim)}
`;
