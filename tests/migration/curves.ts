/** The curves of a report, read back from its page as somebody who looks at the axes does. */

/** A point of a curve: ms, and bytes or bytes a second. */
export interface Point {
  readonly at: number;
  readonly value: number;
}

const UNITS = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9, "%": 1 } as const;

/** Reads all charts of a page, by their titles. */
export function readCurves(html: string): ReadonlyMap<string, readonly Point[]> {
  const charts = new Map<string, readonly Point[]>();
  for (
    const [, title, svg] of html.matchAll(/<h2>([^<]+)<\/h2>[^\n]*\n<svg [^>]*>(.*?)<\/svg>/gs)
  ) {
    const values = [...svg!.matchAll(
      /<text x="[\d.]+" y="([\d.]+)" text-anchor="end">([\d.]+) (\w+|%)(?:\/s)?<\/text>/g,
    )].map(([, y, number, unit]): [number, number] => [
      Number(y) - 4,
      Number(number) * UNITS[unit as keyof typeof UNITS],
    ]);
    const times = [...svg!.matchAll(
      /<text x="([\d.]+)" y="[\d.]+" text-anchor="middle">([\d.]+) s<\/text>/g,
    )].map(([, x, seconds]): [number, number] => [Number(x), Number(seconds) * 1000]);
    const [, line] = /<path class="line \w" d="([^"]+)"/.exec(svg!) ?? [];
    const [at, value] = [scale(times), scale(values)];
    charts.set(
      title!,
      [...(line ?? "").matchAll(/[ML]([\d.]+) ([\d.]+)/g)]
        .map(([, x, y]) => ({ at: at(Number(x)), value: value(Number(y)) })),
    );
  }
  return charts;
}

/** What a place on an axis means, from the first and the last of its labels. */
function scale(labels: readonly [place: number, value: number][]): (place: number) => number {
  const [first, last] = [labels[0]!, labels.at(-1)!];
  return (place) => first[1] + (place - first[0]) * (last[1] - first[1]) / (last[0] - first[0]);
}

/** The area below a curve of rates whose points stand at the end of what they measure. */
export function area(points: readonly Point[]): number {
  return points.slice(1).reduce(
    (sum, { at, value }, i) => sum + value * (at - points[i]!.at) / 1000,
    0,
  );
}
