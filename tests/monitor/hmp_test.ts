import { assert, assertEquals } from "@std/assert";
import { serveHmp } from "../../monitor/hmp.ts";
import { executeLine } from "../../monitor/hmp_execute.ts";
import type { HmpCommand, MonitorSession } from "../../monitor/command.ts";
import { MonitorError } from "../../monitor/error.ts";
import { pair } from "../support/channels.ts";
import { sampleMonitor } from "./talk.ts";

const SESSION: MonitorSession = {
  signal: new AbortController().signal,
  mayWait: true,
  descriptors: { set: () => {}, take: () => undefined, [Symbol.dispose]: () => {} },
  takeDescriptor: () => undefined,
};

/** A command that shows what it was given. */
const SHOW: HmpCommand = {
  name: "show",
  parameters: [
    { kind: "flag", name: "all", letter: "a" },
    { kind: "string", name: "word" },
    { kind: "int", name: "count", optional: true },
  ],
  usage: "[-a] word [count]",
  help: "show them",
  run: (args) =>
    `${args.on("all")} '${args.get("word")}' ${args.has("count")} ${args.get("count")}`,
};

/** What is typed, and what is printed; QEMU's own lines are compared with QEMU itself. */
const LINES: readonly [line: string, output: string][] = [
  [`show -a "a b\\"\\n" 0x10`, `true 'a b"\n' true 16\n`],
  ["show  x ", "false 'x' false \n"],
  [`show "x`, 'unterminated string\nshow: string expected\nTry "help show" for more information\n'],
  [
    `show "\\q"`,
    "unsupported escape code: '\\q'\nshow: string expected\n" +
    'Try "help show" for more information\n',
  ],
  ["show x y", `invalid char 'y' in expression\nTry "help show" for more information\n`],
  ["help show", "show [-a] word [count] -- show them\n"],
  ["fail", "Error: no\nhint: mend it\n"],
  ["\x1b[31m", "unknown command: '\\u{1b}[31m'\n"],
];

Deno.test("executeLine() reads words, flags and numbers as QEMU's monitor does", async () => {
  const fail: HmpCommand = {
    name: "fail",
    help: "",
    run: () => Promise.reject(new MonitorError("GENERIC", { text: "no", hint: "mend it" })),
  };
  const monitor = sampleMonitor({ hmp: [SHOW, fail] });
  for (const [line, output] of LINES) {
    assertEquals(await executeLine(monitor, line, SESSION), output, line);
  }
});

/** Sends pieces to a monitor for a pipe and gives what it wrote. */
async function pipe(pieces: readonly string[], monitor = sampleMonitor()): Promise<string> {
  const [client, server] = pair(1024 * 1024);
  const serving = serveHmp(server, monitor, { edits: false });
  for (const piece of pieces) await client.write(new TextEncoder().encode(piece));
  await client.closeWrite();
  await serving;
  const buffer = new Uint8Array(1024 * 1024);
  let output = "";
  for (;;) {
    const count = await client.read(buffer);
    if (count === null) return output;
    output += new TextDecoder().decode(buffer.subarray(0, count));
  }
}

Deno.test("serveHmp() echoes nothing to a pipe", async () => {
  const output = await pipe(["info sta", "tus\r\n\n"]);
  assertEquals(
    output.replace(/^virtcreds \S+/, "virtcreds X"),
    [
      "virtcreds X monitor - type 'help' for more information",
      "(qemu) VM status: paused (prelaunch)",
      "(qemu) (qemu) ",
      "",
    ].join("\n"),
  );
});

Deno.test("serveHmp() ends at quit, and leaves what stands behind it", async () => {
  for (const quit of ["quit", "q", " quit "]) {
    const done: string[] = [];
    const note: HmpCommand = { name: "note", help: "", run: () => void done.push("note") };
    const monitor = sampleMonitor({ hmp: [note], quit: () => done.push("quit") });
    await pipe([`note\n${quit}\nnote\n`], monitor);
    assertEquals(done, ["note", "quit"]);
  }
});

Deno.test("serveHmp() skips a line that is too long to its end, and says so", async () => {
  const long = `info ${"x".repeat(5000)}`;
  const rows: [pieces: string[], notes: number][] = [
    // The head in one piece, a command in the tail in another.
    [[long, "\nnote\n"], 1],
    [[long, "note\n", "note\n"], 1],
    [[long, " ", "note", "\r\n"], 0],
    [[`${long}\nnote\n`], 1],
    [[long], 0],
  ];
  for (const [pieces, expected] of rows) {
    let notes = 0;
    const note: HmpCommand = { name: "note", help: "", run: () => void notes++ };
    const output = await pipe(pieces, sampleMonitor({ hmp: [note] }));
    assertEquals(notes, expected);
    assertEquals(output.match(/line too long: .* 4095 characters/g)?.length, 1, output);
  }
});

Deno.test("help and info list the commands in their order", async () => {
  const monitor = sampleMonitor();
  const help = await executeLine(monitor, "help", SESSION);
  assertEquals(await executeLine(monitor, "?", SESSION), help);
  const names = help.split("\n").slice(0, -1).map((line) => line.split(" ")[0]!);
  assertEquals(names, [...names].sort());
  assert(names.includes("info") && names.includes("quit|q") && names.includes("help|?"));
  const info = await executeLine(monitor, "info", SESSION);
  assertEquals(await executeLine(monitor, "help info", SESSION), info);
  assert(info.includes("info status  -- show the current VM status (running|paused)\n"), info);
});
