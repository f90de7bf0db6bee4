import { assertEquals, assertThrows } from "@std/assert";
import {
  builtInGuest,
  GUEST_BLOCK,
  GUEST_MACHINE,
  guestStream,
  guestStreamLength,
  parseGuestRam,
} from "../../migration/guest.ts";
import { MigrationError } from "../../migration/error.ts";
import { readStream } from "../../migration/stream_reader.ts";
import { collected, readWhole } from "./streams.ts";

Deno.test("guestStream() makes a stream that verifies, of the length it announces", () => {
  const MiB = 1024 * 1024;
  for (const size of [4096, 15 * 4096, 16 * 4096, MiB, 16 * MiB, 17 * MiB + 4096]) {
    const reader = readStream();
    let length = 0;
    for (const chunk of guestStream(size)) {
      reader.push(chunk);
      length += chunk.length;
    }
    const summary = reader.end();
    const pages = size / 4096;
    const zero = Math.floor(pages / 16);
    assertEquals(length, guestStreamLength(size));
    assertEquals(summary.bytes, length);
    assertEquals(summary.machine, GUEST_MACHINE);
    assertEquals(summary.blocks, [{ name: GUEST_BLOCK, usedLength: size }]);
    assertEquals(summary.pages.zero, zero);
    assertEquals(summary.pages.normal, pages - zero + Math.min(64, pages));
    assertEquals(summary.validation, { kind: "sections", devices: 0 });
    assertEquals(builtInGuest(size).length, length);
  }
});

Deno.test("guestStream() makes the same bytes each time", () => {
  const [a, b] = [collected(guestStream(256 * 4096)), collected(guestStream(256 * 4096))];
  assertEquals(a, b);
  assertEquals(readWhole(a).bytes, a.length);
});

Deno.test("parseGuestRam() reads sizes as QEMU's -m does", () => {
  assertEquals(parseGuestRam("64"), 64 * 2 ** 20);
  assertEquals(parseGuestRam("64M"), 64 * 2 ** 20);
  assertEquals(parseGuestRam("4g"), 4 * 2 ** 30);
  assertEquals(parseGuestRam("4K"), 4096);
  assertEquals(parseGuestRam("1GiB"), 2 ** 30);
  for (const text of ["", "0", "1K", "5000K0", "-1M", "1.5G", "32T", "9".repeat(50), "64Q"]) {
    assertThrows(() => parseGuestRam(text), MigrationError, "is not a size");
  }
});
