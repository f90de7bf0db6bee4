/** Who speaks TLS to a device without, and the other way round. */

import { assertEquals, assertMatch } from "@std/assert";
import { connect, type TcpAddress } from "../../channel/mod.ts";
import { ChardevError, parseSocketChardev, runServer } from "../../chardev/mod.ts";
import { ObjectRegistry } from "../../creds/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { directories, objects, serve } from "../chardev/devices.ts";
import { testLocal } from "../chardev/local.ts";
import { PEERS } from "../chardev/peers.ts";
import { type Running, start, startProgram } from "../chardev/process.ts";
import { programTest } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { startSerialQemu } from "./chardev_guest.ts";

const WANTS = "it said nothing: if it wants TLS, add tls-creds=tls0 to the device";

programTest(
  "chardev/server.ts without TLS refuses TLS clients by name, shows no byte and serves the next",
  ["qemu-system-x86_64", ...Object.keys(PEERS)],
  async () => {
    using folder = temporaryDirectory();
    const dirs = await directories(folder.path);
    await using server = startProgram("chardev/server.ts", [
      ...["--chardev", "socket,id=s0,host=127.0.0.1,port=0,server=on"],
    ]);
    const [, port] = await server.untilErr(/^listening on tcp:127\.0\.0\.1:(\d+)$/m);
    let count = 0;
    const refused = () =>
      server.untilErr(
        new RegExp(
          "(error: 127\\.0\\.0\\.1:\\d+: the peer speaks TLS, and this device does not\n" +
            `hint: to speak it, too: --object .*,endpoint=server,[^]*){${++count}}`,
        ),
      );
    for (const [program, args] of Object.entries(PEERS)) {
      await using _ = start(program, args(dirs, { port: Number(port), host: "127.0.0.1" }));
      await refused();
    }
    {
      await using _ = await startSerialQemu(
        `host=localhost,port=${port},ipv6=off,tls-creds=tls0`,
        [`tls-creds-x509,id=tls0,dir=${dirs.localhost},endpoint=client,sanity-check=off`],
      );
      await refused();
    }
    const plain = await connect({ kind: "tcp", host: "127.0.0.1", port: Number(port) });
    await plain.write(new TextEncoder().encode("plain\n"));
    await server.untilOut("plain\n");
    plain.close();
    assertEquals([await server.exit, server.stdout()], [0, "plain\n"]);
  },
);

programTest(
  "chardev/client.ts without TLS says of a server that wants TLS that it does",
  ["qemu-system-x86_64"],
  async () => {
    using folder = temporaryDirectory();
    const dirs = await directories(folder.path);
    using ours = await objects(undefined, dirs.localhost, "server");
    await using served = await serve(ours);
    await using serial = await startSerialQemu(
      "host=127.0.0.1,port=0,server=on,wait=off,tls-creds=tls0",
      [`tls-creds-x509,id=tls0,dir=${dirs.localhost},endpoint=server,sanity-check=off`],
    );
    {
      await using client = startClient(await serial.address());
      await client.untilErr(/^connected: .* without TLS$/m);
      await client.type("hello\n");
      assertEquals(await client.exit, 1, client.stderr());
      // Its alert, unless the reset behind it was faster.
      assertMatch(
        client.stderr(),
        /\nerror: the peer (speaks TLS, and|ended the session: ).*\nhint: .*endpoint=client.*\n$/,
      );
      assertEquals(client.stdout(), "");
    }
    // Ours hangs up on what is no TLS, and on a silent client in time, both without a word.
    await using impatient = await serve(ours, { handshakeTimeout: 300 });
    for (const [{ address }, says] of [[served, "hello\n"], [impatient, ""]] as const) {
      await using client = startClient(address);
      if (says !== "") await client.type(says);
      assertEquals(await client.exit, 0, client.stderr());
      assertMatch(
        client.stderr(),
        new RegExp(`\\n127\\.0\\.0\\.1:\\d+ has left\\nhint: ${WANTS}.*\\n$`),
      );
    }
  },
);

function startClient(address: TcpAddress): Running {
  return startProgram("chardev/client.ts", [
    ...["--chardev", `socket,id=c0,host=127.0.0.1,port=${address.port}`],
  ]);
}

Deno.test("a chardev server without TLS passes all on that is no TLS, and TLS to who carries it", async () => {
  const hello = Uint8Array.from({ length: 80 }, (_, i) => [0x16, 3, 1, 0, 75, 1][i] ?? i);
  const alert = Uint8Array.of(0x15, 3, 3, 0, 2, 2, 40);
  const changed = (bytes: Uint8Array, at: number, value: number) => bytes.with(at, value);
  const rows: readonly (readonly [boolean, boolean, readonly Uint8Array[]])[] = [
    [false, false, [hello]],
    [false, false, [alert]],
    [true, true, [hello]],
    [true, true, [alert]],
    [true, false, [Uint8Array.of(0x16), hello]],
    [true, false, [hello.subarray(0, 6)]],
    [true, false, [changed(hello, 0, 0x17)]],
    [true, false, [changed(hello, 1, 2)]],
    [true, false, [changed(hello, 2, 5)]],
    [true, false, [changed(hello, 3, 0x50)]],
    [true, false, [changed(hello, 4, 41)]],
    [true, false, [changed(hello, 5, 2)]],
    [true, false, [changed(alert, 4, 3)]],
    [true, false, [changed(alert, 5, 3)]],
  ];
  using none = new ObjectRegistry({ engine: await chooseEngine() });
  for (const [passes, carriesTls, pieces] of rows) {
    const shown: number[] = [];
    const local = testLocal();
    const keeping = {
      ...local,
      write: (bytes: Uint8Array) => Promise.resolve(void shown.push(...bytes)),
    };
    const refused: unknown[] = [];
    const stop = new AbortController();
    const listening = Promise.withResolvers<TcpAddress>();
    const running = runServer(
      parseSocketChardev("socket,id=s0,host=127.0.0.1,port=0,server=on"),
      {
        objects: none,
        local: keeping,
        carriesTls,
        signal: stop.signal,
        events: {
          listening: (address) => listening.resolve(address as TcpAddress),
          connected() {},
          left() {},
          refused(_, error) {
            refused.push(error);
            stop.abort();
          },
          broken() {},
          logFailed() {},
        },
      },
    );
    const client = await connect(await listening.promise);
    const sent: number[] = [];
    for (const piece of pieces) {
      await client.write(piece);
      sent.push(...piece);
      while (passes && shown.length < sent.length) {
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    }
    if (passes) await client.closeWrite();
    await running.catch((error) => {
      if (!stop.signal.aborted) throw error;
    });
    client.close();
    assertEquals(shown, passes ? sent : []);
    assertEquals(
      refused.map((error) => error instanceof ChardevError && error.code),
      passes ? [] : ["SPEAKS_TLS"],
    );
  }
});
