import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { connect } from "../../channel/mod.ts";
import {
  type Board,
  chardevHmp,
  chardevQmp,
  joinEnds,
  makeBoard,
  makeMux,
  muxMonitor,
  parseChardev,
} from "../../chardev/mod.ts";
import { ObjectRegistry } from "../../creds/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { openQmp, type QmpClient } from "../../migration/qmp_client.ts";
import { makeEventHub, type Monitor, serveQmp } from "../../monitor/mod.ts";
import { pair } from "../support/channels.ts";
import { makePki } from "../support/pki.ts";
import { programTest } from "../support/programs.ts";
import { startQemu } from "../support/qemu.ts";
import { temporaryDirectory } from "../support/temp.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

async function openBoard(
  options: readonly string[] = [],
): Promise<{ board: Board; monitor: Monitor }> {
  const quiet = {
    listening() {},
    connected() {},
    left() {},
    refused() {},
    retrying() {},
    logFailed() {},
  };
  const objects = new ObjectRegistry({ engine: await chooseEngine() });
  for (const option of options) await objects.add(option);
  const board = makeBoard({ objects, events: () => quiet });
  const monitor: Monitor = {
    qmp: chardevQmp(board),
    hmp: chardevHmp(board),
    events: makeEventHub([]),
    quit() {},
  };
  return { board, monitor };
}

const inet = (more: Record<string, unknown> = {}, address: Record<string, unknown> = {}) => ({
  type: "socket",
  data: {
    addr: { type: "inet", data: { host: "127.0.0.1", port: "0", ...address } },
    ...more,
  },
});
const vsock = (more: Record<string, unknown>) => ({
  type: "socket",
  data: { addr: { type: "vsock", data: { cid: "3", port: "1" } }, ...more },
});
const NULL = { type: "null", data: {} };
/** Stands for a port that is in use. */
const TAKEN = "TAKEN";

/** Commands in the order in which both are given them. */
const COMMANDS: readonly (readonly [command: string, args?: Record<string, unknown>])[] = [
  ["chardev-add"],
  ["chardev-add", { id: "a" }],
  ["chardev-add", { id: 1, backend: {} }],
  ["chardev-add", { id: "a", backend: 1 }],
  ["chardev-add", { id: "a", backend: {} }],
  ["chardev-add", { id: "a", backend: { type: "foo" } }],
  ["chardev-add", { id: "a", backend: { type: "null" } }],
  ["chardev-add", { id: "a", backend: { type: "null", data: { x: 1 } } }],
  ["chardev-add", { id: "a", backend: NULL }],
  ["chardev-add", { id: "a", backend: NULL }],
  ["chardev-add", { id: "0a", backend: NULL }],
  ["chardev-add", { id: "b", backend: { type: "socket", data: {} } }],
  ["chardev-add", { id: "b", backend: { type: "socket", data: { addr: {} } } }],
  ["chardev-add", { id: "b", backend: { type: "socket", data: { addr: { type: "foo" } } } }],
  ["chardev-add", { id: "b", backend: { type: "socket", data: { addr: { type: "inet" } } } }],
  ["chardev-add", { id: "b", backend: inet({}, { port: 1 }) }],
  ["chardev-add", { id: "b", backend: inet({}, { bogus: 1 }) }],
  ["chardev-add", { id: "b", backend: inet({ server: false }, { port: "1" }) }],
  ["chardev-add", { id: "b", backend: inet() }],
  ["chardev-add", { id: "t", backend: inet({ telnet: true }) }],
  ["chardev-add", { id: "w", backend: inet({ websocket: true, wait: false }) }],
  ["chardev-add", { id: "c", backend: inet({ reconnect: 1 }) }],
  ["chardev-add", { id: "c", backend: inet({ server: false, wait: false }) }],
  ["chardev-add", { id: "c", backend: inet({ server: false, websocket: true }) }],
  ["chardev-add", { id: "c", backend: inet({ "tls-creds": "nope" }) }],
  ["chardev-add", { id: "c", backend: inet({ "tls-authz": "az" }) }],
  ["chardev-add", {
    id: "c",
    backend: { type: "socket", data: { addr: { type: "unix", data: { path: "/nowhere/s" } } } },
  }],
  ["chardev-add", {
    id: "c",
    backend: { type: "socket", data: { addr: { type: "fd", data: { str: "x" } } } },
  }],
  ["human-monitor-command", { "command-line": "chardev-add null,id=m,mux=on" }],
  ["human-monitor-command", {
    "command-line": "chardev-add socket,id=n,host=::1,port=0,server=on,wait=off,mux=on,tn3270=on",
  }],
  ["chardev-add", { id: "p", backend: { type: "pty", data: {} } }],
  ["chardev-add", { id: "r", backend: { type: "ringbuf", data: { size: 3 } } }],
  ["chardev-add", { id: "r", backend: { type: "ringbuf", data: {} } }],
  ["chardev-add", { id: "f", backend: { type: "file", data: { out: "/nowhere/f" } } }],
  ["chardev-add", { id: "f", backend: { type: "file", data: {} } }],
  ["chardev-add", { id: "q", backend: { type: "pipe", data: { device: "/nowhere/p" } } }],
  ["query-chardev"],
  ["query-chardev", { a: 1 }],
  ["ringbuf-write", { device: "r", data: "abc" }],
  ["ringbuf-write", { device: "r", data: "ZGVm", format: "base64" }],
  ["ringbuf-read", { device: "r", size: 4 }],
  ["ringbuf-read", { device: "r", size: 100, format: "base64" }],
  ["ringbuf-read", { device: "r", size: 0 }],
  ["ringbuf-read", { device: "zz", size: 3 }],
  ["ringbuf-read", { device: "a", size: 3 }],
  ["chardev-change", { id: "zz", backend: NULL }],
  ["chardev-change", { id: "r", backend: NULL }],
  ["chardev-change", { id: "m", backend: NULL }],
  ["chardev-change", { id: "m-base", backend: NULL }],
  ["chardev-remove", { id: "m-base" }],
  ["chardev-add", { id: "m-base", backend: NULL }],
  ["chardev-send-break", { id: "m-base" }],
  ["chardev-add", { id: "n0", backend: NULL }],
  ["chardev-change", { id: "n0", backend: NULL }],
  ["chardev-change", { id: "n0", backend: { type: "ringbuf", data: { size: 3 } } }],
  ["chardev-remove", { id: "n0" }],
  ["chardev-send-break", { id: "zz" }],
  ["chardev-send-break", { id: "a" }],
  ["chardev-remove"],
  ["chardev-remove", { id: "zz" }],
  ["chardev-remove", { id: "b" }],
  ["query-chardev"],
  ...["nope", "az0", "client0"].flatMap((creds) =>
    ["c", "n0"].map((id) =>
      [id === "c" ? "chardev-add" : "chardev-change", {
        id,
        backend: inet({ "tls-creds": creds }),
      }] as const
    )
  ),
  ["chardev-add", { id: "c", backend: inet({ "tls-creds": "server0" }) }],
  ...["nope", "az0", "client0", "server0"].flatMap((creds) =>
    [true, false].map((server) =>
      ["chardev-add", { id: "v", backend: vsock({ server, "tls-creds": creds }) }] as const
    )
  ),
  ["chardev-add", { id: "v", backend: vsock({ server: true, reconnect: 1 }) }],
  ["chardev-add", { id: "v", backend: vsock({ server: false, wait: true }) }],
  ["chardev-add", { id: "k", backend: inet({}, { numeric: true, host: "localhost" }) }],
  ["chardev-add", { id: "k1", backend: inet({}, { numeric: true, "keep-alive": true }) }],
  ["chardev-add", { id: "k2", backend: inet({}, { "keep-alive": false, mptcp: false }) }],
  ["chardev-add", { id: "d", backend: inet({}, { port: TAKEN }) }],
  ["chardev-change", { id: "n0", backend: inet({}, { port: TAKEN }) }],
  ["chardev-add", { id: "d", backend: inet({ server: false }, { port: "1" }) }],
  ["query-chardev"],
];

/** Lines of the human monitor, after the commands. */
const LINES = [
  ..."chardev-add|chardev-add null|chardev-add null,id=h|chardev-add null,id=h".split("|"),
  ..."chardev-add null,id=n0|chardev-add bogus,id=n0,x=1|chardev-add bogus,id=z".split("|"),
  ..."chardev-add null,id=m-base|chardev-add null,id=z,x=1|chardev-add null,id=0z".split("|"),
  `chardev-add socket,id=z,host=127.0.0.1,port=${TAKEN},server=on,wait=off`,
  "chardev-add socket,id=z,host=127.0.0.1,port=1",
  "chardev-add socket,id=z,host=127.0.0.1,port=0,server=on,wait=off,tls-creds=client0",
  "chardev-add socket,id=z,path=/nowhere/z,tls-creds=nope",
  "chardev-add socket,id=z,fd=nope",
  "chardev-add socket,id=z,fd=nope,tls-creds=nope",
  ..."chardev-change|chardev-change n0|chardev-change zz null|chardev-change zz bogus".split("|"),
  ..."chardev-change n0 null|chardev-change n0 null,id=x|chardev-change n0 null,x=1".split("|"),
  ..."chardev-change m null|chardev-change m-base null|chardev-change n0 ringbuf,size=3".split("|"),
  `chardev-change n0 socket,host=127.0.0.1,port=${TAKEN},server=on,wait=off`,
  "chardev-change n0 socket,host=127.0.0.1,port=0,server=on,wait=off,tls-creds=client0",
  "chardev-change n0 socket,host=127.0.0.1,path=/nowhere/s",
  `chardev-change h socket,host=127.0.0.1,port=${TAKEN},server=on,wait=off`,
  ..."chardev-remove|chardev-remove zz|chardev-remove n0|chardev-remove m-base".split("|"),
  ..."chardev-send-break|chardev-send-break zz|chardev-send-break n0|chardev-send-break m".split(
    "|",
  ),
  ..."chardev-remove c|chardev-remove c|ringbuf_read|ringbuf_read zz 3|ringbuf_read c 3".split("|"),
  ..."ringbuf_write m x|ringbuf_write zz x|ringbuf_write zz".split("|"),
];

/** What a command is answered, without what differs each time. */
async function answer(qmp: QmpClient, command: string, args?: Record<string, unknown>) {
  const given = await qmp.execute(command, args as Parameters<QmpClient["execute"]>[1])
    .catch((error: Error) => `error: ${error.message}`);
  const text = JSON.stringify(given).replaceAll(/\/dev\/pts\/\d+/g, "/dev/pts/N")
    .replaceAll(/(127\.0\.0\.1|::1):\d{4,5}\b/g, "$1:PORT");
  const plain: unknown = JSON.parse(text);
  if (!Array.isArray(plain)) return plain;
  return plain.filter(({ label }) => label !== "compat_monitor0")
    .sort((one, other) => one.label < other.label ? -1 : 1);
}

/** What a line is answered first: QEMU adds another line to its parser's errors, we add advice. */
async function firstLine(qmp: QmpClient, line: string): Promise<string> {
  const said = await qmp.execute("human-monitor-command", { "command-line": line });
  return String(said).split(/\r?\n/)[0]!.replace(/^Error: /, "");
}

programTest(
  "QMP answers of devices are QEMU's, word for word",
  ["qemu-system-x86_64"],
  async () => {
    using temp = temporaryDirectory();
    const pki = await makePki(`${temp.path}/pki`, { hosts: [{ name: "localhost" }] });
    const dir = pki.host("localhost");
    const objects = [
      `tls-creds-x509,id=server0,dir=${dir},endpoint=server`,
      `tls-creds-x509,id=client0,dir=${dir},endpoint=client`,
      "authz-simple,id=az0,identity=x",
    ];
    await using qemu = await startQemu({
      machine: "isapc",
      args: [
        ...objects.flatMap((option) => ["-object", option]),
        ...["-S", "-chardev", "null,id=n0", "-serial", "chardev:n0"],
      ],
    });
    const { board, monitor } = await openBoard(objects);
    await board.use(parseChardev("null,id=n0"));
    using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const port = String(taken.addr.port);
    await using _ = board;
    const [here, there] = pair();
    const serving = serveQmp(there, monitor);
    const ours = await openQmp(here);
    // What is wrong with the address is for QEMU's kernel to say, of which device is not.
    const plain = { id: "v", backend: vsock({ server: false }) };
    assertMatch(
      String(await answer(qemu.qmp, "chardev-add", plain)),
      /^error: Failed to add chardev 'v': /,
    );
    assertEquals(
      await answer(ours, "chardev-add", plain),
      "error: Failed to add chardev 'v': socket family AF_VSOCK unsupported",
    );
    for (const [command, written] of COMMANDS) {
      const args = written && JSON.parse(JSON.stringify(written).replace(TAKEN, port));
      const expected = await answer(qemu.qmp, command, args);
      assertEquals(
        await answer(ours, command, args),
        expected,
        `${command} ${JSON.stringify(args)}`,
      );
    }
    for (const line of LINES.map((line) => line.replace(TAKEN, port))) {
      assertEquals(await firstLine(ours, line), await firstLine(qemu.qmp, line), line);
    }
    ours.close();
    await serving;
  },
);

Deno.test("chardev-add in QMP takes tls-hostname and keep-alive, and refuses mptcp", async () => {
  using temp = temporaryDirectory();
  const pki = await makePki(`${temp.path}/pki`, { hosts: [{ name: "localhost" }] });
  const { board, monitor } = await openBoard([
    `tls-creds-x509,id=client0,dir=${pki.host("localhost")},endpoint=client`,
  ]);
  await using _ = board;
  const [here, there] = pair();
  const serving = serveQmp(there, monitor);
  const ours = await openQmp(here);
  const tls = inet({ "tls-creds": "client0", "tls-hostname": "localhost" });
  assertEquals(await ours.execute("chardev-add", { id: "t", backend: tls }), {});
  assertEquals(
    await answer(ours, "chardev-add", { id: "m", backend: inet({}, { mptcp: true }) }),
    "error: Failed to add chardev 'm': cannot do mptcp here: connections are of TCP alone",
  );
  assertEquals(
    await answer(ours, "chardev-add", {
      id: "n",
      backend: inet({ server: false }, { numeric: true, host: "localhost", port: "1" }),
    }),
    "error: Failed to add chardev 'n': address resolution failed for localhost:1: " +
      "Name or service not known",
  );
  for (const keepAlive of [true, false]) {
    const [s, c] = [`s${keepAlive}`, `c${keepAlive}`];
    const how = { "keep-alive": keepAlive };
    await ours.execute("chardev-add", { id: s, backend: inet({}, how) });
    const port = /:(\d+),/.exec(board.find(s)!.filename)![1]!;
    await ours.execute("chardev-add", {
      id: c,
      backend: inet({ server: false }, { ...how, port }),
    });
    while (board.find(s)!.filename.startsWith("disconnected:")) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    // The kernel's table of connections; in state 01 (established) timer 02 is that of keep-alive.
    const hex = `:${Number(port).toString(16).toUpperCase().padStart(4, "0")} `;
    const timers = Deno.readTextFileSync("/proc/net/tcp").split("\n")
      .filter((row) => row.includes(hex) && / 01 /.test(row))
      .map((row) => row.trim().split(/\s+/)[5]!.startsWith("02:"));
    assertEquals(timers, [keepAlive, keepAlive]);
  }
  ours.close();
  await serving;
});

/** A server, its client and, where that is reached otherwise, whereto; `web` is a WebSocket. */
const CONNECTIONS: readonly (readonly [server: string, client: string, host?: string])[] = [
  ["host=127.0.0.1", ""],
  ["host=::1", ""],
  ["host=::", "", "host=::1"],
  ["host=localhost,tls-creds=server0", ",tls-creds=client0"],
  ["host=127.0.0.1,telnet=on", ",telnet=on"],
  ["host=::1,telnet=on", ",telnet=on"],
  ["host=127.0.0.1,tn3270=on", ",tn3270=on"],
  ["host=127.0.0.1,websocket=on", "web"],
  ["host=127.0.0.1,websocket=on,telnet=on", "web"],
  ["host=::1,websocket=on", "web"],
  ["path=DIR/s", ""],
  ["path=DIR/t,telnet=on", ",telnet=on"],
  ["path=DIR/a,abstract=on", "", "path=DIR/a,abstract=on"],
  ["path=DIR/b,abstract=on,tight=off", "", "path=DIR/b,abstract=on,tight=off"],
];
/** Clients that nobody answers. */
const ALONE = [
  ..."host=127.0.0.1,port=1 host=::1,port=1,telnet=on host=127.0.0.1,port=1,tn3270=on".split(" "),
  ..."path=DIR/none path=DIR/none,abstract=on path=DIR/none,abstract=on,tight=off".split(" "),
];

/** Devices under a monitor. */
interface Side {
  add(text: string): Promise<unknown>;
  name(id: string): Promise<string>;
}

/** The names of a server and its clients, before and after they are connected. */
async function namesOf({ add, name }: Side, folder: string): Promise<string[]> {
  const names: string[] = [];
  for (const [i, [server, client, host]] of CONNECTIONS.entries()) {
    const [place, ...more] = server.replace("DIR", folder).split(",");
    const isTcp = place!.startsWith("host=");
    const at = `${place}${isTcp ? ",port=0" : ""}`;
    await add(`socket,id=s${i},${[at, ...more].join(",")},server=on,wait=off`);
    const before = await name(`s${i}`);
    const port = isTcp ? /:(\d+),server=on$/.exec(before)![1]! : "";
    const to = (host ?? place!).replace("DIR", folder) + (isTcp ? `,port=${port}` : "");
    using web = client === "web" ? openWebSocket(place!.slice(5), port) : undefined;
    if (web === undefined) await add(`socket,id=c${i},${to}${client}`);
    let both = [before, before, ""];
    while (both.slice(1).some((name) => name.startsWith("disconnected:"))) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      both = [before, await name(`s${i}`), web === undefined ? await name(`c${i}`) : ""];
    }
    names.push(
      ...both.map((name) =>
        `${server}: ` + name.replaceAll(`:${port}`, isTcp ? ":PORT" : `:${port}`)
          .replace(/:\d{4,5}$|:\d{4,5}(?= <->)/g, ":PEER").replaceAll(folder, "DIR")
      ),
    );
  }
  for (const [i, place] of ALONE.entries()) {
    await add(`socket,id=r${i},${place.replace("DIR", folder)},reconnect=100`);
    names.push(`${place}: ${(await name(`r${i}`)).replace(folder, "DIR")}`);
  }
  return names;
}

function openWebSocket(host: string, port: string): Disposable {
  const socket = new WebSocket(
    `ws://${host.includes(":") ? `[${host}]` : host}:${port}/`,
    "binary",
  );
  socket.onerror = () => {};
  return { [Symbol.dispose]: () => socket.close() };
}

programTest(
  "query-chardev names connections as QEMU does, from both of their ends",
  ["qemu-system-x86_64"],
  async () => {
    using temp = temporaryDirectory();
    const pki = await makePki(`${temp.path}/pki`, { hosts: [{ name: "localhost" }] });
    const objects = ["server", "client"].map((endpoint) =>
      `tls-creds-x509,id=${endpoint}0,dir=${pki.host("localhost")},endpoint=${endpoint}`
    );
    const { board } = await openBoard(objects);
    await using _ = board;
    await using qemu = await startQemu({
      machine: "none",
      args: objects.flatMap((option) => ["-object", option]),
    });
    const theirs: Side = {
      async add(text) {
        const command = { "command-line": `chardev-add ${text}` };
        assertEquals(await qemu.qmp.execute("human-monitor-command", command), "", text);
      },
      async name(id) {
        const rows = await qemu.qmp.execute("query-chardev") as {
          label: string;
          filename: string;
        }[];
        return rows.find(({ label }) => label === id)!.filename;
      },
    };
    const ours: Side = {
      add: (text) => board.add(parseChardev(text)),
      name: (id) => Promise.resolve(board.find(id)!.filename),
    };
    for (const folder of ["q", "v"]) Deno.mkdirSync(`${temp.path}/${folder}`);
    const expected = await namesOf(theirs, `${temp.path}/q`);
    assertEquals(await namesOf(ours, `${temp.path}/v`), expected);
    assertEquals(expected.length, 3 * CONNECTIONS.length + ALONE.length);
  },
);

Deno.test("chardev-change exchanges a device in use, and its bytes go to the new one", async () => {
  using folder = temporaryDirectory();
  const path = `${folder.path}/s`;
  const { board } = await openBoard();
  await using _ = board;
  const one = await board.use(parseChardev(`socket,id=a,path=${path},server=on,wait=off`));
  const other = await board.use(parseChardev("ringbuf,id=b"));
  const stop = new AbortController();
  const joining = joinEnds(one, other, { signal: stop.signal }).catch(() => {});
  await using client = await connect({ kind: "unix", path });
  await client.write(bytes("to the ring"));
  const ring = board.find("b")!;
  assert("take" in ring && typeof ring.take === "function");
  let kept = "";
  while (kept !== "to the ring") {
    await new Promise((resolve) => setTimeout(resolve, 5));
    kept += new TextDecoder().decode(ring.take(100));
  }
  await board.change(parseChardev(`file,id=b,path=${folder.path}/f`));
  await client.write(bytes("to the file"));
  while (Deno.readTextFileSync(`${folder.path}/f`) !== "to the file") {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  // The socket itself moves, with a client on it.
  await board.change(parseChardev(`socket,id=a,path=${path}2,server=on,wait=off`));
  assertEquals(await client.read(new Uint8Array(1)), null);
  await using next = await connect({ kind: "unix", path: `${path}2` });
  await next.write(bytes(", and more"));
  while (Deno.readTextFileSync(`${folder.path}/f`) !== "to the file, and more") {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  stop.abort(new Error("enough"));
  await joining;
});

Deno.test("the escape key brings a monitor to the front that knows the devices", async () => {
  const { board, monitor } = await openBoard();
  await using _ = board;
  await board.use(parseChardev("ringbuf,id=b"));
  let shown = "";
  const mux = makeMux({ monitor: (print) => muxMonitor(monitor, print) }, (text) => shown += text);
  const until = async (text: string) => {
    while (!shown.includes(text)) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  assertEquals(mux.input(bytes("for the guest\x01c")), bytes("for the guest"));
  await until("(qemu) ");
  mux.input(bytes("info chardev\r"));
  await until("b: filename=ringbuf");
  assertEquals(mux.input(bytes("\x01cback")), bytes("back"));
  mux.input(bytes("\x01cchardev-remove b\r"));
  await until("Chardev 'b' is busy");
  assertStringIncludes(shown, "Error: Chardev 'b' is busy");
});

Deno.test("chardev-add lets a client in that nobody reads yet, as QEMU does", async () => {
  using folder = temporaryDirectory();
  const path = `${folder.path}/s`;
  const { board } = await openBoard();
  await using _ = board;
  await board.add(parseChardev(`socket,id=s,path=${path},server=on,wait=off`));
  const row = () => board.rows()[0];
  assertEquals(row(), {
    label: "s",
    filename: `disconnected:unix:${path},server=on`,
    frontendOpen: false,
  });
  await using client = await connect({ kind: "unix", path });
  while (row()!.filename.startsWith("disconnected:")) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assertEquals(row()!.filename, `unix:${path},server=on`);
  await board.remove("s");
  assertEquals(await client.read(new Uint8Array(1)), null);
});
