import { assertEquals, assertRejects } from "@std/assert";
import type { ByteChannel } from "../../engine/mod.ts";
import { MigrationError } from "../../migration/error.ts";
import { openQmp } from "../../migration/qmp_client.ts";
import { oneByte, pair } from "../support/channels.ts";

const GREETING = '{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}}}}\r\n';

/** Says text, then answers each command that comes with what the function makes of its id. */
async function play(
  channel: ByteChannel,
  greeting: string,
  answer: (command: { execute: string; id: number }) => string,
): Promise<void> {
  const write = (text: string) => channel.write(new TextEncoder().encode(text));
  await write(greeting);
  const buffer = new Uint8Array(4096);
  let held = "";
  for (;;) {
    const count = await channel.read(buffer);
    if (count === null) return;
    const lines = (held + new TextDecoder().decode(buffer.subarray(0, count))).split("\r\n");
    held = lines.pop()!;
    for (const line of lines) await write(answer(JSON.parse(line)));
  }
}

const accept = ({ id }: { id: number }) => `{"return": {}, "id": ${id}}\r\n`;

Deno.test("openQmp() negotiates, one byte at a time too", async () => {
  for (const cut of [(c: ByteChannel) => c, oneByte]) {
    const [a, b] = pair();
    const peer = play(b, GREETING, accept);
    const qmp = await openQmp(cut(a));
    assertEquals(qmp.version, "7.2.22");
    assertEquals(await qmp.execute("stop"), {});
    qmp.close();
    await peer;
    await assertRejects(() => qmp.execute("cont"), MigrationError, "the connection ended");
  }
});

Deno.test("execute() matches answers by id, and keeps events for later", async () => {
  const [a, b] = pair();
  const held: string[] = [];
  const peer = play(b, GREETING, ({ execute, id }) => {
    if (execute === "qmp_capabilities") return accept({ id });
    held.push(`{"id": ${id}, "return": "${execute}"}\n`);
    if (held.length < 2) return '{"event": "STOP"}\n{"event": "RESUME", "data": {"n": 1}}\n';
    return held.reverse().join("");
  });
  await using qmp = await openQmp(a);
  assertEquals(await Promise.all([qmp.execute("one"), qmp.execute("two")]), ["one", "two"]);
  assertEquals(await qmp.event("RESUME"), { event: "RESUME", data: { n: 1 } });
  assertEquals((await qmp.event("STOP")).event, "STOP");
  await assertRejects(() => qmp.event("STOP", { timeout: 20 }), MigrationError, "no event STOP");
  qmp.close();
  await peer;
});

/** What a peer says instead, and what comes of it. */
const BAD: readonly [what: string, greeting: string, answer: string, text: string][] = [
  ["nothing", "", "", "QMP: no greeting within 0.05 s"],
  ["HTTP", "HTTP/1.1 400 Bad Request\r\n", "", "this is no QMP: HTTP/1.1 400"],
  ["a number", "42\n", "", "this is no QMP: 42"],
  [
    "a refusal",
    GREETING,
    '{"id": 1, "error": {"class": "GenericError", "desc": "no\\u001b[2J"}}\n',
    "no\\u{1b}[2J",
  ],
  [
    "an error to nobody",
    GREETING,
    '{"error": {"class": "GenericError", "desc": "JSON parse error"}}\n',
    "JSON parse error",
  ],
];

for (const [what, greeting, answer, text] of BAD) {
  Deno.test(`openQmp() refuses a peer that says ${what}`, async () => {
    const [a, b] = pair();
    const peer = play(b, greeting, () => answer);
    await assertRejects(() => openQmp(a, { timeout: 50 }), MigrationError, text);
    b.close();
    await peer.catch(() => {});
  });
}

Deno.test("openQmp() does not gather a line without end", async () => {
  const [a, b] = pair(1024 * 1024);
  const chunk = new Uint8Array(1024 * 1024).fill(0x20);
  const flood = (async () => {
    for (let i = 0; i < 64; i++) await b.write(chunk);
  })();
  await assertRejects(() => openQmp(a), MigrationError, "a line is too long");
  await flood.catch(() => {});
});

Deno.test("execute() fails when the connection does, and stops at the signal", async () => {
  const [a, b] = pair();
  play(b, GREETING, ({ execute, id }) => execute === "qmp_capabilities" ? accept({ id }) : "")
    .catch(() => {});
  const qmp = await openQmp(a);
  const stop = new AbortController();
  const stopped = qmp.execute("one", undefined, { signal: stop.signal });
  const late = qmp.execute("two", undefined, { timeout: 20 });
  const lost = qmp.execute("three");
  for (const promise of [stopped, late, lost]) promise.catch(() => {});
  const reason = new MigrationError("ABORTED");
  stop.abort(reason);
  assertEquals(await assertRejects(() => stopped, MigrationError), reason);
  await assertRejects(() => late, MigrationError, "no answer to two within 0.02 s");
  b.close();
  assertEquals((await assertRejects(() => lost, MigrationError)).code, "QMP_CLOSED");
});
