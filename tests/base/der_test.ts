import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  BaseError,
  der,
  derBitString,
  derBoolean,
  derChildren,
  derInteger,
  derOid,
  derSequence,
  derSetOf,
  derString,
  derTime,
  derUnsigned,
  readDer,
  readDerWhole,
  readOid,
  readTime,
  Tag,
} from "../../base/mod.ts";
import { soakCount, soakRow } from "../support/soak.ts";

const hex = (text: string) => Uint8Array.fromHex(text.replaceAll(" ", ""));

Deno.test("readDer() refuses what is not DER", () => {
  const cases: [string, string][] = [
    ["", "ends too early"],
    ["30", "ends too early"],
    ["30 02 01", "ends too early"],
    ["30 80 00 00", "not definite"],
    ["30 85 01 00 00 00 00", "not definite"],
    ["30 81 01 00", "more octets than needed"],
    ["30 82 00 80", "more octets than needed"],
    ["30 84 ff ff ff ff", "ends too early"],
    ["1f 81 00 00", "a tag number over 30"],
  ];
  for (const [bytes, cause] of cases) {
    assertThrows(() => readDer(hex(bytes)), BaseError, cause, bytes);
  }
});

Deno.test("readDerWhole() refuses bytes behind the end and another tag", () => {
  assertThrows(() => readDerWhole(hex("05 00 00")), BaseError, "bytes behind the end");
  assertThrows(() => readDerWhole(hex("05 00"), Tag.SEQUENCE), BaseError, "tag 5, not 48");
  assertEquals(readDerWhole(hex("05 00"), Tag.NULL).content.length, 0);
});

Deno.test("der() writes lengths in the fewest octets and readDer() reads them back", () => {
  for (const length of [0, 1, 127, 128, 255, 256, 65_535, 65_536, 1_000_000]) {
    const written = der(Tag.OCTET_STRING, new Uint8Array(length));
    const read = readDerWhole(written, Tag.OCTET_STRING);
    assertEquals(read.content.length, length);
  }
});

Deno.test("integers are minimal and never negative", () => {
  assertEquals(derInteger(0), hex("02 01 00"));
  assertEquals(derInteger(127), hex("02 01 7f"));
  assertEquals(derInteger(128), hex("02 02 00 80"));
  assertEquals(derUnsigned(hex("00 00 80")), hex("02 02 00 80"));
  assertEquals(derUnsigned(hex("00 01")), hex("02 01 01"));
  assertEquals(derUnsigned(new Uint8Array()), hex("02 01 00"));
});

Deno.test("object identifiers survive a round trip", () => {
  const known: [string, string][] = [
    ["2.5.29.37.0", "06 04 55 1d 25 00"],
    ["1.3.6.1.5.5.7.3.1", "06 08 2b 06 01 05 05 07 03 01"],
    ["1.2.840.113549.1.1.11", "06 09 2a 86 48 86 f7 0d 01 01 0b"],
    ["2.999.3", "06 03 88 37 03"],
  ];
  for (const [dotted, bytes] of known) {
    assertEquals(derOid(dotted), hex(bytes));
    assertEquals(readOid(readDer(hex(bytes)).content), dotted);
  }
  assertThrows(() => readOid(hex("88")), BaseError, "broken object identifier");
  assertThrows(() => readOid(hex("ff ff ff ff ff ff ff ff ff 01")), BaseError, "too large");
});

Deno.test("times switch to GeneralizedTime in 2050 and read back", () => {
  const cases: [string, number][] = [
    ["1999-12-31T23:59:59Z", Tag.UTC_TIME],
    ["2049-12-31T23:59:59Z", Tag.UTC_TIME],
    ["2050-01-01T00:00:00Z", Tag.GENERALIZED_TIME],
    ["9999-12-31T23:59:59Z", Tag.GENERALIZED_TIME],
  ];
  for (const [text, tag] of cases) {
    const element = readDerWhole(derTime(new Date(text)));
    assertEquals(element.tag, tag);
    assertEquals(readTime(element).toISOString(), text.replace("Z", ".000Z"));
  }
  for (const text of ["991231235959", "9913312359Z", "990230000000Z", "990101250000Z"]) {
    assertThrows(() => readTime(readDer(derString(Tag.UTC_TIME, text))), BaseError);
  }
});

Deno.test("sets are sorted, bit strings say their padding, booleans are 00 or ff", () => {
  assertEquals(
    derSetOf(derInteger(2), derInteger(1), derInteger(256)),
    der(Tag.SET, derInteger(1), derInteger(2), derInteger(256)),
  );
  assertEquals(derBitString(hex("80"), 7), hex("03 02 07 80"));
  assertEquals(derBoolean(true), hex("01 01 ff"));
  assertEquals(derChildren(readDer(derSequence(derBoolean(false), derInteger(1)))).length, 2);
});

Deno.test("random bytes are read or refused with BaseError, never anything else", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      try {
        const walk = (element: ReturnType<typeof readDer>): void => {
          if (element.tag & 0x20) derChildren(element).forEach(walk);
        };
        walk(readDer(bytes));
      } catch (error) {
        return error instanceof BaseError && error.code === "DER";
      }
      return true;
    }),
    { numRuns: soakCount(50_000), seed: 1 },
  );
  soakRow("readDer(): random bytes", soakCount(50_000), "read or refused with DER");
});
