import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { completeLine } from "../../monitor/completion.ts";
import { allCommands, executeLine } from "../../monitor/hmp_execute.ts";
import { type JsonValue, writeJson } from "../../monitor/json.ts";
import { type JsonInput, readJson } from "../../monitor/json_stream.ts";
import { serveQmp } from "../../monitor/qmp.ts";
import { makeReadline } from "../../monitor/readline.ts";
import { pair } from "../support/channels.ts";
import { soakCount } from "../support/soak.ts";
import { QMP_LINES } from "./lines.ts";
import { sampleMonitor } from "./talk.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

function read(pieces: readonly Uint8Array[]): JsonInput[] {
  const push = readJson();
  return pieces.flatMap((piece) => [...push(piece)]);
}

const json: fc.Arbitrary<JsonValue> = fc.letrec<{ value: JsonValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(null, true, false),
    fc.maxSafeInteger(),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n })
      .map((n) => Number.isSafeInteger(Number(n)) ? Number(n) : n),
    fc.string({ unit: "binary" }),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(fc.string(), tie("value"), { maxKeys: 4 }).map((o) => ({ ...o })),
  ),
})).value;

Deno.test("readJson() gives back what writeJson() has written, in any cut", () => {
  fc.assert(
    fc.property(json, fc.nat(40), (value, cut) => {
      const text = bytes(`[${writeJson(value)}]`);
      const at = Math.min(cut, text.length);
      assertEquals(read([text.subarray(0, at), text.subarray(at)]), [{
        kind: "value",
        value: [value],
      }]);
    }),
    { numRuns: soakCount(5000) },
  );
});

/** Lines of QMP with some of their bytes changed, lost or doubled. */
const broken = fc.tuple(
  fc.constantFrom(...QMP_LINES.filter((line) => line.length < 200)),
  fc.array(fc.tuple(fc.nat(200), fc.nat(255), fc.constantFrom("set", "drop", "add")), {
    maxLength: 6,
  }),
).map(([line, changes]) => {
  const all = [...bytes(`${line}\n`)];
  for (const [where, byte, what] of changes) {
    const at = where % (all.length + 1);
    if (what === "set") all[at] = byte;
    else if (what === "drop") all.splice(at, 1);
    else all.splice(at, 0, byte);
  }
  return Uint8Array.from(all);
});

Deno.test("readJson() gives values and errors, whatever the bytes, and recovers", () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(broken, fc.uint8Array({ maxLength: 60 }))), (pieces) => {
      const inputs = read([
        ...pieces,
        Uint8Array.of(0),
        bytes("]".repeat(64)),
        bytes("}".repeat(64)),
      ]);
      for (const input of inputs) assert(input.kind === "value" || input.text.startsWith("JSON "));
      // 0xff ends whatever was begun.
      const push = readJson();
      for (const piece of pieces) [...push(piece)];
      [...push(Uint8Array.of(0xff, 0x0a))];
      assertEquals([...push(bytes(`{"a": 1}`))].at(-1), { kind: "value", value: { a: 1 } });
    }),
    { numRuns: soakCount(5000) },
  );
});

Deno.test("serveQmp() answers broken lines with lines of JSON, and the good one behind them", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(broken, { maxLength: 8 }), async (lines) => {
      const [client, server] = pair(1024 * 1024);
      const serving = serveQmp(server, sampleMonitor());
      await client.write(bytes(`{"execute":"qmp_capabilities"}`));
      for (const line of lines) await client.write(line);
      await client.write(bytes(`\xff\n{"execute":"query-kvm","id":"last"}`));
      await client.write(bytes(`{"execute":"quit"}`));
      await serving;
      const buffer = new Uint8Array(1024 * 1024);
      let output = "";
      for (;;) {
        const count = await client.read(buffer);
        if (count === null) break;
        output += new TextDecoder().decode(buffer.subarray(0, count));
      }
      for (const line of output.trim().split("\r\n")) assert(/^\{.*\}$/.test(line), line);
      // Unless one of the broken lines was `quit` itself.
      assert(/"id": "last"/.test(output) || /SHUTDOWN/.test(output), output);
    }),
    { numRuns: soakCount(2000) },
  );
});

const SESSION = {
  signal: new AbortController().signal,
  mayWait: true,
  descriptors: { set: () => {}, take: () => undefined, [Symbol.dispose]: () => {} },
  takeDescriptor: () => undefined,
};

Deno.test("the human monitor prints lines, whatever is typed", async () => {
  const monitor = sampleMonitor();
  const commands = allCommands(monitor);
  const words = fc.constantFrom(
    "info",
    "status",
    "migrate",
    "-d",
    '"',
    "help",
    "x",
    " ",
    "\\",
    "c",
  );
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(fc.string({ unit: "binary" }), fc.array(words).map((all) => all.join(" "))),
      async (line) => {
        const output = await executeLine(monitor, line, SESSION);
        assert(output === "" || output.endsWith("\n"), output);
        completeLine(commands, line);
      },
    ),
    { numRuns: soakCount(5000) },
  );
});

Deno.test("makeReadline() shows the line that it holds, whatever the keys", () => {
  const key = fc.oneof(
    fc.string({ unit: "grapheme-ascii", minLength: 1, maxLength: 1 }),
    fc.constantFrom(
      ...["\x01", "\x04", "\x05", "\x08", "\t", "\x0c", "\r", "\x17", "\x7f", "\x1b[A", "\x1b[B"],
      ...["\x1b[C", "\x1b[D", "\x1b[3~", "\x1b[1~", "\x1b[4~", "\x1bOH", "\x1bOF", "\x1b[99999~"],
    ),
  );
  fc.assert(
    fc.property(fc.array(key, { maxLength: 60 }), (keys) => {
      let screen = "";
      const line = makeReadline({
        prompt: "> ",
        print: (text) => screen += text,
        complete: () => ({ prefix: "", words: ["one", "other"] }),
      });
      line.prompt();
      const typed: string[] = [];
      for (const one of keys.flatMap((key) => [...key])) {
        const entered = line.push(one);
        if (entered === undefined) continue;
        typed.push(entered);
        line.prompt();
      }
      // To the end of the line, and out.
      for (const one of ["\x1b", "x", "\x05"]) line.push(one);
      const shown = lastLine(screen);
      const last = line.push("\r")!;
      assertEquals(shown, `> ${last}`);
      assertEquals(new Set(line.history), new Set([...typed, last].filter((one) => one !== "")));
    }),
    { numRuns: soakCount(5000) },
  );
});

/** What a terminal shows in the line of its cursor. */
function lastLine(output: string): string {
  let [cells, cursor]: [string[], number] = [[], 0];
  // deno-lint-ignore no-control-regex
  for (const [, escape, character] of output.matchAll(/\x1b\[([\d;]*[A-Z])|([\s\S])/g)) {
    if (escape === "D") cursor = Math.max(0, cursor - 1);
    else if (escape === "C") cursor++;
    else if (escape === "K") cells.length = Math.min(cells.length, cursor);
    else if (escape !== undefined || character === "\n") [cells, cursor] = [[], 0];
    else cells[cursor++] = character!;
  }
  return cells.join("");
}
