import { assert, assertEquals, assertRejects } from "@std/assert";
import { breathe, pause, signalWatch, unlessAborted, unlessLate } from "../../base/mod.ts";

Deno.test("unlessAborted() gives what the promise gives, or its error", async () => {
  const { signal } = new AbortController();
  assertEquals(await unlessAborted(Promise.resolve(1)), 1);
  assertEquals(await unlessAborted(Promise.resolve(1), signal), 1);
  const failing = Promise.reject(new Error("broken"));
  await assertRejects(() => unlessAborted(failing, signal), Error, "broken");
});

Deno.test("unlessAborted() rejects with the reason of its signal, before and meanwhile", async () => {
  const never = new Promise(() => {});
  const reason = new Error("enough");
  await assertRejects(() => unlessAborted(never, AbortSignal.abort(reason)), Error, "enough");
  const stop = new AbortController();
  const waiting = unlessAborted(never, stop.signal);
  stop.abort(reason);
  await assertRejects(() => waiting, Error, "enough");
});

Deno.test("signalWatch() hears of the signal that it was shown last, once", () => {
  const heard: unknown[] = [];
  const watch = signalWatch((reason) => heard.push(reason));
  const [first, second, third] = [1, 2, 3].map(() => new AbortController());
  for (const { signal } of [first!, first!, second!]) watch(signal);
  first!.abort("of no interest");
  assertEquals(heard, []);
  second!.abort("enough");
  assertEquals(heard, ["enough"]);
  watch(second!.signal);
  watch(third!.signal);
  third!.abort("at last");
  assertEquals(heard, ["enough", "at last"]);
});

Deno.test("pause() ends by itself, or with the reason of its signal and without a timer", async () => {
  await pause(1, new AbortController().signal);
  const stop = new AbortController();
  const pausing = pause(1_000_000, stop.signal);
  stop.abort(new Error("enough"));
  await assertRejects(() => pausing, Error, "enough");
  assert(stop.signal.aborted);
});

Deno.test("breathe() lets a timer have its turn in a loop, and rejects after an abort", async () => {
  const stop = new AbortController();
  let turns = 0;
  const timer = setInterval(() => {
    if (++turns === 3) stop.abort(new Error("enough"));
  }, 1);
  await assertRejects(
    async () => {
      for (;;) await breathe(stop.signal);
    },
    Error,
    "enough",
  );
  clearInterval(timer);
  assertEquals(turns, 3);
});

Deno.test("unlessLate() gives what comes in time, else nothing, and leaves no timer", async () => {
  assertEquals(await unlessLate(Promise.resolve(7), 60_000), 7);
  await assertRejects(() => unlessLate(Promise.reject(new Error("no")), 60_000), Error, "no");
  assertEquals(await unlessLate(new Promise(() => {}), 1), undefined);
});
