import { assert, assertEquals, assertRejects } from "@std/assert";
import { abortableWait, breathe, pause, unlessAborted } from "../../base/mod.ts";

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

Deno.test("abortableWait() waits under one signal and under the next, each until it aborts", async () => {
  const wait = abortableWait();
  const first = new AbortController();
  assertEquals(await wait(Promise.resolve(1), first.signal), 1);
  assertEquals(await wait(Promise.resolve(2), first.signal), 2);
  const failing = Promise.reject(new Error("broken"));
  await assertRejects(() => wait(failing, first.signal), Error, "broken");
  const { promise, resolve } = Promise.withResolvers<number>();
  const given = wait(promise, first.signal);
  first.abort(new Error("enough"));
  await assertRejects(() => given, Error, "enough");
  await assertRejects(() => wait(promise, first.signal), Error, "enough");
  const second = new AbortController();
  const again = wait(promise, second.signal);
  resolve(3);
  assertEquals(await again, 3);
  const never = wait(new Promise(() => {}), second.signal);
  second.abort(new Error("at last"));
  await assertRejects(() => never, Error, "at last");
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
