/** One chart of a report: values over time as SVG. */

/** A line over time. */
export interface Series {
  readonly name: string;
  /** One of the page's colours. */
  readonly tone: "a" | "b" | "c" | "d";
  readonly points: readonly { readonly at: number; readonly value: number }[];
}

/** What a chart shows. */
export interface Chart {
  readonly title: string;
  readonly note: string;
  readonly series: readonly Series[];
  /** Vertical lines. */
  readonly marks: readonly { readonly at: number; readonly label: string }[];
  /** Writes a value. */
  readonly label: (value: number) => string;
}

const WIDTH = 900;
const HEIGHT = 240;
const LEFT = 84;
const RIGHT = 14;
const TOP = 22;
const BOTTOM = 28;
/** Least distance of two labels of marks. */
const LABEL_GAP = 18;

/** Draws a chart. */
export function chart({ title, note, series, marks, label }: Chart): string {
  const points = series.flatMap((one) => one.points);
  const end = Math.max(1, ...points.map(({ at }) => at));
  const step = niceStep(Math.max(1e-9, ...points.map(({ value }) => value)) / 4);
  const top = step * Math.max(1, Math.ceil(Math.max(...points.map((p) => p.value)) / step));
  const x = (at: number) => LEFT + (WIDTH - LEFT - RIGHT) * at / end;
  const y = (value: number) => HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top;
  const parts: string[] = [];
  for (let value = 0; value <= top + step / 2; value += step) {
    const at = round(y(value));
    parts.push(
      `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at}" y2="${at}"/>`,
      `<text x="${LEFT - 8}" y="${at + 4}" text-anchor="end">${label(value)}</text>`,
    );
  }
  const seconds = niceStep(end / 1000 / 6);
  for (let at = 0; at <= end / 1000 + 1e-9; at += seconds) {
    const place = round(x(at * 1000));
    parts.push(
      `<text x="${place}" y="${HEIGHT - 8}" text-anchor="middle">${Number(at.toFixed(3))} s</text>`,
    );
  }
  let last = -Infinity;
  for (const mark of marks) {
    const place = round(x(mark.at));
    // Where passes are short their lines would hide the curve.
    if (place - last < 3) continue;
    parts.push(
      `<line class="mark" x1="${place}" x2="${place}" y1="${TOP}" y2="${HEIGHT - BOTTOM}"/>`,
    );
    if (place - last >= LABEL_GAP) {
      parts.push(`<text x="${place}" y="${TOP - 6}" text-anchor="middle">${mark.label}</text>`);
    }
    last = place;
  }
  for (const { tone, points: own } of series) {
    const line = own.map(({ at, value }, i) =>
      `${i === 0 ? "M" : "L"}${round(x(at))} ${round(y(value))}`
    ).join("");
    const base = round(y(0));
    const [from, to] = [round(x(own[0]?.at ?? 0)), round(x(own.at(-1)?.at ?? 0))];
    if (own.length === 0) continue;
    parts.push(
      `<path class="area ${tone}" d="${line}L${to} ${base}L${from} ${base}Z"/>`,
      `<path class="line ${tone}" d="${line}"/>`,
    );
  }
  return `<section><h2>${title}</h2><p class="note">${note}; dashed lines are passes over the memory</p>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title} over time">${
    parts.join("")
  }</svg></section>`;
}

/** The next of 1, 2, 5, 10, … that is not below. */
function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least - 1e-12)!;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
