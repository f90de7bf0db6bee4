// Reads that are given up: nothing of what comes afterwards is lost, be it bytes, an error or the end.

import { assertEquals, assertRejects } from "@std/assert";
import { pullReader } from "../../chardev/_pull.ts";

/** A source whose reads are settled by hand, one after the other. */
function source() {
  let settle = Promise.withResolvers<number | null>();
  const sizes: number[] = [];
  const read = pullReader((into) => {
    sizes.push(into.length);
    into.fill(7);
    settle = Promise.withResolvers();
    return settle.promise;
  });
  return {
    read,
    sizes,
    give: (count: number | null) => settle.resolve(count),
    fail: (error: Error) => settle.reject(error),
  };
}

const { signal } = new AbortController();
const turn = () => new Promise((resolve) => setTimeout(resolve));

Deno.test("pullReader() gives the next caller what came for one that gave up", async () => {
  const { read, sizes, give } = source();
  const stop = new AbortController();
  const first = read(stop.signal);
  stop.abort(new Error("later"));
  await assertRejects(() => first, Error, "later");
  give(3);
  await turn();
  await assertRejects(() => read(stop.signal), Error, "later");
  assertEquals(await read(signal), new Uint8Array(3).fill(7));
  assertEquals(sizes.length, 1);
});

Deno.test("pullReader() gives an error once and the end for ever", async () => {
  const { read, sizes, give, fail } = source();
  const stop = new AbortController();
  const first = read(stop.signal);
  stop.abort(new Error("later"));
  await assertRejects(() => first, Error, "later");
  fail(new Error("broken"));
  await turn();
  await assertRejects(() => read(signal), Error, "broken");
  const last = read(signal);
  give(null);
  assertEquals(await last, null);
  assertEquals(await read(signal), null);
  assertEquals(sizes.length, 2);
});

Deno.test("pullReader() takes a read that is under way over for the next caller", async () => {
  const { read, sizes, give } = source();
  const stop = new AbortController();
  const first = read(stop.signal);
  stop.abort(new Error("later"));
  await assertRejects(() => first, Error, "later");
  const second = read(signal);
  give(2);
  assertEquals(await second, new Uint8Array(2).fill(7));
  assertEquals(sizes.length, 1);
});

Deno.test("pullReader() takes more at once while a source fills what it is given", async () => {
  const { read, sizes, give } = source();
  for (let i = 0; i < 6; i++) {
    const reading = read(signal);
    give(sizes.at(-1)!);
    assertEquals((await reading)?.length, sizes.at(-1));
  }
  assertEquals(sizes, [2, 8, 32, 128, 256, 256].map((kib) => kib * 1024));
});
