import { assert, assertEquals, assertMatch } from "@std/assert";
import { MonitorError } from "../../monitor/error.ts";
import { makeEventHub, qmpCommand } from "../../monitor/command.ts";
import { MAX_JSON_BYTES } from "../../monitor/json_stream.ts";
import { serveQmp } from "../../monitor/qmp.ts";
import {
  listOf,
  oneOf,
  optional,
  struct,
  text,
  textOrNull,
  unsigned,
} from "../../monitor/shape.ts";
import { pair } from "../support/channels.ts";
import { sampleMonitor, serveForTest, talkQmp } from "./talk.ts";

/** Sends lines to a monitor of ours and gives the answers behind the negotiation's. */
async function ask(
  monitor: ReturnType<typeof sampleMonitor>,
  lines: readonly string[],
): Promise<string[]> {
  await using served = await serveForTest("qmp", monitor);
  const answers = await talkQmp(served.path, lines);
  return answers.slice(2, -1);
}

const SET = qmpCommand({
  name: "set",
  members: {
    name: text,
    size: optional(unsigned(8)),
    host: optional(textOrNull),
    list: optional(listOf(struct({ kind: oneOf(["a", "b"]) }))),
  },
  run: (args) => ({
    name: args.name,
    size: args.size ?? "none",
    host: args.host ?? "none",
    kinds: args.list?.map(({ kind }) => kind) ?? [],
  }),
});

/** Arguments of `set`, and what QEMU's checks of their like say. */
const ARGUMENTS: readonly [args: string, answer: string][] = [
  [`{}`, "Parameter 'name' is missing"],
  [`{"name":1}`, "Invalid parameter type for 'name', expected: string"],
  [`{"name":"x","size":256}`, "Parameter 'size' expects uint8_t"],
  [`{"name":"x","size":-1}`, "Parameter 'size' expects uint8_t"],
  [`{"name":"x","size":"1"}`, "Parameter 'size' expects uint64"],
  [`{"name":"x","size":1.5}`, "Parameter 'size' expects uint64"],
  [`{"name":"x","host":1}`, "Invalid parameter type for 'host', expected: StrOrNull"],
  [`{"name":"x","list":{}}`, "Invalid parameter type for 'list', expected: array"],
  [`{"name":"x","list":[1]}`, "Invalid parameter type for 'list[0]', expected: object"],
  [`{"name":"x","list":[{"kind":"a"},{}]}`, "Parameter 'list[1].kind' is missing"],
  [`{"name":"x","list":[{"kind":"c"}]}`, "Parameter 'kind' does not accept value 'c'"],
  [`{"name":"x","list":[{"kind":"a","z":1}]}`, "Parameter 'list[0].z' is unexpected"],
  [`{"name":"x","other":1}`, "Parameter 'other' is unexpected"],
  [`{"name":"x","__proto__":1}`, "Parameter '__proto__' is unexpected"],
];

Deno.test("qmpCommand() checks its arguments with QEMU's messages", async () => {
  const lines = ARGUMENTS.map(([args]) => `{"execute":"set","arguments":${args}}`);
  const answers = await ask(sampleMonitor({ qmp: [SET] }), lines);
  assertEquals(
    answers.map((answer) => JSON.parse(answer).error.desc),
    ARGUMENTS.map(([, desc]) => desc),
  );
  const good = `{"name":"x","size":255,"host":null,"list":[{"kind":"b"}]}`;
  assertEquals(
    await ask(sampleMonitor({ qmp: [SET] }), [`{"execute":"set","arguments":${good}}`]),
    [
      `{"return": {"name": "x", "size": 255, "host": "", "kinds": ["b"]}}`,
    ],
  );
});

Deno.test("serveQmp() gives an error its class and its text", async () => {
  const fail = (name: string, error: MonitorError) =>
    qmpCommand({ name, run: () => Promise.reject(error) });
  const answers = await ask(
    sampleMonitor({
      qmp: [
        fail("generic", new MonitorError("GENERIC", { text: "no", hint: "a hint" })),
        fail("device", new MonitorError("DEVICE_NOT_FOUND", { value: "/x" })),
      ],
    }),
    [`{"execute":"generic","id":[1]}`, `{"execute":"device"}`],
  );
  assertEquals(answers, [
    `{"id": [1], "error": {"class": "GenericError", "desc": "no"}}`,
    `{"error": {"class": "DeviceNotFound", "desc": "Device '/x' not found"}}`,
  ]);
});

Deno.test("serveQmp() sends events once a client has negotiated, with their time", async () => {
  const events = makeEventHub(["STOP"]);
  const monitor = sampleMonitor({ events });
  const [client, server] = pair();
  const serving = serveQmp(server, monitor);
  const buffer = new Uint8Array(4096);
  const line = async () => {
    const count = await client.read(buffer);
    return JSON.parse(new TextDecoder().decode(buffer.subarray(0, count!)));
  };
  assert("QMP" in await line());
  events.emit("STOP");
  await client.write(new TextEncoder().encode(`{"execute":"qmp_capabilities"}`));
  assertEquals(await line(), { return: {} });
  const before = Date.now() / 1000;
  events.emit("STOP", { reason: "test" });
  const { timestamp, ...event } = await line();
  assertEquals(event, { event: "STOP", data: { reason: "test" } });
  assert(Math.abs(timestamp.seconds - before) < 60);
  assert(Number.isInteger(timestamp.microseconds) && timestamp.microseconds < 1e6);
  client.close();
  await serving;
  // Nobody is told any more.
  events.emit("STOP");
});

Deno.test("serveQmp() puts up with what is too long, and goes on behind it", async () => {
  const answers = await ask(sampleMonitor(), [
    `"${"x".repeat(MAX_JSON_BYTES + 10)}"`,
    `[${"1,".repeat(70_000)}1]`,
    `{"execute":"query-kvm"}`,
  ]);
  const errors = answers.filter((answer) => answer.includes("limit exceeded"));
  assertMatch(errors[0]!, /JSON token size limit exceeded/);
  assertMatch(errors[1]!, /JSON token count limit exceeded/);
  assertEquals(answers.at(-1), `{"return": {"enabled": false, "present": true}}`);
});

Deno.test("serveQmp() tells its commands, events and types", async () => {
  const [commands, schema] = await ask(sampleMonitor({ qmp: [SET] }), [
    `{"execute":"query-commands"}`,
    `{"execute":"query-qmp-schema"}`,
  ]);
  const names = JSON.parse(commands!).return.map(({ name }: { name: string }) => name);
  for (const name of ["qmp_capabilities", "quit", "set", "query-version"]) {
    assert(names.includes(name));
  }
  type Entry = {
    name: string;
    "meta-type": string;
    "arg-type"?: string;
    members?: { type: string }[];
  };
  const entries: Entry[] = JSON.parse(schema!).return;
  const find = (name: string) => entries.find((entry) => entry.name === name)!;
  assertEquals(find("STOP")["meta-type"], "event");
  const args = find(find("set")["arg-type"]!);
  assertEquals(args["meta-type"], "object");
  // Every type that is named is there.
  for (const { type } of args.members!) assert(find(type) !== undefined, type);
});
