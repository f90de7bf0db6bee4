import { assertEquals, assertThrows } from "@std/assert";
import { parseMonitorAddress } from "../../monitor/address.ts";

Deno.test("parseMonitorAddress() takes what QEMU takes behind -qmp and -monitor", () => {
  const unix = { kind: "unix", path: "/run/q" } as const;
  const tcp = { kind: "tcp", host: "127.0.0.1", port: 4444 } as const;
  const rows: [text: string, expected: unknown][] = [
    ["stdio", { kind: "stdio" }],
    ["unix:/run/q", { kind: "socket", address: unix, server: false, wait: false }],
    ["unix:/run/q,server=on", { kind: "socket", address: unix, server: true, wait: true }],
    ["unix:/run/q,server=on,wait=off", {
      kind: "socket",
      address: unix,
      server: true,
      wait: false,
    }],
    ["unix:/run/q,server,nowait", { kind: "socket", address: unix, server: true, wait: false }],
    ["tcp:127.0.0.1:4444,server=on,wait=on", {
      kind: "socket",
      address: tcp,
      server: true,
      wait: true,
    }],
    ["tcp:127.0.0.1:4444,server=off", { kind: "socket", address: tcp, server: false, wait: false }],
    [
      "tcp:127.0.0.1:4444,server=on,ipv6=off,wait=off",
      { kind: "socket", address: { ...tcp, ipv6: false }, server: true, wait: false },
    ],
  ];
  for (const [text, expected] of rows) assertEquals(parseMonitorAddress(text), expected, text);
});

Deno.test("parseMonitorAddress() refuses what it would not honour", () => {
  const rows: [text: string, message: string][] = [
    ["", "'' is no address of it"],
    ["pty", "'pty' is no address of it"],
    ["exec:rm,server=on", "'exec:rm,server=on' is no address of it"],
    ["unix:/run/q,server=maybe", "Parameter 'server' expects 'on' or 'off'"],
    ["unix:/run/q,wait=off", "'wait' option is incompatible with socket in client connect mode"],
    ["unix:,server=on", "invalid Unix socket address"],
    ["tcp:1,server=on", "error parsing address '1'"],
  ];
  for (const [text, message] of rows) {
    assertThrows(() => parseMonitorAddress(text), Error, message, text);
  }
});
