import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { ChannelError, connect, formatHostPort, type TcpAddress } from "../../channel/mod.ts";
import {
  type ChardevServer,
  dialChardev,
  MAX_WAITING,
  parseSocketChardev,
  runClient,
  runServer,
  serveChardev,
  type ServerEvents,
} from "../../chardev/mod.ts";
import { ObjectRegistry } from "../../creds/mod.ts";
import type { Engine } from "../../engine/mod.ts";
import { readExactly, readToEnd } from "../support/channels.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { testLocal } from "./local.ts";

const SERVER = parseSocketChardev("socket,id=s0,host=127.0.0.1,port=0,server=on,wait=off");
/** No test here starts TLS. */
const NO_OBJECTS = new ObjectRegistry({ engine: undefined as unknown as Engine });

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array) => new TextDecoder().decode(data);

function connectTo(address: ChardevServer["address"]) {
  if (address.kind === "fd") throw new Error("no address");
  return connect(address);
}

function clientOf(address: ChardevServer["address"], more = "") {
  if (address.kind !== "tcp") throw new Error("not a TCP address");
  return parseSocketChardev(`socket,id=c0,host=${address.host},port=${address.port}${more}`);
}

/** Where nobody listens. */
function unusedAddress(): TcpAddress {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return { kind: "tcp", host: "127.0.0.1", port: listener.addr.port };
}

/** Events as a list of words, and the address once there is one. */
function record(): {
  events: ServerEvents;
  log: string[];
  address: Promise<ChardevServer["address"]>;
} {
  const log: string[] = [];
  const { promise, resolve } = Promise.withResolvers<ChardevServer["address"]>();
  return {
    log,
    address: promise,
    events: {
      listening: resolve,
      connected: () => log.push("connected"),
      left: (_, end) => log.push(`left by ${end.by}`),
      refused: (_, error) => log.push(`refused: ${error}`),
      broken: (_, error) => log.push(`broken: ${error}`),
      logFailed: (error) => log.push(`log: ${error}`),
    },
  };
}

Deno.test("serveChardev() gives clients one after the other, in order", async () => {
  await using server = await serveChardev(SERVER);
  const clients = [];
  for (const name of ["first", "second", "third"]) {
    const client = await connectTo(server.address);
    await client.write(bytes(name));
    clients.push(client);
  }
  for (const [index, name] of ["first", "second", "third"].entries()) {
    await using channel = await server.accept();
    assertEquals(text(await readExactly(channel, name.length)), name);
    assertEquals(channel.peer, clients[index]!.local);
  }
  for (const client of clients) client.close();
});

Deno.test("serveChardev() leaves those who are too many in the backlog and serves them too", async () => {
  await using server = await serveChardev(SERVER);
  const count = MAX_WAITING + 5;
  const clients = [];
  for (let i = 0; i < count; i++) clients.push(await connectTo(server.address));
  const served = new Set<string>();
  for (let i = 0; i < count; i++) {
    await using channel = await server.accept();
    served.add(channel.peer);
  }
  assertEquals(served, new Set(clients.map((client) => client.local)));
  for (const client of clients) client.close();
});

Deno.test("serveChardev() loses no client when an accept is aborted", async () => {
  await using server = await serveChardev(SERVER);
  const stop = new AbortController();
  const accepting = server.accept(stop.signal);
  stop.abort(new Error("enough"));
  await assertRejects(() => accepting, Error, "enough");
  await using client = await connectTo(server.address);
  await using channel = await server.accept();
  assertEquals(channel.peer, client.local);
});

Deno.test("serveChardev() sends those who wait away when it closes", async () => {
  const server = await serveChardev(SERVER);
  const client = await connectTo(server.address);
  while (server.waiting === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  server.close();
  assertEquals((await readToEnd(client)).length, 0);
  await assertRejects(() => server.accept());
  client.close();
});

Deno.test("serveChardev() takes the next port of its range when one is in use", async () => {
  await using first = await serveChardev(SERVER);
  if (first.address.kind !== "tcp") throw new Error("not a TCP address");
  const { port } = first.address;
  const text = `socket,id=s1,host=127.0.0.1,port=${port},server=on`;
  const error = await assertRejects(() => serveChardev(parseSocketChardev(text)), ChannelError);
  assertEquals(error.message, "Failed to find an available port: Address already in use");
  const range = parseSocketChardev(`${text},to=${Math.min(65535, port + 50)}`);
  await using second = await serveChardev(range);
  assertEquals(second.address.kind === "tcp" && second.address.port > port, true);
});

Deno.test("runServer() ends when its client has left, serving those who wait first", async () => {
  const { events, log, address } = record();
  const local = testLocal();
  const running = runServer(SERVER, { objects: NO_OBJECTS, local, events });
  const at = await address;
  const first = await connectTo(at);
  const second = await connectTo(at);
  await first.write(bytes("one"));
  await second.write(bytes("two"));
  await local.until("one");
  first.close();
  await local.until("two");
  second.close();
  await running;
  assertEquals(local.shown(), "onetwo");
  assertEquals(log, ["connected", "left by peer", "connected", "left by peer"]);
});

Deno.test("runServer() goes on when asked to, until its local side ends", async () => {
  const { events, log, address } = record();
  const local = testLocal();
  const running = runServer(SERVER, { objects: NO_OBJECTS, local, events, keep: true });
  const at = await address;
  for (const name of ["one", "two"]) {
    const client = await connectTo(at);
    local.type(`to ${name}`);
    assertEquals(text(await readExactly(client, 6)), `to ${name}`);
    client.close();
  }
  const last = await connectTo(at);
  local.type("bye");
  local.end();
  assertEquals(text(await readToEnd(last)), "bye");
  last.close();
  await running;
  // Who closes first at the end, the test does not say.
  assertEquals(log.slice(0, 5), [
    "connected",
    "left by peer",
    "connected",
    "left by peer",
    "connected",
  ]);
});

Deno.test("runServer() serves and dials over a unix socket and keeps a log of what comes", async () => {
  using folder = temporaryDirectory();
  const path = `${folder.path}/s`;
  const logfile = `${folder.path}/log`;
  const chardev = parseSocketChardev(
    `socket,id=s0,path=${path},server=on,logfile=${logfile}`,
  );
  const { events, address } = record();
  const [here, there] = [testLocal(), testLocal()];
  const serving = runServer(chardev, { objects: NO_OBJECTS, local: here, events });
  await address;
  const dialling = runClient(parseSocketChardev(`socket,id=c0,path=${path}`), {
    objects: NO_OBJECTS,
    local: there,
    events: { connected() {}, left() {}, retrying() {}, logFailed() {} },
  });
  here.type("from the server");
  there.type("from the client");
  await Promise.all([there.until("from the server"), here.until("from the client")]);
  there.end();
  await Promise.all([serving, dialling]);
  assertEquals(Deno.readTextFileSync(logfile), "from the client");
});

Deno.test("serveChardev() leaves no file of a unix socket behind, and needs none if abstract", async () => {
  using folder = temporaryDirectory();
  const path = `${folder.path}/s`;
  for (const more of ["", `-${crypto.randomUUID()},abstract=on`]) {
    await using server = await serveChardev(
      parseSocketChardev(`socket,id=s0,path=${path}${more},server=on`),
    );
    assertEquals([...Deno.readDirSync(folder.path)].length, more === "" ? 1 : 0);
    const client = await dialChardev(parseSocketChardev(`socket,id=c0,path=${path}${more}`));
    await using channel = await server.accept();
    await client.write(bytes("x"));
    assertEquals(text(await readExactly(channel, 1)), "x");
    client.close();
    server.close();
    assertEquals([...Deno.readDirSync(folder.path)], []);
  }
});

Deno.test("runClient() dials again until the server is there, and when it has left", async () => {
  const gone = unusedAddress();
  const stop = new AbortController();
  const local = testLocal();
  const retries: [string, number][] = [];
  let lefts = 0;
  const running = runClient(clientOf(gone, ",reconnect-ms=20"), {
    objects: NO_OBJECTS,
    local,
    signal: stop.signal,
    events: {
      connected() {},
      left: () => lefts++,
      retrying: (error, wait) => retries.push([(error as Error).message, wait]),
      logFailed() {},
    },
  });
  while (retries.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  const peer = formatHostPort(gone);
  assertEquals(retries[0]![0], `Failed to connect to '${peer}': Connection refused`);
  for (const [attempt, [, wait]] of retries.slice(0, 2).entries()) {
    assert(wait >= 10 * (attempt + 1) && wait <= 30 * (attempt + 1), String(wait));
  }
  const back = parseSocketChardev(
    `socket,id=s0,host=127.0.0.1,port=${gone.port},server=on`,
  );
  await using server = await serveChardev(back);
  for (const word of ["one", "two"]) {
    const channel = await server.accept();
    await channel.write(bytes(word));
    await local.until(word);
    channel.close();
  }
  await using last = await server.accept();
  local.type("x");
  local.end();
  assertEquals(text(await readToEnd(last)), "x");
  last.close();
  await running;
  assertEquals(lefts, 3);
});

Deno.test("a chardev holds small writes back where nodelay=off asks for it, on either side", async () => {
  using probe = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  using conn = await Deno.connect({ hostname: "127.0.0.1", port: probe.addr.port });
  (await probe.accept()).close();
  // Deno shows no option of a socket, so the call that sets it is watched.
  const prototype: Pick<Deno.TcpConn, "setNoDelay"> = Object.getPrototypeOf(conn);
  const { setNoDelay } = prototype;
  const set: (boolean | undefined)[] = [];
  prototype.setNoDelay = function (this: Deno.TcpConn, noDelay?: boolean) {
    set.push(noDelay);
    setNoDelay.call(this, noDelay);
  };
  try {
    for (
      const [option, noDelay] of [
        ["", true],
        [",nodelay=on", true],
        [",nodelay=off", false],
        [",delay=on", false],
      ] as const
    ) {
      set.length = 0;
      await using server = await serveChardev({ ...SERVER, nodelay: noDelay });
      await using _client = await dialChardev(clientOf(server.address, option));
      await using _served = await server.accept();
      assertEquals(set, [noDelay, noDelay], option);
    }
  } finally {
    prototype.setNoDelay = setNoDelay;
  }
});

Deno.test("runClient() gives up at once without reconnect", async () => {
  const gone = unusedAddress();
  const error = await assertRejects(
    () =>
      runClient(clientOf(gone), {
        objects: NO_OBJECTS,
        local: testLocal(),
        events: { connected() {}, left() {}, retrying() {}, logFailed() {} },
      }),
    ChannelError,
  );
  assertStringIncludes(error.message, "Connection refused");
});

Deno.test("runClient() stops waiting for a server when it is aborted", async () => {
  const gone = unusedAddress();
  const stop = new AbortController();
  const running = runClient(clientOf(gone, ",reconnect=1000"), {
    objects: NO_OBJECTS,
    local: testLocal(),
    signal: stop.signal,
    events: {
      connected() {},
      left() {},
      retrying: () => stop.abort(new Error("enough")),
      logFailed() {},
    },
  });
  await assertRejects(() => running, Error, "enough");
});

Deno.test("runServer() notices the end of its local side while no client is on", async () => {
  const { events, log, address } = record();
  const local = testLocal();
  const running = runServer(SERVER, { objects: NO_OBJECTS, local, events, keep: true });
  const at = await address;
  const client = await connectTo(at);
  local.type("word");
  assertEquals(text(await readExactly(client, 4)), "word");
  client.close();
  while (log.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  // What is said while nobody is on is for the next client, and only then is it the end.
  local.type("next");
  local.end();
  await new Promise((resolve) => setTimeout(resolve, 30));
  const next = await connectTo(at);
  assertEquals(text(await readToEnd(next)), "next");
  next.close();
  await running;
});

Deno.test("runServer() goes on without clients when its local side never gave anything", async () => {
  const { events, log, address } = record();
  const local = testLocal();
  const stop = new AbortController();
  const { signal } = stop;
  const running = runServer(SERVER, { objects: NO_OBJECTS, local, events, keep: true, signal });
  local.end();
  const at = await address;
  for (const word of ["one", "two"]) {
    const client = await connectTo(at);
    await client.write(bytes(word));
    await local.until(word);
    client.close();
  }
  while (log.length < 4) await new Promise((resolve) => setTimeout(resolve, 5));
  stop.abort(new Error("enough"));
  await assertRejects(() => running, Error, "enough");
});

Deno.test("runServer() ends when its local side has given all and no client is on", async () => {
  const { events, log, address } = record();
  const local = testLocal();
  const running = runServer(SERVER, { objects: NO_OBJECTS, local, events, keep: true });
  const client = await connectTo(await address);
  local.type("word");
  assertEquals(text(await readExactly(client, 4)), "word");
  client.close();
  while (log.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  local.end();
  await running;
  assertEquals(log, ["connected", "left by peer"]);
});
