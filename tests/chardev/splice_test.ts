import { assertEquals, assertRejects } from "@std/assert";
import { ChannelError } from "../../channel/mod.ts";
import { sendTyped, splice, stdioEnd } from "../../chardev/mod.ts";
import type { ByteChannel } from "../../engine/mod.ts";
import { pair, readExactly, readToEnd, tcpPair } from "../support/channels.ts";
import { testLocal } from "./local.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array) => new TextDecoder().decode(data);

/** The same channel, and what each write was. */
function recorded(channel: ByteChannel): [ByteChannel, string[]] {
  const writes: string[] = [];
  const write = (data: Uint8Array) => {
    writes.push(text(data));
    return channel.write(data);
  };
  return [{ ...channel, write }, writes];
}

Deno.test("sendTyped() gives the last byte a record of its own", async () => {
  for (const [typed, ...records] of [["h", "h"], ["hello", "hell", "o"], [""]] as const) {
    const [here, there] = pair();
    const [channel, writes] = recorded(here);
    await sendTyped(channel, bytes(typed));
    assertEquals(writes, records);
    assertEquals(text(await readExactly(there, typed.length)), typed);
  }
});

Deno.test("splice() passes bytes both ways and ends with its peer", async () => {
  const [here, there] = await tcpPair();
  const local = testLocal();
  const copies: string[] = [];
  const joined = splice(here, local, { onReceived: (data) => copies.push(text(data)) });
  local.type("to the peer");
  assertEquals(text(await readExactly(there, 11)), "to the peer");
  await there.write(bytes("to the console"));
  await local.until("to the console");
  there.close();
  assertEquals(await joined, { by: "peer", received: 14, sent: 11 });
  assertEquals(copies.join(""), "to the console");
});

Deno.test("splice() sends one write for what is typed without TLS", async () => {
  const [here, there] = pair();
  const [channel, writes] = recorded(here);
  const local = testLocal();
  const joined = splice(channel, local, { quiet: 1 });
  local.type("hello");
  local.end();
  assertEquals(text(await readToEnd(there)), "hello");
  there.close();
  await joined;
  assertEquals(writes, ["hello"]);
});

Deno.test("splice() passes the answer to the last input on before it ends the stream", async () => {
  const [here, there] = await tcpPair();
  const local = testLocal();
  const joined = splice(here, local, { quiet: 300 });
  local.type("question");
  local.end();
  await readExactly(there, 8);
  // A QEMU hangs up when it reads the end: had it come by now, there would be no answer.
  await new Promise((resolve) => setTimeout(resolve, 100));
  await there.write(bytes("answer"));
  assertEquals((await readToEnd(there)).length, 0);
  await there.write(bytes(" and more"));
  there.close();
  assertEquals(await joined, { by: "local", received: 15, sent: 8 });
  assertEquals(local.shown(), "answer and more");
});

Deno.test("splice() leaves a peer that stays open and silent after the local end", async () => {
  const [here, there] = await tcpPair();
  const local = testLocal();
  local.type("x");
  local.end();
  assertEquals(await splice(here, local, { quiet: 20 }), { by: "local", received: 0, sent: 1 });
  assertEquals(text(await readToEnd(there)), "x");
  there.close();
});

Deno.test("splice() only listens when the local input is empty", async () => {
  const [here, there] = await tcpPair();
  const local = testLocal();
  local.end();
  const joined = splice(here, local, { quiet: 1 });
  await new Promise((resolve) => setTimeout(resolve, 50));
  await there.write(bytes("still heard"));
  there.close();
  assertEquals(await joined, { by: "peer", received: 11, sent: 0 });
  assertEquals(local.shown(), "still heard");
});

Deno.test("splice() ends at the escape byte and sends what was typed before it", async () => {
  const [here, there] = await tcpPair();
  const local = testLocal();
  local.type("bye\x1d never");
  assertEquals(await splice(here, local, { escape: 0x1d }), {
    by: "escape",
    received: 0,
    sent: 3,
  });
  assertEquals(text(await readToEnd(there)), "bye");
  there.close();
});

Deno.test("splice() sends the escape byte where it is none", async () => {
  const [here, there] = await tcpPair();
  const local = testLocal();
  const joined = splice(here, local);
  local.type("\x1d");
  assertEquals(text(await readExactly(there, 1)), "\x1d");
  there.close();
  await joined;
});

Deno.test("splice() closes the connection when it is aborted", async () => {
  const [here, there] = await tcpPair();
  const stop = new AbortController();
  const joined = splice(here, testLocal(), { signal: stop.signal });
  stop.abort(new Error("enough"));
  await assertRejects(() => joined, Error, "enough");
  assertEquals((await readToEnd(there)).length, 0);
  there.close();
});

Deno.test("splice() shows what a peer left behind that reads no more", async () => {
  const [here, there] = pair();
  const local = testLocal();
  const broken: ByteChannel = {
    ...here,
    write: () => Promise.reject(new Error("Broken pipe")),
  };
  const joined = splice(broken, local, { quiet: 500 });
  local.type("x");
  await there.write(bytes("last words"));
  there.close();
  assertEquals((await joined).by, "peer");
  assertEquals(local.shown(), "last words");
});

Deno.test("splice() says how the connection broke", async () => {
  const [here, there] = await tcpPair();
  const error = new ChannelError("CHANNEL_READ", { cause: "Connection reset by peer" });
  const broken: ByteChannel = { ...here, read: () => Promise.reject(error) };
  assertEquals(await splice(broken, testLocal(), { quiet: 1 }), {
    by: "fault",
    error,
    received: 0,
    sent: 0,
  });
  assertEquals((await readToEnd(there)).length, 0);
  there.close();
});

Deno.test("splice() takes a reader that has gone for the end of the local side", async () => {
  const gone = () => Promise.reject(new Deno.errors.BrokenPipe("Broken pipe"));
  {
    const [here, there] = await tcpPair();
    const joined = splice(here, { ...testLocal(), write: gone });
    await there.write(bytes("x"));
    assertEquals(await joined, { by: "local", received: 1, sent: 0 });
    assertEquals((await readToEnd(there)).length, 0);
    there.close();
  }
  const [here, there] = await tcpPair();
  const local = testLocal();
  const joined = splice(here, { ...local, write: gone }, { quiet: 1_000_000 });
  local.type("question");
  local.end();
  await readExactly(there, 8);
  await there.write(bytes("answer"));
  assertEquals(await joined, { by: "local", received: 6, sent: 8 });
  there.close();
});

Deno.test("splice() rejects when the output fails", async () => {
  const [here, there] = pair();
  const local = { ...testLocal(), write: () => Promise.reject(new Error("disk full")) };
  await there.write(bytes("x"));
  await assertRejects(() => splice(here, local, { quiet: 1 }), Error, "disk full");
});

Deno.test("stdioEnd() keeps what was typed for the next connection when a read is aborted", async () => {
  const gate = Promise.withResolvers<void>();
  let reads = 0;
  const input = {
    async read(into: Uint8Array) {
      if (++reads > 1) return null;
      await gate.promise;
      into.set(bytes("kept"));
      return 4;
    },
  };
  const written: string[] = [];
  const output = {
    write(data: Uint8Array) {
      written.push(text(data.subarray(0, 2)));
      return Promise.resolve(Math.min(2, data.length));
    },
  };
  const local = stdioEnd({ input, output });
  const first = new AbortController();
  const given = local.read(first.signal);
  first.abort(new Error("left"));
  await assertRejects(() => given, Error, "left");
  gate.resolve();
  const { signal } = new AbortController();
  assertEquals(text((await local.read(signal))!), "kept");
  assertEquals(await local.read(signal), null);
  assertEquals(await local.read(signal), null);
  assertEquals(reads, 2);
  await local.write(bytes("abcde"));
  assertEquals(written, ["ab", "cd", "e"]);
});
