import { assert, assertEquals, assertMatch } from "@std/assert";
import { connect, startTls, type TcpAddress } from "../../channel/mod.ts";
import {
  dialChardev,
  parseSocketChardev,
  planTls,
  sendTyped,
  serveChardev,
} from "../../chardev/mod.ts";
import type { ObjectRegistry } from "../../creds/mod.ts";
import { directories, objects } from "../chardev/devices.ts";
import { oneByte, readExactly } from "../support/channels.ts";
import { enginesHere } from "../support/engines.ts";
import { loopbackTest } from "../support/loopback.ts";
import { programTest } from "../support/programs.ts";
import { startQemu } from "../support/qemu.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { REQUEST } from "../chardev/websocket_rows.ts";
import { BANNER, startSerialQemu } from "./chardev_guest.ts";

const SERVER = "host=127.0.0.1,port=0,server=on,wait=off,tls-creds=tls0";
const VERSIONS = ["1.2", "1.3"] as const;
const only = (version: string) => `,priority=NORMAL:-VERS-ALL:+VERS-TLS${version}`;
const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array) => new TextDecoder().decode(data);

function serverObject(dir: string): string {
  return `tls-creds-x509,id=tls0,dir=${dir},endpoint=server,sanity-check=off`;
}

/** A connection to a serial port, as a client of ours has it. */
function reach(objects: ObjectRegistry, { host, port }: TcpAddress) {
  const chardev = parseSocketChardev(`socket,id=c0,host=${host},port=${port},tls-creds=tls0`);
  return dialChardev(chardev, { tls: planTls(chardev, objects)! });
}

loopbackTest(
  "QEMU loses sight of bytes in a TLS 1.2 or 1.3 record, and sendTyped() makes it look",
  ["qemu-system-x86_64"],
  async (host) => {
    using folder = temporaryDirectory();
    const dirs = await directories(folder.path);
    await using serial = await startSerialQemu(SERVER.replace("127.0.0.1", host), [
      serverObject(dirs.localhost),
    ]);
    const version = await serial.qemu.qmp.execute("query-version") as { qemu: { major: number } };
    for (const [turn, tls] of VERSIONS.entries()) {
      using ours = await objects(undefined, dirs.elsewhere, "client", only(tls));
      await using channel = await reach(ours, await serial.address());
      assertEquals(channel.facts?.version, `TLS${tls}`);
      await serial.connected();
      if (turn === 0) {
        await serial.run();
        assertEquals(text(await readExactly(channel, BANNER.length)), BANNER);
      }
      // One record: the guest gets one byte of it, and the rest with what comes next.
      await channel.write(bytes("hello"));
      assertEquals(text(await readExactly(channel, 1)), "h");
      const late = readExactly(channel, 5);
      const silence = new Promise<string>((resolve) => setTimeout(() => resolve("silence"), 300));
      const heard = await Promise.race([late.then(text), silence]);
      if (version.qemu.major < 10) assertEquals(heard, "silence");
      await channel.write(bytes("!"));
      assertEquals(text(await late), "ello!");
      for (const word of ["a", "typed", "x".repeat(500)]) {
        await sendTyped(channel, bytes(word));
        assertEquals(text(await readExactly(channel, word.length)), word);
      }
    }
  },
);

for (const { name: engine } of await enginesHere()) {
  loopbackTest(
    `a chardev leaves no decrypted byte waiting, however few are taken at once (${engine})`,
    ["qemu-system-x86_64"],
    async (host) => {
      using folder = temporaryDirectory();
      const dirs = await directories(folder.path);
      using ours = await objects(engine, dirs.localhost, "server");
      const chardev = parseSocketChardev(
        `socket,id=s0,host=${host},port=0,server=on,tls-creds=tls0`,
      );
      await using server = await serveChardev(chardev, { tls: planTls(chardev, ours)! });
      assert(server.address.kind === "tcp");
      // A monitor says more than one byte in a record, and nothing after it.
      await using qemu = await startQemu({
        machine: "none",
        args: [
          ...["-object", serverObject(dirs.localhost)],
          ...["-chardev", `socket,id=m0,${SERVER.replace("127.0.0.1", host)}`],
          ...["-mon", "chardev=m0,mode=control"],
        ],
      });
      const rows = await qemu.qmp.execute("query-chardev") as Record<string, string>[];
      const { filename } = rows.find(({ label }) => label === "m0")!;
      const port = Number(/:(\d+),server/.exec(filename!)![1]);
      for (const version of VERSIONS) {
        using theirs = await objects(engine, dirs.elsewhere, "client", only(version));
        await using client = await reach(theirs, server.address);
        await using channel = await server.accept();
        await client.write(bytes("one record of some bytes"));
        assertEquals(text(await readExactly(oneByte(channel), 24)), "one record of some bytes");

        await using monitor = await reach(theirs, { kind: "tcp", host, port });
        assertEquals(monitor.facts?.version, `TLS${version}`);
        let greeting = "";
        while (!greeting.endsWith("\r\n")) {
          greeting += text(await readExactly(oneByte(monitor), 1));
        }
        assertMatch(greeting, /^\{"QMP": \{"version": .*\}\}\r\n$/);
      }
    },
  );
}

loopbackTest(
  "a chardev tells a QEMU that was cut off from a peer of ours that says goodbye",
  ["qemu-system-x86_64"],
  async (host) => {
    using folder = temporaryDirectory();
    const dirs = await directories(folder.path);
    using ours = await objects(undefined, dirs.localhost, "server");
    const chardev = parseSocketChardev(`socket,id=s0,host=${host},port=0,server=on,tls-creds=tls0`);
    await using server = await serveChardev(chardev, { tls: planTls(chardev, ours)! });
    assert(server.address.kind === "tcp");
    for (const tls of VERSIONS) {
      using theirs = await objects(undefined, dirs.elsewhere, "client", only(tls));
      {
        await using serial = await startSerialQemu(SERVER.replace("127.0.0.1", host), [
          serverObject(dirs.localhost),
        ]);
        await using channel = await reach(theirs, await serial.address());
        await serial.connected();
        await serial.run();
        await readExactly(channel, BANNER.length);
        const version = await serial.qemu.qmp.execute("query-version") as {
          qemu: { major: number };
        };
        await serial.qemu.qmp.execute("quit").catch(() => {});
        assertEquals(await channel.read(new Uint8Array(1)), null);
        // QEMU from 10.0 on says goodbye.
        assertEquals(channel.closedCleanly, version.qemu.major >= 10);
      }
      for (const goodbye of [true, false]) {
        await using client = await reach(theirs, server.address);
        await using channel = await server.accept();
        if (goodbye) await channel.closeWrite();
        else channel.close();
        assertEquals(await client.read(new Uint8Array(1)), null);
        assertEquals(client.closedCleanly, goodbye);
      }
    }
  },
);

programTest(
  "QEMU and a chardev server do WebSocket inside TLS alike",
  ["qemu-system-x86_64"],
  async () => {
    using folder = temporaryDirectory();
    const dirs = await directories(folder.path);
    using theirs = await objects(undefined, dirs.elsewhere, "client");
    using ours = await objects(undefined, dirs.localhost, "server");
    const creds = theirs.tlsCreds("tls0", "client");
    const ask = async (address: TcpAddress): Promise<string> => {
      await using channel = await startTls(await connect(address), {
        creds,
        hostname: "localhost",
      });
      await channel.write(bytes(REQUEST));
      return text(await readExactly(channel, 184)).replace(/^Date: .*\r\n/m, "");
    };
    await using serial = await startSerialQemu(`${SERVER},websocket=on`, [
      serverObject(dirs.localhost),
    ]);
    const rows = await serial.qemu.qmp.execute("query-chardev") as Record<string, string>[];
    const name = rows.find((row) => row.label === "c0")!.filename!;
    const port = Number(/^disconnected:websocket:127\.0\.0\.1:(\d+)/.exec(name)![1]);
    const chardev = parseSocketChardev(
      "socket,id=s0,host=127.0.0.1,port=0,server=on,tls-creds=tls0,websocket=on",
    );
    await using server = await serveChardev(chardev, { tls: planTls(chardev, ours)! });
    assert(server.address.kind === "tcp");
    const expected = await ask({ kind: "tcp", host: "127.0.0.1", port });
    assertMatch(expected, /^HTTP\/1\.1 101 /);
    assertEquals(await ask(server.address), expected);
  },
);
