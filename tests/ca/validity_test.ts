import { assertEquals, assertThrows } from "@std/assert";
import { CaError } from "../../ca/error.ts";
import { authorityValidity, crlDates, hostValidity } from "../../ca/validity.ts";

const NOW = new Date("2025-06-01T12:00:00.900Z");
const text = ({ notBefore, notAfter }: { notBefore: Date; notAfter: Date }) => [
  notBefore.toISOString(),
  notAfter.toISOString(),
];

Deno.test("authorityValidity() starts a day ago and ends after the days, in whole seconds", () => {
  assertEquals(text(authorityValidity(NOW, 10)), [
    "2025-05-31T12:00:00.000Z",
    "2025-06-11T12:00:00.000Z",
  ]);
});

Deno.test("hostValidity() starts an hour ago, never before the issuer", () => {
  const issuer = authorityValidity(NOW, 10);
  assertEquals(text(hostValidity(NOW, 1, issuer)), [
    "2025-06-01T11:00:00.000Z",
    "2025-06-02T12:00:00.000Z",
  ]);
  const young = { ...issuer, notBefore: new Date("2025-06-01T11:59:00Z") };
  assertEquals(hostValidity(NOW, 1, young).notBefore, young.notBefore);
});

Deno.test("hostValidity() ends with the issuer at the latest, and says that it was cut", () => {
  const issuer = authorityValidity(NOW, 10);
  assertEquals(hostValidity(NOW, 10, issuer).cut, false);
  const cut = hostValidity(NOW, 11, issuer);
  assertEquals([cut.cut, cut.notAfter], [true, issuer.notAfter]);
});

Deno.test("authorityValidity() and hostValidity() refuse days out of bounds", () => {
  for (const days of [0, -1, 1.5, NaN, Infinity, 36_501]) {
    assertThrows(() => authorityValidity(NOW, days), CaError, "a whole number from 1 to 36500");
    assertThrows(() => hostValidity(NOW, days, authorityValidity(NOW, 1)), CaError);
  }
});

Deno.test("crlDates() holds a CRL good for as long as its CA", () => {
  const issuer = authorityValidity(NOW, 10);
  const { thisUpdate, nextUpdate } = crlDates(NOW, issuer);
  assertEquals(text({ notBefore: thisUpdate, notAfter: nextUpdate }), [
    "2025-06-01T11:00:00.000Z",
    "2025-06-11T12:00:00.000Z",
  ]);
});
