import fc from "fast-check";
import { assertEquals } from "@std/assert";
import { formatIpAddress, parseIpAddress } from "../../ca/ip_address.ts";

const ADDRESSES: readonly (readonly [given: string, octets: string, text: string])[] = [
  ["192.0.2.1", "c0000201", "192.0.2.1"],
  ["0.0.0.0", "00000000", "0.0.0.0"],
  ["::", "00000000000000000000000000000000", "::"],
  ["::1", "00000000000000000000000000000001", "::1"],
  ["1::", "00010000000000000000000000000000", "1::"],
  ["2001:DB8:0:0:8:800:200C:417A", "20010db80000000000080800200c417a", "2001:db8::8:800:200c:417a"],
  ["2001:db8:0:1:1:1:1:1", "20010db8000000010001000100010001", "2001:db8:0:1:1:1:1:1"],
  ["2001:0:0:1:0:0:0:1", "20010000000000010000000000000001", "2001:0:0:1::1"],
  ["2001:db8::0:1:0:0:1", "20010db8000000000001000000000001", "2001:db8::1:0:0:1"],
  ["::ffff:10.0.0.1", "00000000000000000000ffff0a000001", "::ffff:10.0.0.1"],
  ["::ffff:a00:1", "00000000000000000000ffff0a000001", "::ffff:10.0.0.1"],
  ["64:ff9b::192.0.2.33", "0064ff9b0000000000000000c0000221", "64:ff9b::c000:221"],
];

for (const [given, octets, text] of ADDRESSES) {
  Deno.test(`parseIpAddress() reads ${given} and spells it ${text}`, () => {
    const address = parseIpAddress(given)!;
    assertEquals([address.octets.toHex(), address.text], [octets, text]);
  });
}

const NO_ADDRESSES = [
  "",
  "1.2.3",
  "1.2.3.4.5",
  "1.2.3.256",
  "01.2.3.4",
  "1.2.3.4 ",
  "0x1.2.3.4",
  ":",
  ":::",
  ":1",
  "1:",
  "1:2:3:4:5:6:7",
  "1:2:3:4:5:6:7:8:9",
  "1:2:3:4:5:6:7::8",
  "::1::",
  "12345::",
  "::1.2.3",
  "1.2.3.4::",
  "::1%lo",
  "[::1]",
  "::g",
];

Deno.test("parseIpAddress() refuses what is not one whole literal", () => {
  for (const text of NO_ADDRESSES) assertEquals(parseIpAddress(text), undefined, text);
});

Deno.test("parseIpAddress() agrees with the URL standard on random IPv6 addresses", () => {
  fc.assert(fc.property(fc.ipV6(), (text) => {
    const url = new URL(`http://[${text}]`).hostname.slice(1, -1);
    const { octets } = parseIpAddress(text)!;
    assertEquals(parseIpAddress(url)!.octets, octets);
    assertEquals(parseIpAddress(formatIpAddress(octets))!.octets, octets);
  }));
});
