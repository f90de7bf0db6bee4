import { assert, assertEquals, assertMatch } from "@std/assert";
import { connect, formatHostPort } from "../../channel/mod.ts";
import { converse, directories, objects, serve } from "../chardev/devices.ts";
import { start, startProgram } from "../chardev/process.ts";
import { readExactly } from "../support/channels.ts";
import { loopbackTest } from "../support/loopback.ts";
import { programTest } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { BANNER, startSerialQemu } from "./chardev_guest.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

const only = (version: string) => `,priority=NORMAL:-VERS-ALL:+VERS-TLS${version}`;

function object(id: string, dir: string, endpoint: "client" | "server", more = ""): string[] {
  return ["--object", `tls-creds-x509,id=${id},dir=${dir},endpoint=${endpoint}${more}`];
}

loopbackTest(
  "chardev join joins the serial ports of two real QEMUs over TLS 1.2 to one and 1.3 to the other",
  ["qemu-system-x86_64"],
  async (host) => {
    using folder = temporaryDirectory();
    const dirs = await directories(folder.path);
    const logs = ["one.log", "other.log"].map((name) => `${folder.path}/${name}`);
    const qemu = (log: string) =>
      startSerialQemu(
        `host=${host},port=0,server=on,wait=off,tls-creds=tls0,logfile=${log}`,
        [`tls-creds-x509,id=tls0,dir=${dirs.localhost},endpoint=server`],
      );
    await using one = await qemu(logs[0]!);
    await using other = await qemu(logs[1]!);
    const ports = [(await one.address()).port, (await other.address()).port];
    await using joined = startProgram("chardev/join.ts", [
      ...object("tls0", dirs.elsewhere, "client", only("1.2")),
      ...object("tls1", dirs.elsewhere, "client", only("1.3")),
      ...ports.map((port, i) => `socket,id=side${i},host=${host},port=${port},tls-creds=tls${i}`),
    ]);
    await joined.untilErr(/^side0: connected: .* over TLS1\.2 /m);
    await joined.untilErr(/^side1: connected: .* over TLS1\.3 /m);
    await one.connected();
    await other.connected();
    const untilBanners = async (log: string, count: number) => {
      for (let i = 0; i < 600; i++) {
        if (Deno.readTextFileSync(log).split(BANNER).length > count) return;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      throw new Error(`no ${count} banners in ${JSON.stringify(Deno.readTextFileSync(log))}`);
    };
    await one.run();
    await untilBanners(logs[0]!, 1);
    // Each echoes what the other one says: its banner goes round for ever.
    await other.run();
    await untilBanners(logs[1]!, 3);
    await untilBanners(logs[0]!, 3);
    await one.qemu.qmp.execute("quit").catch(() => {});
    // A client without reconnect ends the join, and one that ends in the middle of its bytes is told.
    const code = await joined.exit;
    const ending = code === 0
      ? /^joined: \d+ bytes from side0 to side1, \d+ back$/m
      : /^error: .*Connection reset by peer$/m;
    assertMatch(joined.stderr(), ending);
  },
);

loopbackTest(
  "chardev join takes what is typed at a chardev of ours to a real QEMU and its echo back, over TLS",
  ["qemu-system-x86_64"],
  async (host) => {
    using folder = temporaryDirectory();
    const dirs = await directories(folder.path);
    const creds = ["client", "server"] as const;
    await using serial = await startSerialQemu(
      `host=${host},port=0,server=on,wait=off,tls-creds=server`,
      creds.map((end) => `tls-creds-x509,id=${end},dir=${dirs.localhost},endpoint=${end}`),
    );
    await serial.run();
    const { port } = await serial.address();
    const named = creds.flatMap((end) => object(end, dirs.localhost, end));
    // A client of ours dials the join, which dials the QEMU.
    for (const version of ["1.2", "1.3"]) {
      await using joined = startProgram("chardev/join.ts", [
        ...named,
        `socket,id=in,host=${host},port=0,server=on,wait=off,tls-creds=server`,
        `socket,id=qemu,host=${host},port=${port},tls-creds=client`,
      ]);
      const [, at] = await joined.untilErr(/^in: listening on tcp:.*:(\d+)$/m);
      using ours = await objects(undefined, dirs.elsewhere, "client", only(version));
      const word = `typed with ${version}`;
      const address = { kind: "tcp", host, port: Number(at) } as const;
      const channel = await converse(ours, address, { host, say: word, hear: word });
      assertEquals(channel.facts?.version, `TLS${version}`);
    }
    // The QEMU dials the join, which dials a server of ours.
    using ours = await objects(undefined, dirs.localhost, "server");
    await using server = await serve(ours, { host });
    await using joined = startProgram("chardev/join.ts", [
      ...named,
      `socket,id=qemu,host=${host},port=0,server=on,wait=off,tls-creds=server`,
      `socket,id=out,host=${host},port=${server.address.port},tls-creds=client`,
    ]);
    const [, at] = await joined.untilErr(/^qemu: listening on tcp:.*:(\d+)$/m);
    await serial.change(host, Number(at), { server: false, "tls-creds": "client" });
    await joined.untilErr(/^qemu: connected: .* over TLS1\.3 /m);
    server.local.type("typed at the server");
    await server.local.until("typed at the server");
    assertEquals(serial.qemu.stderr(), "");
  },
);

programTest(
  "chardev server --backend pty is a real QEMU's serial port for any terminal program",
  ["qemu-system-x86_64", "socat"],
  async () => {
    using folder = temporaryDirectory();
    const dirs = await directories(folder.path);
    await using server = startProgram("chardev/server.ts", [
      ...object("tls0", dirs.localhost, "server"),
      ...["--backend", "pty"],
      ...["--chardev", "socket,id=s0,host=127.0.0.1,port=0,server=on,wait=off,tls-creds=tls0"],
    ]);
    const [, path] = await server.untilErr(
      /^char device redirected to (\/dev\/pts\/\d+) \(label backend0\)$/m,
    );
    const [, port] = await server.untilErr(/^listening on tcp:127\.0\.0\.1:(\d+)$/m);
    await using terminal = start("socat", ["-", `${path},raw,echo=0`]);
    await using serial = await startSerialQemu(
      `host=localhost,port=${port},ipv6=off,tls-creds=tls0`,
      [`tls-creds-x509,id=tls0,dir=${dirs.elsewhere},endpoint=client`],
    );
    await server.untilErr(/^connected: /m);
    // The terminal is open a while after its program has started.
    await new Promise((resolve) => setTimeout(resolve, 300));
    await serial.run();
    await terminal.untilOut(BANNER);
    await terminal.type("hello");
    await terminal.untilOut(`${BANNER}hello`);
    await serial.qemu.qmp.execute("quit").catch(() => {});
    assertEquals(await server.exit, 0);
  },
);

Deno.test("chardev join connects a served socket with a program, a file and another socket", async () => {
  using folder = temporaryDirectory();
  const dirs = await directories(folder.path);
  const plain = "socket,id=plain,host=127.0.0.1,port=0,server=on,wait=off";
  {
    await using joined = startProgram("chardev/join.ts", [
      plain,
      "exec:while read line; do echo got $line; done",
    ]);
    const [, port] = await joined.untilErr(/^plain: listening on tcp:127\.0\.0\.1:(\d+)$/m);
    await using client = await connect({ kind: "tcp", host: "127.0.0.1", port: Number(port) });
    await client.write(bytes("a question\n"));
    assertEquals(
      new TextDecoder().decode(await readExactly(client, 15)),
      "got a question\n",
    );
  }
  // Two of ours in a row: plain on one side, TLS on the other, a file at the end.
  const file = `${folder.path}/console.log`;
  await using keeper = startProgram("chardev/join.ts", [
    ...object("tls0", dirs.localhost, "server"),
    "socket,id=in,host=127.0.0.1,port=0,server=on,wait=off,tls-creds=tls0",
    `file,path=${file}`,
  ]);
  const [, tls] = await keeper.untilErr(/^in: listening on tcp:127\.0\.0\.1:(\d+)$/m);
  await using joined = startProgram("chardev/join.ts", [
    ...object("tls0", dirs.elsewhere, "client"),
    plain,
    `socket,id=out,host=localhost,port=${tls},ipv6=off,tls-creds=tls0,reconnect=1`,
  ]);
  const [, port] = await joined.untilErr(/^plain: listening on tcp:127\.0\.0\.1:(\d+)$/m);
  await using client = await connect({ kind: "tcp", host: "127.0.0.1", port: Number(port) });
  await client.write(bytes("what a guest says\n"));
  for (let i = 0; i < 400 && Deno.statSync(file).size < 18; i++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assertEquals(Deno.readTextFileSync(file), "what a guest says\n");
  joined.signal("SIGTERM");
  assertEquals(await joined.exit, 143);
  assert(
    joined.stderr().includes(
      `out: connected: ${formatHostPort({ host: "127.0.0.1", port: Number(tls) })}`,
    ),
  );
});

Deno.test("chardev client takes over a connection that was opened for it", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepting = listener.accept();
  // bash opens descriptor 3 as a connection.
  await using client = start("bash", [
    "-c",
    `exec 3<>/dev/tcp/127.0.0.1/${listener.addr.port}; exec ${Deno.execPath()} run -A --no-check ` +
    `${new URL("../../chardev/client.ts", import.meta.url).pathname} --chardev socket,id=c0,fd=3`,
  ]);
  using peer = await accepting;
  await client.untilErr(/^connected: 127\.0\.0\.1:\d+ without TLS$/m);
  await peer.write(bytes("from the peer\n"));
  await client.untilOut("from the peer\n");
  await client.type("to the peer\n");
  const buffer = new Uint8Array(100);
  const count = await peer.read(buffer);
  assertEquals(new TextDecoder().decode(buffer.subarray(0, count!)), "to the peer\n");
});
