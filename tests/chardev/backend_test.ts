import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type Backend,
  ChardevError,
  joinEnds,
  openBackend,
  parseAnyChardev,
  type RingBuffer,
  ringBuffer,
  type SocketEvents,
  stdioEnd,
} from "../../chardev/mod.ts";
import { ObjectRegistry } from "../../creds/mod.ts";
import type { Engine } from "../../engine/mod.ts";
import { temporaryDirectory } from "../support/temp.ts";

/** No test here starts TLS. */
const NO_OBJECTS = new ObjectRegistry({ engine: undefined as unknown as Engine });
const NEVER = new AbortController().signal;

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array | null) => new TextDecoder().decode(data!);

function open(spec: string, events: Partial<SocketEvents> = {}): Promise<Backend> {
  return openBackend(parseAnyChardev(spec, { id: "b0", device: "" }), {
    objects: NO_OBJECTS,
    events: {
      listening() {},
      connected() {},
      left() {},
      refused() {},
      retrying() {},
      logFailed() {},
      ...events,
    },
  });
}

/** Reads until so many bytes came. */
async function readText(end: Backend, length: number): Promise<string> {
  let all = "";
  while (all.length < length) {
    const chunk = await end.read(NEVER);
    assert(chunk !== null, `it ended after ${all}`);
    all += text(chunk);
  }
  return all;
}

Deno.test("a pty passes bytes both ways, raw, to whoever opens it, and to the next", async () => {
  await using end = await open("pty");
  const path = /^pty:(\/dev\/pts\/\d+)$/.exec(end.filename)?.[1];
  assert(path !== undefined, end.filename);
  // Nobody has it open: that is dropped, and does not fill it up.
  for (let i = 0; i < 100; i++) await end.write(new Uint8Array(4096));
  for (const word of ["first", "second"]) {
    using terminal = Deno.openSync(path, { read: true, write: true });
    await terminal.write(bytes(`${word}\x03\r\n`));
    assertEquals(await readText(end, word.length + 3), `${word}\x03\r\n`);
    await end.write(bytes(`${word} to it\n`));
    const buffer = new Uint8Array(100);
    const count = await terminal.read(buffer);
    assertEquals(text(buffer.subarray(0, count!)), `${word} to it\n`);
  }
});

Deno.test("a pty whose read is pending closes", async () => {
  const end = await open("pty");
  const reading = end.read(NEVER);
  await end[Symbol.asyncDispose]();
  assertEquals(await reading, null);
});

Deno.test("a file takes what is written, anew or behind what it has", async () => {
  using folder = temporaryDirectory();
  const path = `${folder.path}/f`;
  for (
    const [more, written, expected] of [
      ["", "one", "one"],
      [",append=on", "two", "onetwo"],
      ["", "3", "3"],
    ] as const
  ) {
    await using end = await open(`file,path=${path}${more}`);
    await end.write(bytes(written));
    assertEquals(Deno.readTextFileSync(path), expected);
  }
  const error = await assertRejects(() => open(`file:${folder.path}/none/f`), ChardevError);
  assertEquals(error.message, `Could not open '${folder.path}/none/f': No such file or directory`);
  assertEquals(error.exitCode, 1);
});

Deno.test("a pipe reads from PATH.in and writes to PATH.out, or uses PATH for both", async () => {
  using folder = temporaryDirectory();
  const path = `${folder.path}/p`;
  const made = await new Deno.Command("mkfifo", { args: [`${path}.in`, `${path}.out`, `${path}2`] })
    .output();
  assert(made.success);
  await using end = await open(`pipe:${path}`);
  using output = Deno.openSync(`${path}.out`, { read: true, write: true });
  using input = Deno.openSync(`${path}.in`, { read: true, write: true });
  await input.write(bytes("typed"));
  assertEquals(await readText(end, 5), "typed");
  await end.write(bytes("shown"));
  const buffer = new Uint8Array(100);
  assertEquals(text(buffer.subarray(0, (await output.read(buffer))!)), "shown");
  await using both = await open(`pipe:${path}2`);
  await both.write(bytes("echo"));
  assertEquals(await readText(both, 4), "echo");
  const error = await assertRejects(() => open(`pipe:${path}3`), ChardevError);
  assertEquals(error.message, `Could not open '${path}3': No such file or directory`);
});

Deno.test("a command is read and written, and its end is one", async () => {
  await using end = await open("exec:head -n 1 | tr a-z A-Z");
  await end.write(bytes("upper\n"));
  assertEquals(await readText(end, 6), "UPPER\n");
  assertEquals(await end.read(NEVER), null);
});

Deno.test("null takes everything and says nothing", async () => {
  await using end = await open("null");
  assertEquals(end.filename, "null");
  await end.write(new Uint8Array(1 << 20));
  const stop = new AbortController();
  const reading = end.read(stop.signal);
  stop.abort(new Error("enough"));
  await assertRejects(() => reading, Error, "enough");
});

Deno.test("ringBuffer() keeps the last bytes, whatever the sizes of the writes", async () => {
  const ring = ringBuffer(8);
  let all = "";
  for (const part of ["ab", "cdefgh", "i", "jklmnopqrstuvwx", "", "yz"]) {
    await ring.write(bytes(part));
    all = (all + part).slice(-8);
  }
  assertEquals(text(ring.take(3)), all.slice(0, 3));
  assertEquals(text(ring.take(100)), all.slice(3));
  assertEquals(ring.take(1).length, 0);
  const opened = await open("ringbuf,size=4") as RingBuffer;
  await opened.write(bytes("123456"));
  assertEquals(text(opened.take(9)), "3456");
});

Deno.test("openBackend() logs what is written, not what is read", async () => {
  using folder = temporaryDirectory();
  const logfile = `${folder.path}/log`;
  await using end = await open(`ringbuf,logfile=${logfile}`);
  await end.write(bytes("from the guest"));
  assertEquals(Deno.readTextFileSync(logfile), "from the guest");
});

Deno.test("a socket end serves clients one after the other and drops what is said between", async () => {
  using folder = temporaryDirectory();
  const path = `${folder.path}/s`;
  const log: string[] = [];
  await using end = await open(`unix:${path},server=on,wait=off`, {
    connected: () => log.push("connected"),
    left: () => log.push("left"),
  });
  assertEquals(end.filename, `disconnected:unix:${path},server=on`);
  // Before the first client, writes wait.
  const early = end.write(bytes("early "));
  const reading = readText(end, 3);
  for (const word of ["one", "two"]) {
    const client = await Deno.connect({ transport: "unix", path });
    await client.write(bytes(word));
    assertEquals(await (word === "one" ? reading : readText(end, 3)), word);
    assertEquals(end.filename, `unix:${path},server=on`);
    await early;
    await end.write(bytes(`to ${word}`));
    const buffer = new Uint8Array(100);
    let got = "";
    const expected = word === "one" ? "early to one" : "to two";
    while (got.length < expected.length) {
      got += text(buffer.subarray(0, (await client.read(buffer))!));
    }
    assertEquals(got, expected);
    client.close();
    if (word === "one") {
      const stop = new AbortController();
      const next = end.read(stop.signal);
      while (log.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
      await end.write(bytes("to nobody"));
      stop.abort(new Error("later"));
      await assertRejects(() => next, Error, "later");
    }
  }
  assertEquals(log.slice(0, 3), ["connected", "left", "connected"]);
});

Deno.test("joinEnds() passes bytes between any two ends until one of them ends", async () => {
  using folder = temporaryDirectory();
  const path = `${folder.path}/s`;
  await using server = await open(`unix:${path},server=on,wait=off`);
  await using command = await open("exec:read line; echo got $line");
  const joining = joinEnds(server, command, { quiet: 50 });
  const client = await Deno.connect({ transport: "unix", path });
  await client.write(bytes("a question\n"));
  const buffer = new Uint8Array(100);
  let got = "";
  while (!got.includes("\n")) got += text(buffer.subarray(0, (await client.read(buffer))!));
  assertEquals(got, "got a question\n");
  assertEquals(await joining, { there: 11, back: 15 });
  client.close();
});

Deno.test("joinEnds() joins two sockets, whichever is there first, and ends with a client", async () => {
  using folder = temporaryDirectory();
  const path = `${folder.path}/s`;
  const listening = await Deno.listen({ transport: "unix", path });
  await using one = await open(`unix:${path}2,server=on,wait=off`);
  await using other = await open(`unix:${path}`);
  const accepted = await listening.accept();
  listening.close();
  const joining = joinEnds(one, other, { quiet: 50 });
  await accepted.write(bytes("banner"));
  const client = await Deno.connect({ transport: "unix", path: `${path}2` });
  const buffer = new Uint8Array(100);
  assertEquals(text(buffer.subarray(0, (await client.read(buffer))!)), "banner");
  accepted.close();
  assertEquals(await joining, { there: 0, back: 6 });
  client.close();
});

Deno.test("joinEnds() fails where what an end has said cannot be written, whichever ends first", async () => {
  for (const isEnded of [true, false]) {
    await using command = await open("exec:sleep 0.2; echo precious");
    const output = { write: () => Promise.reject(new Error("No space left on device")) };
    const input = isEnded ? { read: () => Promise.resolve(null) } : { read: endless };
    await using stdio = stdioEnd({ input, output });
    const joining = joinEnds(command, stdio, { quiet: 5000 });
    await assertRejects(() => joining, Error, "No space left");
  }
});

function endless(): Promise<never> {
  return new Promise(() => {});
}
