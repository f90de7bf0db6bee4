/** What the programs say when a peer has ended with a goodbye, without one, or was cut off. */

import { assertEquals, assertMatch } from "@std/assert";
import { connect, listen, type TcpAddress } from "../../channel/mod.ts";
import { dial, directories, objects, serve } from "../chardev/devices.ts";
import { testLocal } from "../chardev/local.ts";
import { type Running, start, startProgram } from "../chardev/process.ts";
import { programTest } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { BANNER, startSerialQemu } from "./chardev_guest.ts";

const CUT = "left without a TLS goodbye: what it said last may be missing";

const object = (dir: string, endpoint: string) =>
  `tls-creds-x509,id=tls0,dir=${dir},endpoint=${endpoint},sanity-check=off`;

function startClient(dir: string, port: number): Running {
  return startProgram("chardev/client.ts", [
    ...["--object", object(dir, "client"), "--chardev"],
    `socket,id=c0,host=localhost,port=${port},ipv6=off,tls-creds=tls0`,
  ]);
}

async function startServer(dir: string): Promise<[Running, TcpAddress]> {
  const server = startProgram("chardev/server.ts", [
    ...["--object", object(dir, "server"), "--chardev"],
    "socket,id=s0,host=127.0.0.1,port=0,server=on,tls-creds=tls0",
  ]);
  const [, port] = await server.untilErr(/^listening on tcp:127\.0\.0\.1:(\d+)$/m);
  return [server, { kind: "tcp", host: "127.0.0.1", port: Number(port) }];
}

/** Somebody on the way, who can cut a connection. */
interface Relay extends AsyncDisposable {
  readonly address: TcpAddress;
  /** Ends it as TCP does, with all that came before. */
  end(): void;
}

/** Passes one connection on. */
async function relay(target: TcpAddress): Promise<Relay> {
  const listener = await listen({ kind: "tcp", host: "127.0.0.1", port: 0 });
  let end = () => {};
  const running = (async () => {
    await using client = await listener.accept();
    await using server = await connect(target);
    end = () => [client, server].forEach((side) => side.close());
    const pass = async (from: typeof client, to: typeof client) => {
      const buffer = new Uint8Array(4096);
      for (;;) {
        const count = await from.read(buffer);
        if (count === null) return end();
        await to.write(buffer.subarray(0, count));
      }
    };
    await Promise.allSettled([pass(client, server), pass(server, client)]);
  })();
  running.catch(() => {});
  return {
    address: listener.address as TcpAddress,
    end: () => end(),
    async [Symbol.asyncDispose]() {
      end();
      await listener[Symbol.asyncDispose]();
      await running.catch(() => {});
    },
  };
}

programTest(
  "a chardev client and a server say of a QEMU that quits whether it said goodbye, and end with 0",
  ["qemu-system-x86_64"],
  async () => {
    using folder = temporaryDirectory();
    const { localhost, elsewhere } = await directories(folder.path);
    const [server, address] = await startServer(localhost);
    await using _server = server;
    await using listening = await startSerialQemu(
      "host=127.0.0.1,port=0,server=on,wait=off,tls-creds=tls0",
      [object(localhost, "server")],
    );
    await using dialling = await startSerialQemu(
      `host=localhost,port=${address.port},ipv6=off,tls-creds=tls0`,
      [object(elsewhere, "client")],
    );
    await using client = startClient(elsewhere, (await listening.address()).port);
    await listening.connected();
    const ends = [[listening, client], [dialling, server]] as const;
    for (const [{ qemu }, program] of ends) {
      await qemu.qmp.execute("cont");
      await program.untilOut(BANNER);
      const version = await qemu.qmp.execute("query-version") as { qemu: { major: number } };
      await qemu.qmp.execute("quit").catch(() => {});
      assertEquals(await program.exit, 0);
      const says = version.qemu.major >= 10 ? "has left" : CUT;
      assertMatch(program.stderr(), new RegExp(`\\n127\\.0\\.0\\.1:\\d+ ${says}\\n$`));
      assertEquals(program.stdout(), BANNER);
    }
  },
);

programTest(
  "chardev/client.ts ends with 0 at a goodbye and at an end without one, with 1 at a reset",
  ["socat"],
  async () => {
    using folder = temporaryDirectory();
    const { localhost, elsewhere } = await directories(folder.path);
    using ours = await objects(undefined, localhost, "server");
    const ways = [
      ["goodbye", /\n127\.0\.0\.1:\d+ has left\n$/, 0],
      ["end", new RegExp(`\\n127\\.0\\.0\\.1:\\d+ ${CUT}\\n$`), 0],
      ["reset", /\nerror: .*Connection reset by peer.*\n$/, 1],
    ] as const;
    for (const [way, says, code] of ways) {
      const server = await serve(ours);
      await using _server = server;
      await using between = await relay(server.address);
      // It breaks a connection off when it is killed; a relay of ours would end it.
      await using socat = start("socat", [
        ...["-d", "-d", "TCP-LISTEN:0,bind=127.0.0.1,linger=0"],
        `TCP:127.0.0.1:${server.address.port}`,
      ]);
      const [, port] = await socat.untilErr(/listening on AF=2 127\.0\.0\.1:(\d+)/);
      await using client = startClient(
        elsewhere,
        way === "reset" ? Number(port) : between.address.port,
      );
      server.local.type("said\n");
      await client.untilOut("said\n");
      if (way === "goodbye") await server[Symbol.asyncDispose]();
      else if (way === "end") between.end();
      else socat.signal("SIGKILL");
      assertEquals(await client.exit, code, client.stderr());
      assertMatch(client.stderr(), says);
    }
  },
);

Deno.test("chardev/server.ts and join tell a client that was cut off from one that says goodbye", async () => {
  using folder = temporaryDirectory();
  const { localhost, elsewhere } = await directories(folder.path);
  using theirs = await objects(undefined, elsewhere, "client");
  const join = startProgram("chardev/join.ts", [
    ...["--object", object(localhost, "server"), `file:${folder.path}/said`],
    "socket,id=s0,host=127.0.0.1,port=0,server=on,wait=off,tls-creds=tls0",
  ]);
  await using _join = join;
  const [, port] = await join.untilErr(/^s0: listening on tcp:127\.0\.0\.1:(\d+)$/m);
  const [server, address] = await startServer(localhost);
  await using _server = server;
  for (
    const [program, target] of [[join, { ...address, port: Number(port) }], [
      server,
      address,
    ]] as const
  ) {
    const local = testLocal();
    await using between = await relay(target);
    local.type("said\n");
    const dialled = dial(theirs, between.address, { local }).catch(() => {});
    await program.untilErr(/connected/);
    if (program === server) await server.untilOut("said\n");
    else while (Deno.readTextFileSync(`${folder.path}/said`) === "") await aMoment();
    between.end();
    await program.untilErr(new RegExp(`^(s0: )?127\\.0\\.0\\.1:\\d+ ${CUT}$`, "m"));
    await dialled;
  }
  assertEquals(await server.exit, 0);
  const stop = new AbortController();
  const local = testLocal();
  local.type("said\n");
  const dialled = dial(theirs, { ...address, port: Number(port) }, { local, signal: stop.signal });
  await join.untilErr(/(connected[^]*){2}/);
  stop.abort();
  await dialled;
  await join.untilErr(/^s0: 127\.0\.0\.1:\d+ has left$/m);
});

function aMoment(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 10));
}
