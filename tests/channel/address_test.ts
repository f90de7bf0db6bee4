import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  type Address,
  ChannelError,
  checkAddress,
  formatAddress,
  parseAddress,
} from "../../channel/mod.ts";

const GOOD: readonly (readonly [string, Address])[] = [
  ["tcp:127.0.0.1:4444", { kind: "tcp", host: "127.0.0.1", port: 4444 }],
  ["tcp:vm1.example.org:1", { kind: "tcp", host: "vm1.example.org", port: 1 }],
  ["tcp:[::1]:65535", { kind: "tcp", host: "::1", port: 65535 }],
  ["tcp:[fe80::1%eth0]:7", { kind: "tcp", host: "fe80::1%eth0", port: 7 }],
  ["tcp::0", { kind: "tcp", host: "", port: 0 }],
  ["tcp:h:5,to=9", { kind: "tcp", host: "h", port: 5, to: 9 }],
  ["tcp:h:5,ipv4=on,ipv6=off", { kind: "tcp", host: "h", port: 5, ipv4: true, ipv6: false }],
  ["unix:/run/x.sock", { kind: "unix", path: "/run/x.sock" }],
  ["unix:relative,with:all", { kind: "unix", path: "relative,with:all" }],
];

for (const [text, address] of GOOD) {
  Deno.test(`parseAddress() reads ${text}`, () => {
    assertEquals(parseAddress(text), address);
    assertEquals(formatAddress(address), text);
  });
}

// The texts without "*" are what QEMU 7.2 says of the same URI.
const BAD: readonly (readonly [string, string])[] = [
  ["tcp:", "error parsing address ''"],
  ["tcp::", "error parsing port in address ':'"],
  ["tcp:127.0.0.1", "error parsing address '127.0.0.1'"],
  ["tcp:127.0.0.1:", "error parsing address '127.0.0.1:'"],
  ["tcp:[::1:44", "error parsing IPv6 address '[::1:44'"],
  ["tcp:[::1]", "error parsing IPv6 address '[::1]'"],
  [
    "tcp:127.0.0.1:abc",
    "address resolution failed for 127.0.0.1:abc: Servname not supported for ai_socktype",
  ],
  [
    "tcp:[::1]:x",
    "address resolution failed for ::1:x: Servname not supported for ai_socktype",
  ],
  [
    "tcp:::1:4444",
    "address resolution failed for ::1:4444: Servname not supported for ai_socktype",
  ],
  [
    "tcp:127.0.0.1:-1",
    "address resolution failed for 127.0.0.1:-1: Servname not supported for ai_socktype",
  ],
  [
    "tcp:host name:44",
    "address resolution failed for host name:44: Name or service not known",
  ],
  ["tcp:h:1,ipv4=off,ipv6=off", "Cannot disable IPv4 and IPv6 at same time"],
  ["unix:", "invalid Unix socket address"],
  [`unix:/${"a".repeat(107)}`, `UNIX socket path '/${"a".repeat(107)}' is too long`],
  ["bogus:1", "unknown migration protocol: bogus:1"],
  ["tcp", "unknown migration protocol: tcp"],
  ["", "unknown migration protocol: "],
  // *
  ["tcp:h:70000", "cannot use address 'h:70000': a port is a number from 0 to 65535"],
  ["tcp:[::1]:70000", "cannot use address '[::1]:70000': a port is a number from 0 to 65535"],
  [
    "tcp:h:9,to=5",
    "cannot use address 'h:9': the range of ports ends at 5, before it begins",
  ],
  ["tcp:h:9,bogus=1", "Invalid parameter 'bogus'"],
  ["tcp:h:9,ipv4=maybe", "error parsing 'ipv4' flag 'maybe'"],
  ["tcp:h\n:9", "cannot use an address with a control character in it"],
  ["fd:9", "cannot use address 'fd:9': fd: is not supported"],
];

for (const [text, message] of BAD) {
  Deno.test(`parseAddress() refuses ${JSON.stringify(text).slice(0, 40)}`, () => {
    const error = assertThrows(() => parseAddress(text), ChannelError);
    assertEquals([error.message, error.code, error.exitCode], [message, "ADDRESS_INVALID", 2]);
    assert(error.hints.length > 0);
  });
}

Deno.test("parseAddress() reads 107 bytes of unix path, not 107 characters of two", () => {
  assertEquals(parseAddress(`unix:/${"a".repeat(106)}`).kind, "unix");
  assertThrows(() => parseAddress(`unix:/${"ü".repeat(60)}`), ChannelError, "is too long");
});

Deno.test("checkAddress() refuses what was not made by parseAddress() alike", () => {
  for (const port of [-1, 65536, 1.5, NaN]) {
    assertThrows(() => checkAddress({ kind: "tcp", host: "h", port }), ChannelError, "a port is");
  }
  assertThrows(() => checkAddress({ kind: "tcp", host: "a b", port: 1 }), ChannelError);
  assertThrows(() => checkAddress({ kind: "unix", path: "" }), ChannelError);
});

Deno.test("parseAddress() reads back every address that formatAddress() writes", () => {
  const port = fc.integer({ min: 0, max: 65535 });
  const flags = fc.record({ ipv4: fc.boolean(), ipv6: fc.constant(true) }, { requiredKeys: [] });
  const host = fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6());
  fc.assert(fc.property(host, port, flags, (host, port, flags) => {
    const address: Address = { kind: "tcp", host, port, ...flags };
    assertEquals(parseAddress(formatAddress(address)), address);
  }));
});

Deno.test("parseAddress() gives an address or a ChannelError, whatever the text", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary-ascii" }),
    fc.string({ unit: fc.constantFrom(..."tcp:unix[]:1,=to.%a ") }),
  );
  fc.assert(fc.property(text, fc.boolean(), (text, tcp) => {
    try {
      parseAddress(tcp ? `tcp:${text}` : text);
    } catch (error) {
      if (!(error instanceof ChannelError)) throw error;
    }
  }));
});
