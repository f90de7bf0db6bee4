import { assert, assertThrows } from "@std/assert";
import { buffersInUse, watchMemory } from "./memory.ts";

const MiB = 2 ** 20;
/** Each repetition takes so much and never fills it, so that the process does not grow. */
const TAKEN = 16 * MiB;

Deno.test("watchMemory() sees memory that is taken and given back unfilled", () => {
  const memory = watchMemory(8);
  let bytes = 0;
  for (let i = 0; i < 8; i++) {
    memory.turn();
    bytes += new Uint8Array(TAKEN).length;
  }
  assert(bytes === 8 * TAKEN);
  assertThrows(() => memory.flat(), Error, "MiB taken by one repetition");
});

Deno.test("watchMemory() has nothing against buffers of a sensible size", () => {
  const memory = watchMemory(8);
  for (let i = 0; i < 8; i++) {
    memory.turn();
    new Uint8Array(64 * 1024).fill(1);
  }
  memory.flat();
});

Deno.test("buffersInUse() counts what is held and was never filled", () => {
  const before = buffersInUse();
  const held = Array.from({ length: 16 }, () => new Uint8Array(TAKEN));
  assert(buffersInUse() - before >= 16 * TAKEN / MiB);
  assert(held.length === 16);
});
