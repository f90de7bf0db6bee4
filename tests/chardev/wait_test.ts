import { assertEquals, assertRejects } from "@std/assert";
import { connect } from "../../channel/mod.ts";
import {
  type ChardevServer,
  makeBoard,
  parseChardev,
  parseLegacy,
  parseSocketChardev,
  runServer,
} from "../../chardev/mod.ts";
import { ObjectRegistry } from "../../creds/mod.ts";
import type { Engine } from "../../engine/mod.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { testLocal } from "./local.ts";

/** No test here starts TLS. */
const NO_OBJECTS = new ObjectRegistry({ engine: undefined as unknown as Engine });

const QUIET = {
  connected() {},
  left() {},
  refused() {},
  broken() {},
  retrying() {},
  logFailed() {},
};

Deno.test("parseChardev() lets a server wait unless told otherwise, as QEMU's command line", () => {
  const cases: [string, boolean][] = [
    ["host=h,port=1", false],
    ["host=h,port=1,server=on", true],
    ["host=h,port=1,server=on,wait=on", true],
    ["host=h,port=1,server=on,wait=off", false],
    ["path=/s,server,nowait", false],
    ["fd=3,server=on", true],
  ];
  for (const [tail, wait] of cases) {
    assertEquals(parseSocketChardev(`socket,id=s0,${tail}`).wait, wait, tail);
  }
  const old = parseLegacy("telnet:127.0.0.1:1,server=on", { id: "serial0" });
  assertEquals(old.kind === "socket" && old.wait, true);
});

Deno.test("runServer() opens its local side when the first client is there, with wait=on", async () => {
  for (const [option, name] of [["on", true], ["off", false]] as const) {
    const steps: string[] = [];
    const local = testLocal();
    const { promise, resolve } = Promise.withResolvers<ChardevServer["address"]>();
    const chardev = parseSocketChardev(
      `socket,id=s0,host=127.0.0.1,port=0,server=on,wait=${option}`,
    );
    const opened = Promise.withResolvers<void>();
    const running = runServer(chardev, {
      objects: NO_OBJECTS,
      local() {
        steps.push("opened");
        opened.resolve();
        return Promise.resolve(local);
      },
      events: {
        ...QUIET,
        listening(address, waiting) {
          if (address.kind !== "tcp") throw new Error("not a TCP address");
          const here = `disconnected:tcp:127.0.0.1:${address.port},server=on`;
          assertEquals(waiting, name ? here : undefined);
          resolve(address);
        },
      },
    });
    const address = await promise;
    if (address.kind === "fd") throw new Error("not a TCP address");
    if (option === "off") await opened.promise;
    else await new Promise((done) => setTimeout(done, 20));
    steps.push("client");
    const client = await connect(address);
    await client.write(new TextEncoder().encode("hello"));
    await local.until("hello");
    client.close();
    await running;
    assertEquals(steps, option === "on" ? ["client", "opened"] : ["opened", "client"]);
  }
});

Deno.test("a board's server with wait=on is there once its first client is, or is given up", async () => {
  using folder = temporaryDirectory();
  const path = `${folder.path}/s`;
  const stop = new AbortController();
  const listening = Promise.withResolvers<string | undefined>();
  await using board = makeBoard({
    objects: NO_OBJECTS,
    signal: stop.signal,
    events: () => ({ ...QUIET, listening: (_, waiting) => listening.resolve(waiting) }),
  });
  const adding = board.use(parseChardev(`socket,id=s,path=${path},server=on`));
  assertEquals(await listening.promise, `disconnected:unix:${path},server=on`);
  assertEquals([board.has("s"), board.rows()], [false, []]);
  await assertRejects(
    () => board.use(parseChardev("null,id=s")),
    Error,
    "Chardev with id 's' already exists",
  );
  await using client = await connect({ kind: "unix", path });
  await client.write(Uint8Array.of(1));
  assertEquals(await (await adding).read(stop.signal), Uint8Array.of(1));
  const never = board.use(parseChardev(`socket,id=t,path=${path}2,server=on`));
  stop.abort(new Error("enough"));
  await assertRejects(() => never, Error, "enough");
  assertEquals([...Deno.readDirSync(folder.path)].map(({ name }) => name), ["s"]);
});
