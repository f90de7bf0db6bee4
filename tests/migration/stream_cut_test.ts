import { assert, assertEquals, assertThrows } from "@std/assert";
import { MigrationError } from "../../migration/error.ts";
import { soakCount, soakRow } from "../support/soak.ts";
import { collected, guestStream, joined, readWhole, records } from "./streams.ts";

function assertTruncated(bytes: Uint8Array, step: number): void {
  const error = assertThrows(() => readWhole(bytes, step), MigrationError);
  assertEquals(error.code, "STREAM_TRUNCATED", `${bytes.length} bytes: ${error.message}`);
  assertEquals(error.facts.offset, bytes.length);
}

Deno.test("readStream() refuses a stream that is cut at a record's border", () => {
  const parts = records();
  for (let count = 0; count < parts.length; count++) {
    const bytes = joined(parts.slice(0, count));
    assertTruncated(bytes, Math.max(1, bytes.length));
    assertTruncated(bytes, 1);
  }
});

Deno.test("readStream() refuses a stream that is cut at any byte of its structure", () => {
  const whole = joined(records());
  const cuts = new Set<number>();
  let border = 0;
  for (const part of records()) {
    for (let i = -40; i <= 40; i++) cuts.add(border + i);
    border += part.length;
  }
  for (const cut of cuts) {
    if (cut > 0 && cut < whole.length) assertTruncated(whole.subarray(0, cut), cut);
  }
});

Deno.test("readStream() refuses the built-in guest's stream cut at random offsets", () => {
  const whole = collected(guestStream(2 * 1024 * 1024));
  const count = soakCount(500);
  for (let i = 0; i < count; i++) {
    const cut = Math.floor(Math.random() * whole.length);
    assertTruncated(whole.subarray(0, cut), 1 + Math.floor(Math.random() * 100_000));
  }
  soakRow("streams cut at random offsets", count, "each refused at the offset of its cut");
});

Deno.test("readStream() says in which part a stream ends", () => {
  const parts = records();
  const where = (bytes: Uint8Array) =>
    assertThrows(() => readWhole(bytes), MigrationError).message.replace(/^.*at byte \d+, /, "");
  const upTo = (count: number, more: number) =>
    joined([...parts.slice(0, count), parts[count]!.subarray(0, more)]);
  assertEquals(where(new Uint8Array(0)), "before its header");
  assertEquals(where(upTo(0, 6)), "inside its header");
  assertEquals(where(upTo(0, 14)), "inside its configuration section");
  assertEquals(where(upTo(1, 3)), "inside a command");
  assertEquals(where(upTo(2, 0)), "between two sections");
  assertEquals(where(upTo(5, 99)), "inside section 'ram'");
  assertEquals(where(upTo(8, 30)), "inside section 'cpu'");
  assertEquals(where(upTo(10, 99)), "inside the description of the devices");
  assert(where(upTo(10, 0)).length > 0);
});
