import { assertEquals, assertThrows } from "@std/assert";
import { MigrationError } from "../../migration/error.ts";
import { pongMessage, readReturnPath, shutMessage } from "../../migration/return_path.ts";
import { hex, joined } from "./streams.ts";

Deno.test("shutMessage() and pongMessage() write what a real destination writes", () => {
  assertEquals(
    joined([pongMessage(1), shutMessage(0)]),
    hex("0002000400000001 0001000400000000"),
  );
});

Deno.test("readReturnPath() reads every message, however it is cut", () => {
  const bytes = hex(
    "0002000400000001" + "0003000f 0000000000001000 00001000 02 7063" +
      "0004000c 0000000000002000 00001000" + "00060004 00000001" + "00070000" + "0001000400000005",
  );
  const expected = [
    { kind: "pong", value: 1 },
    { kind: "other", type: 3 },
    { kind: "other", type: 4 },
    { kind: "other", type: 6 },
    { kind: "other", type: 7 },
    { kind: "shut", value: 5 },
  ];
  for (const step of [bytes.length, 1, 3, 7]) {
    const read = readReturnPath();
    const messages = [];
    for (let at = 0; at < bytes.length; at += step) {
      messages.push(...read(bytes.subarray(at, at + step)));
    }
    assertEquals(messages, expected as typeof messages);
  }
});

Deno.test("readReturnPath() refuses what is no message, before it has come whole", () => {
  const cases: [string, string][] = [
    ["00000000", "RP: Received invalid message 0x0000 length 0x0000"],
    ["00080004", "RP: Received invalid message 0x0008 length 0x0004"],
    ["00030201", "RP: Received invalid message 0x0003 length 0x0201"],
    ["00020003", "RP: Received message 0x0002 with incorrect length 3 expecting 4"],
    ["0005000a", "RP: Received invalid message 0x0005 length 0x000a"],
  ];
  for (const [bytes, text] of cases) {
    assertThrows(() => readReturnPath()(hex(bytes)), MigrationError, text);
  }
});
