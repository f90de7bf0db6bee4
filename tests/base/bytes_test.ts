import { assertEquals } from "@std/assert";
import { endsWith, sameBytes } from "../../base/mod.ts";

const bytes = (...octets: number[]) => Uint8Array.from(octets);

Deno.test("sameBytes() compares length and content, endsWith() the end", () => {
  assertEquals(sameBytes(bytes(), bytes()), true);
  assertEquals(sameBytes(bytes(1, 2), bytes(1, 2)), true);
  assertEquals(sameBytes(bytes(1, 2), bytes(1, 3)), false);
  assertEquals(sameBytes(bytes(1, 2), bytes(2)), false);
  assertEquals(endsWith(bytes(1, 2, 3), bytes(2, 3)), true);
  assertEquals(endsWith(bytes(1, 2, 3), bytes(1, 2)), false);
  assertEquals(endsWith(bytes(1), bytes(0, 1)), false);
});
