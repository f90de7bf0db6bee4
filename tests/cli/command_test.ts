import { assertEquals, assertThrows } from "@std/assert";
import { BaseError, printable } from "../../base/mod.ts";
import { type Command, parseInput } from "../../cli/_command.ts";

const COMMAND: Command = {
  name: "x do",
  summary: "Does x",
  usage: "HOST…",
  examples: [["x do a", "does it"]],
  operands: { name: "HOST", min: 1, max: 2 },
  flags: [
    { name: "dir", value: "DIR", default: "pki", help: "folder" },
    { name: "dns", value: "NAME", repeat: true, help: "name" },
    { name: "days", value: "N", help: "days" },
    { name: "role", value: "ROLE", choices: ["server", "client"], help: "role" },
    { name: "json", help: "for programs" },
  ],
  run: () => Promise.resolve(0),
};

Deno.test("parseInput() reads flags before, between and behind operands", () => {
  const input = parseInput(COMMAND, [
    "--dns=a",
    "h1",
    "--dns",
    "b",
    "-dir",
    "/x",
    "--json",
    "h2",
    "--days",
    "30",
  ]);
  assertEquals(input.operands, ["h1", "h2"]);
  assertEquals(input.all("dns"), ["a", "b"]);
  assertEquals(input.get("dir"), "/x");
  assertEquals(input.on("json"), true);
  assertEquals(input.number("days", 1, 100), 30);
});

Deno.test("parseInput() keeps numbers and words after -- as they are typed", () => {
  assertEquals(parseInput(COMMAND, ["007"]).operands, ["007"]);
  assertEquals(parseInput(COMMAND, ["--", "--dns"]).operands, ["--dns"]);
  assertEquals(parseInput(COMMAND, ["h"]).get("dir"), "pki");
});

Deno.test("parseInput() takes a lone dash as the value of a flag", () => {
  const input = parseInput(COMMAND, ["h", "--dir", "-", "-dns", "-", "--json", "--", "-"]);
  assertEquals([input.get("dir"), input.all("dns"), input.on("json")], ["-", ["-"], true]);
  assertEquals(input.operands, ["h", "-"]);
});

Deno.test("parseInput() refuses wrong usage, naming the flag", () => {
  const cases: [string[], string][] = [
    [[], "missing HOST"],
    [["a", "b", "c"], "unexpected argument 'c'"],
    [["a", "--frob"], "unknown flag --frob"],
    [["a", "--frob=1"], "unknown flag --frob"],
    [["a", "-z"], "unknown flag -z"],
    [["a", "--days"], "--days needs a value (N)"],
    [["a", "--days="], "--days needs a value (N)"],
    [["a", "--days", "--json"], "--days needs a value (N)"],
    [["a", "--dir", "x", "--dir", "y"], "--dir is given twice"],
    [["a", "--role", "peer"], "--role does not take 'peer'"],
    [["a", "--no-json"], "unknown flag --no-json"],
    [["a", "--json=yes"], "--json takes no value"],
  ];
  for (const [args, text] of cases) {
    const error = assertThrows(() => parseInput(COMMAND, args), BaseError, text, args.join(" "));
    assertEquals([error.exitCode, error.hints.length], [2, 1], args.join(" "));
  }
});

Deno.test("Input.number() wants a whole number within its bounds", () => {
  for (const text of ["0", "101", "1.5", "-3", "1e2", "0x10", "ten", "99999999999999999"]) {
    const input = parseInput(COMMAND, ["a", `--days=${text}`]);
    assertThrows(() => input.number("days", 1, 100), BaseError, "whole number from 1 to 100");
  }
});

Deno.test("printable() leaves no control character to a terminal", () => {
  assertEquals(printable("a\x1b[31mb\n\u202ec"), "a\\u{1b}[31mb\\u{a}\\u{202e}c");
  assertEquals(printable("x".repeat(500)).length, 201);
});
