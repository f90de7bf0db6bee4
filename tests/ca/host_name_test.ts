import fc from "fast-check";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { resolve } from "@std/path";
import { CaError } from "../../ca/error.ts";
import { parseDnsName, parseHostName, parseIpName } from "../../ca/host_name.ts";
import { soakCount, soakRow } from "../support/soak.ts";

const ACCEPTED: readonly (readonly [given: string, kind: "dns" | "ip", text: string])[] = [
  ["host-a", "dns", "host-a"],
  ["a", "dns", "a"],
  ["1st.example.com", "dns", "1st.example.com"],
  ["3com.com", "dns", "3com.com"],
  ["Host-A.Example.COM", "dns", "host-a.example.com"],
  ["host.example.com.", "dns", "host.example.com"],
  ["zürich.ch", "dns", "xn--zrich-kva.ch"],
  ["ZÜRICH.ch", "dns", "xn--zrich-kva.ch"],
  ["例え。テスト", "dns", "xn--r8jz45g.xn--zckzah"],
  ["xn--zrich-kva.ch", "dns", "xn--zrich-kva.ch"],
  [`${"a".repeat(63)}.de`, "dns", `${"a".repeat(63)}.de`],
  [`${"a.".repeat(126)}a`, "dns", `${"a.".repeat(126)}a`],
  ["10.0.0.1", "ip", "10.0.0.1"],
  ["::1", "ip", "::1"],
  ["FD00:0:0:0:0:0:0:1", "ip", "fd00::1"],
  ["::ffff:10.0.0.1", "ip", "::ffff:10.0.0.1"],
];

for (const [given, kind, text] of ACCEPTED) {
  Deno.test(`parseHostName() takes ${given.slice(0, 40)} for ${text.slice(0, 40)}`, () => {
    const name = parseHostName(given);
    assertEquals([name.kind, name.text], [kind, text]);
  });
}

const REFUSED: readonly (readonly [given: string, cause: string])[] = [
  ["", "it is empty"],
  [".", "it has an empty label"],
  ["..", "it has an empty label"],
  ["../x", "it has the character '/'"],
  ["a/b", "it has the character '/'"],
  ["a\\b", "it has the character '\\'"],
  ["/etc", "it has the character '/'"],
  [".host", "it has an empty label"],
  ["a..b", "it has an empty label"],
  ["host..", "it has an empty label"],
  ["-host", "a label starts or ends with a hyphen"],
  ["host-", "a label starts or ends with a hyphen"],
  ["a.-b.c", "a label starts or ends with a hyphen"],
  ["--dir", "a label starts or ends with a hyphen"],
  ["my host", "it has a space"],
  [" host", "it has a space"],
  ["host\n", "it has a line break"],
  ["host\0", "it has the control character U+0000"],
  ["host\x1b(0", "it has the control character U+001B"],
  ["my_host", "it has an underscore"],
  ["user@host", "it has the character '@'"],
  ["zü@host", "it has the character '@'"],
  ["zü/../x", "it has the character '/'"],
  ["zü?x", "it has the character '?'"],
  ["zü#x", "it has the character '#'"],
  ["@authority", "it has the character '@'"],
  ["a,b", "it has the character ','"],
  ["*.example.com", "it has a wildcard"],
  ["a".repeat(300), "it has 300 characters, more than 253"],
  [`${"a".repeat(64)}.de`, "it has a label of 64 characters, more than 63"],
  [`${"a.".repeat(127)}a`, "it has 255 characters, more than 253"],
  [`${"ü.".repeat(60)}de`, "it has 482 characters, more than 253"],
  ["10.0.0.256", "its last label is a number, so that others take it for an IPv4 address"],
  ["010.0.0.1", "its last label is a number, so that others take it for an IPv4 address"],
  ["10.1", "its last label is a number, so that others take it for an IPv4 address"],
  ["42", "its last label is a number, so that others take it for an IPv4 address"],
  ["0x7f000001", "its last label is a number, so that others take it for an IPv4 address"],
  ["１０.0.0.1", "its last label is a number, so that others take it for an IPv4 address"],
  ["[::1]", "it has a character of an IP literal, but is none"],
  ["fe80::1%eth0", "it has a character of an IP literal, but is none"],
  ["1::2::3", "it has a character of an IP literal, but is none"],
  ["host:16514", "it has a character of an IP literal, but is none"],
  ["xn--\u00fc", "it is no internationalized domain name"],
  ["xn--a", "it is no internationalized domain name"],
  ["\u2028", "it is no internationalized domain name"],
  ["\u2100", "it is no internationalized domain name"],
  ["\ud800", "it is no internationalized domain name"],
];

for (const [given, cause] of REFUSED) {
  Deno.test(`parseHostName() refuses ${JSON.stringify(given).slice(0, 40)}: ${cause}`, () => {
    const error = assertThrows(() => parseHostName(given), CaError);
    assertEquals([error.code, error.facts.cause, error.exitCode], ["HOST_NAME", cause, 2]);
    assert(error.hints.length > 0);
    // deno-lint-ignore no-control-regex
    assert(!/[\x00-\x1f\x7f\u2028\ud800]/.test(error.message), "the message is one clean line");
  });
}

Deno.test("parseDnsName() sends an address to --ip, and refuses what is no name", () => {
  assertEquals(parseDnsName("Host-A.").text, "host-a");
  const error = assertThrows(() => parseDnsName("10.0.0.1"), CaError);
  assertEquals(error.message, "--dns '10.0.0.1' is not a DNS name: it is an IP address");
  assertEquals(error.hints, ["write --ip 10.0.0.1"]);
  assertThrows(() => parseDnsName("*.example.com"), CaError, "it has a wildcard");
});

Deno.test("parseIpName() sends a name to --dns, and refuses what is no address", () => {
  assertEquals(parseIpName("2001:DB8::7").text, "2001:db8::7");
  const error = assertThrows(() => parseIpName("host-a"), CaError);
  assertEquals(error.message, "--ip 'host-a' is not an IP address: it is no IPv4 or IPv6 literal");
  assertEquals(error.hints, ["write --dns host-a"]);
  for (const text of ["10.0.0.0/8", "[::1]", "10.0.0.256", "", "fe80::1%eth0"]) {
    const { hints } = assertThrows(() => parseIpName(text), CaError);
    assertEquals(hints[0]!.startsWith("write it as in 192.0.2.1"), true, text);
  }
});

Deno.test("parseHostName() lets no random name out of its directory or the grammar of names", () => {
  const runs = soakCount(10_000);
  const nasty = fc.constantFrom(
    "..",
    "/",
    ".",
    "-",
    "\0",
    "\n",
    "ü",
    "１",
    ":",
    "%2e",
    "@",
    "xn--",
  );
  const name = fc.oneof(
    fc.string({ unit: "binary", maxLength: 300 }),
    fc.array(fc.oneof(nasty, fc.string({ maxLength: 4 })), { maxLength: 12 }).map((p) =>
      p.join("")
    ),
    fc.domain(),
    fc.ipV4(),
    fc.ipV6(),
  );
  let accepted = 0;
  fc.assert(
    fc.property(name, (given) => {
      let text: string;
      try {
        text = parseHostName(given).text;
      } catch (error) {
        return error instanceof CaError && error.code === "HOST_NAME";
      }
      accepted++;
      assert(/^[a-z0-9:]([a-z0-9.:-]*[a-z0-9:])?$/.test(text), text);
      assert(text.length <= 253 && text.split(".").every((label) => label !== ""), text);
      assertEquals(parseHostName(text).text, text, "a parsed name parses to itself");
      assertEquals(resolve("/pki/hosts", text), `/pki/hosts/${text}`);
      return true;
    }),
    { numRuns: runs },
  );
  assert(accepted > 0);
  soakRow("host names stay in their directory", runs, `${accepted} accepted, none escaped`);
});
