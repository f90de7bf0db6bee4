/** What a report shows: the curves are what was sampled. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { defaultCapabilities, setCapability } from "../../migration/capabilities.ts";
import { builtInGuest } from "../../migration/guest.ts";
import { defaultParameters } from "../../migration/parameters.ts";
import { type Course, CourseRecorder, type Sample } from "../../migration/record.ts";
import { migrationReport } from "../../migration/report.ts";
import { beginState, endState, initialState, setStatus } from "../../migration/state.ts";
import { area, type Point, readCurves } from "./curves.ts";

const MB = 1e6;
const DATE = new Date(0);

/** A source that sends 20 MB a second, then 5; its guest writes 8, then is slowed down. */
const SAMPLES: readonly Sample[] = Array.from({ length: 21 }, (_, i) => ({
  at: i * 100,
  bytes: i <= 10 ? i * 2 * MB : 20 * MB + (i - 10) * 0.5 * MB,
  remaining: Math.max(0, 16 - i) * MB,
  dirtyRate: i < 10 ? 8 * MB : 2 * MB,
  throttle: i < 10 ? 0 : 40,
}));

function page(course: Course): string {
  const state = initialState();
  beginState(state);
  state.bytes = course.samples.at(-1)?.bytes ?? 0;
  endState(state, "completed");
  return migrationReport({
    side: "source",
    state,
    course,
    facts: [["machine", "a<b"]],
    date: DATE,
  });
}

function assertNear(actual: number, expected: number, most: number): void {
  assert(Math.abs(actual - expected) <= most, `${actual}, and not ${expected}`);
}

function assertCurve(points: readonly Point[] | undefined, values: (sample: Sample) => number) {
  assertEquals(points?.length, SAMPLES.length);
  for (const [i, sample] of SAMPLES.entries()) {
    // The page keeps a tenth of a pixel.
    assertNear(points![i]!.at, sample.at, 5);
    assertNear(points![i]!.value, values(sample), 0.05 * MB);
  }
}

Deno.test("migrationReport() draws each curve through what was sampled", () => {
  const marks = [{ at: 0, what: "active" }, { at: 0, what: 1 }, { at: 1000, what: 2 }] as const;
  const html = page({ samples: SAMPLES, marks });
  const curves = readCurves(html);
  assertEquals([...curves.keys()], [
    "Throughput",
    "Memory still to be sent",
    "Memory written by the guest",
    "Time taken from the guest",
  ]);
  assertCurve(
    curves.get("Throughput"),
    ({ at }) => at <= 1000 ? 20 * MB : 5 * MB,
  );
  assertNear(area(curves.get("Throughput")!), 25 * MB, 0.3 * MB);
  assertCurve(curves.get("Memory still to be sent"), ({ remaining }) => remaining!);
  assertCurve(curves.get("Memory written by the guest"), ({ dirtyRate }) => dirtyRate!);
  const throttle = curves.get("Time taken from the guest")!;
  assertNear(throttle[9]!.value, 0, 0.5);
  assertNear(throttle[20]!.value, 40, 0.5);
  // The second pass is marked in the middle of all four.
  const lines = [...html.matchAll(/<line class="mark" x1="([\d.]+)"/g)].map(([, x]) => Number(x));
  assertEquals(lines, [485, 485, 485, 485]);
  assertMatch(html, /<td class="n">1\.00 s<\/td><td>pass 2 over the memory<\/td>/);
  assertMatch(html, /<b>25 MB<\/b><span>moved<\/span>/);
  assertMatch(html, /<td>a&#60;b<\/td>/);
});

Deno.test("migrationReport() draws no curve of what is not known", () => {
  const samples = SAMPLES.map(({ at, bytes }) => ({ at, bytes }));
  assertEquals([...readCurves(page({ samples, marks: [] })).keys()], ["Throughput"]);
  for (const few of [[], samples.slice(0, 1), [samples[0]!, { at: 15, bytes: 7 }]]) {
    const short = page({ samples: few, marks: [] });
    assertEquals(readCurves(short).size, 0);
    assertMatch(short, /too short for a curve/);
  }
});

Deno.test("CourseRecorder notes how a migration went on, and each begins anew", async () => {
  const ram = 12 * 2 ** 20;
  const guest = builtInGuest({ ram, dirtyRate: 4 * MB, workingSet: 2 * MB });
  const parameters = { ...defaultParameters(), "max-bandwidth": 8 * MB };
  const capabilities = defaultCapabilities();
  setCapability(capabilities, "pause-before-switchover", true);
  const state = initialState();
  using recorder = new CourseRecorder(state);
  beginState(state, "setup");
  endState(state, "failed", "no route");
  beginState(state, "setup");
  setStatus(state, "active");
  for await (const _ of guest.chunks({ state, parameters, capabilities })) { /* all of them */ }
  endState(state, "completed");
  const { samples, marks } = recorder.course;
  const passes = Array.from({ length: state.ram!.passes }, (_, i) => i + 1);
  assertEquals(marks.map(({ what }) => what), [
    ...["setup", "active"],
    ...passes.slice(0, -1),
    ...["pre-switchover", "device"],
    passes.at(-1)!,
    "completed",
  ] as typeof marks[number]["what"][]);
  assert(
    samples.every(({ at, bytes }, i) =>
      i === 0 || at >= samples[i - 1]!.at && bytes >= samples[i - 1]!.bytes
    ),
  );
  assertEquals(samples.at(-1)!.bytes, state.bytes);
  const left = samples.map(({ remaining = 0 }) => remaining);
  assert(left.some((bytes) => bytes > ram / 4 && bytes < ram), `${left}`);
  assertEquals(left.at(-1), 0);
  // What it wrote is known after the first pass, which the limit keeps longer than a second.
  const { dirtyRate } = samples.at(-1)!;
  assert(dirtyRate! > 0 && dirtyRate! <= 4.2 * MB, `${dirtyRate}`);
});
