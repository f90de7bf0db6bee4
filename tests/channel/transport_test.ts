import { assert, assertEquals, assertThrows } from "@std/assert";
import { parseAddress } from "../../channel/address.ts";
import { ChannelError } from "../../channel/error.ts";
import { formatTransport, parseTransport, type Transport } from "../../channel/transport.ts";

Deno.test("parseTransport() reads what a migration can go over, and formatTransport() writes it", () => {
  const rows: [text: string, transport: Transport][] = [
    ["exec: cat >x", { kind: "exec", command: " cat >x" }],
    ["exec:a:b", { kind: "exec", command: "a:b" }],
    ["tcp:h:1", { kind: "tcp", host: "h", port: 1 }],
    ["unix:/x", { kind: "unix", path: "/x" }],
    ["fd:9", { kind: "fd", name: "9" }],
    ["fd:migrate-0", { kind: "fd", name: "migrate-0" }],
    ["file:/a,b", { kind: "file", path: "/a,b", offset: 0 }],
    ["file:/a,offset=4096", { kind: "file", path: "/a", offset: 4096 }],
  ];
  for (const [text, transport] of rows) {
    assertEquals(parseTransport(text), transport);
    assertEquals(formatTransport(transport), text);
  }
  assertEquals(parseTransport("file:x,offset=0x10K"), { kind: "file", path: "x", offset: 16384 });
});

Deno.test("parseTransport() refuses what is none, and says how to write one", () => {
  const rows: [text: string, message: string][] = [
    ["exec:", "it names no command"],
    ["exec:  ", "it names no command"],
    ["exec:a\0b", "it names no command"],
    ["bogus:1", "unknown migration protocol: bogus:1"],
    ["fd:", "it names no descriptor"],
    ["fd:-1", "it names no descriptor"],
    ["fd:a b", "it names no descriptor"],
    ["file:", "it names no file"],
    ["file:,offset=1", "it names no file"],
    ["file:/x,offset=", "file URI has bad offset "],
    ["file:/x,offset=-1", "file URI has bad offset -1"],
    ["file:/x,offset=99999999999999999", "file URI has bad offset 99999999999999999"],
    ["vsock:1:2", "vsock: is not supported"],
    ["rdma:h:1", "rdma: is not supported"],
  ];
  for (const [text, message] of rows) {
    const error = assertThrows(() => parseTransport(text), ChannelError, message);
    assert(error.hints.length > 0, text);
  }
});

Deno.test("parseAddress() is for sockets alone", () => {
  for (const text of ["exec:cat", "fd:3", "file:/x"]) {
    assertThrows(() => parseAddress(text), ChannelError, "is not supported");
  }
});
