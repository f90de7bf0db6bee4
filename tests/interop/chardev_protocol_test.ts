import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { pause } from "../../base/mod.ts";
import { connect, startTls, type TcpAddress } from "../../channel/mod.ts";
import {
  ANNOUNCEMENT,
  dialChardev,
  makeMux,
  parseSocketChardev,
  planTls,
  serveChardev,
} from "../../chardev/mod.ts";
import type { ByteChannel } from "../../engine/mod.ts";
import { directories, objects } from "../chardev/devices.ts";
import { readExactly } from "../support/channels.ts";
import { programTest } from "../support/programs.ts";
import { startQemu } from "../support/qemu.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { clientFrame, FRAME_ROWS, REQUEST, REQUEST_ROWS } from "../chardev/websocket_rows.ts";
import { BANNER, startSerialQemu } from "./chardev_guest.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array) => new TextDecoder().decode(data);

/** What a right request without a protocol is answered, in bytes. */
const ANSWER_LENGTH = 184;

/** Reads what comes until it ends or nothing has come for a while. */
async function readQuiet(channel: ByteChannel, quiet = 300): Promise<[Uint8Array, boolean]> {
  const parts: number[] = [];
  const buffer = new Uint8Array(16 * 1024);
  for (;;) {
    const heard = new AbortController();
    const silence = pause(quiet, heard.signal).then(
      () => "silence" as const,
      () => "heard" as const,
    );
    const count = await Promise.race([channel.read(buffer).catch(() => null), silence]);
    heard.abort();
    if (typeof count !== "number") return [Uint8Array.from(parts), count === null];
    parts.push(...buffer.subarray(0, count));
  }
}

/** Where a device listens. */
async function whereIs(
  qmp: { execute(command: string): Promise<unknown> },
  label: string,
): Promise<TcpAddress> {
  const rows = await qmp.execute("query-chardev") as Record<string, string>[];
  const name = rows.find((row) => row.label === label)!.filename!;
  return { kind: "tcp", host: "127.0.0.1", port: Number(/127\.0\.0\.1:(\d+)/.exec(name)![1]) };
}

/** A server of ours, and what it answers. */
async function ours(options: string) {
  const chardev = parseSocketChardev(`socket,id=s0,host=127.0.0.1,port=0,server=on${options}`);
  const server = await serveChardev(chardev);
  if (server.address.kind !== "tcp") throw new Error("not a TCP address");
  return { server, address: server.address };
}

programTest(
  "QEMU and a chardev server announce telnet and tn3270 with the same bytes",
  ["qemu-system-x86_64"],
  async () => {
    for (const flavour of ["telnet", "tn3270"] as const) {
      await using qemu = await startQemu({
        machine: "none",
        args: ["-chardev", `socket,id=c0,host=127.0.0.1,port=0,server=on,wait=off,${flavour}=on`],
      });
      const { server, address } = await ours(`,${flavour}=on`);
      await using _ = server;
      const answers: Uint8Array[] = [];
      for (const at of [await whereIs(qemu.qmp, "c0"), address]) {
        await using client = await connect(at);
        answers.push(await readExactly(client, ANNOUNCEMENT[flavour].length));
      }
      assertEquals(answers[1], answers[0], flavour);
    }
  },
);

programTest(
  "a chardev client talks telnet to the serial port of a real QEMU, each byte of it",
  ["qemu-system-x86_64"],
  async () => {
    await using serial = await startSerialQemu(
      "host=127.0.0.1,port=0,server=on,wait=off,telnet=on",
    );
    const { port } = await whereIs(serial.qemu.qmp, "c0");
    await using client = await dialChardev(
      parseSocketChardev(`socket,id=s0,host=127.0.0.1,port=${port},telnet=on`),
    );
    await serial.connected();
    await serial.run();
    assertEquals(text(await readExactly(client, BANNER.length)), BANNER);
    // A byte 255 comes back from QEMU as it is, which begins a command: only the others.
    for (const byte of [0, 1, 0x0d, 0x7f, 0x80, 0xf3, 0xfe]) {
      await client.write(Uint8Array.of(byte));
      assertEquals(await readExactly(client, 1), Uint8Array.of(byte));
    }
    // A break reads as a zero in the guest's port.
    await client.sendBreak?.();
    assertEquals(text(await readExactly(client, 1)), "\0");
    await client.write(bytes("after"));
    assertEquals(text(await readExactly(client, 5)), "after");
    // One that the monitor sends is the guest's too: the peer hears only what the guest says of it.
    let breaks = 0;
    client.onBreak = () => breaks++;
    await serial.qemu.qmp.execute("chardev-send-break", { id: "c0" });
    assertEquals(text(await readExactly(client, 1)), "\0");
    await client.write(bytes("more"));
    assertEquals(text(await readExactly(client, 4)), "more");
    assertEquals(breaks, 0);
  },
);

programTest(
  "a real QEMU that dials in with telnet=on talks to a chardev server",
  ["qemu-system-x86_64"],
  async () => {
    const { server, address } = await ours(",telnet=on");
    await using _ = server;
    await using serial = await startSerialQemu(
      `host=127.0.0.1,port=${address.port},telnet=on`,
    );
    await using channel = await server.accept();
    await serial.run();
    assertEquals(text(await readExactly(channel, BANNER.length)), BANNER);
    await channel.write(bytes("x"));
    assertEquals(text(await readExactly(channel, 1)), "x");
  },
);

programTest(
  "QEMU with TLS sends its telnet announcement in plain text, a chardev server inside TLS",
  ["qemu-system-x86_64"],
  async () => {
    using folder = temporaryDirectory();
    const dirs = await directories(folder.path);
    using serverObjects = await objects(undefined, dirs.localhost, "server");
    using clientObjects = await objects(undefined, dirs.elsewhere, "client");
    const creds = clientObjects.tlsCreds("tls0", "client");
    const start = async (address: TcpAddress) => {
      const raw = await connect(address);
      const seen: number[] = [];
      const recorded: ByteChannel = {
        ...raw,
        async read(into) {
          const count = await raw.read(into);
          if (count !== null) seen.push(...into.subarray(0, count));
          return count;
        },
      };
      const inside = await startTls(recorded, { creds, hostname: "localhost" });
      return { inside, seen };
    };
    const isIn = (seen: readonly number[]) => seen.join().includes([...ANNOUNCEMENT.telnet].join());

    await using serial = await startSerialQemu(
      "host=127.0.0.1,port=0,server=on,wait=off,telnet=on,tls-creds=tls0",
      [`tls-creds-x509,id=tls0,dir=${dirs.localhost},endpoint=server`],
    );
    const theirs = await start(await whereIs(serial.qemu.qmp, "c0"));
    await assertRejects(() => theirs.inside.read(new Uint8Array(100)));
    assertEquals(isIn(theirs.seen), true);

    const chardev = parseSocketChardev(
      "socket,id=s0,host=127.0.0.1,port=0,server=on,telnet=on,tls-creds=tls0",
    );
    const tls = planTls(chardev, serverObjects);
    await using server = await serveChardev(chardev, tls === undefined ? {} : { tls });
    if (server.address.kind !== "tcp") throw new Error("not a TCP address");
    const mine = await start(server.address);
    assertEquals(await readExactly(mine.inside, 12), ANNOUNCEMENT.telnet);
    assertEquals(isIn(mine.seen), false);
    mine.inside.close();
  },
);

/** What a server answers a request, its date left out, and whether it hangs up then. */
async function ask(address: TcpAddress, request: string): Promise<[string, boolean]> {
  await using client = await connect(address);
  await client.write(bytes(request));
  const [answer, ended] = await readQuiet(client);
  return [text(answer).replace(/^Date: .*\r\n/m, ""), ended];
}

programTest(
  "QEMU and a chardev server answer the same WebSocket requests with the same bytes",
  ["qemu-system-x86_64"],
  async () => {
    await using qemu = await startQemu({
      machine: "none",
      args: ["-chardev", "socket,id=c0,host=127.0.0.1,port=0,server=on,wait=off,websocket=on"],
    });
    const theirs = await whereIs(qemu.qmp, "c0");
    const { server, address } = await ours(",websocket=on");
    await using _ = server;
    // Who has left before its turn is let in no more.
    let accepted = server.accept();
    for (const [name, request] of REQUEST_ROWS) {
      const [expected, answer] = await Promise.all([ask(theirs, request), ask(address, request)]);
      assertEquals(answer[0], expected[0], name);
      if (!expected[0].startsWith("HTTP/1.1 101")) assertEquals(answer[1], expected[1], name);
      else {
        (await accepted).close();
        accepted = server.accept();
      }
    }
    server.close();
    await assertRejects(() => accepted);
  },
);

/** A QEMU whose guest echoes what comes in WebSocket frames, and where its port is. */
async function webSocketQemu() {
  const serial = await startSerialQemu(
    "host=127.0.0.1,port=0,server=on,wait=off,websocket=on",
  );
  const at = await whereIs(serial.qemu.qmp, "c0");
  // Its first client is there before the guest says what nobody may miss.
  await using first = await connect(at);
  await first.write(bytes(REQUEST));
  await readExactly(first, ANSWER_LENGTH);
  await serial.run();
  // Each byte of the banner may come in a frame of its own.
  for (let shown = ""; !shown.includes("K");) shown += text(await readExactly(first, 1));
  return { serial, at };
}

/** What comes for frames and, after a wait in ms, a byte more; nothing where no answer comes. */
async function answerTo(
  at: TcpAddress,
  frames: Uint8Array,
  wait: number,
): Promise<Uint8Array | undefined> {
  await using client = await connect(at);
  await client.write(bytes(REQUEST));
  const hangUp = setTimeout(() => client.close(), 5_000);
  try {
    await readExactly(client, ANSWER_LENGTH);
  } catch {
    return undefined;
  } finally {
    clearTimeout(hangUp);
  }
  await client.write(frames);
  await pause(wait);
  await client.write(clientFrame(0x82, bytes("y"))).catch(() => {});
  return (await readQuiet(client, 200 + wait))[0];
}

programTest(
  "QEMU answers WebSocket frames as a chardev server is tested to",
  ["qemu-system-x86_64"],
  async () => {
    let qemu = await webSocketQemu();
    try {
      for (const [name, frames, data, answer] of FRAME_ROWS) {
        // The echo guest answers data, and takes one byte of a frame.
        if (data !== "") continue;
        const echo = answer[0] === 0x88 ? [] : [0x82, 1, 0x79];
        const expected = Uint8Array.of(...answer, ...echo);
        let got: Uint8Array | undefined;
        // QEMU sends what it answers together with the next data, and only if that comes by itself:
        // on a busy machine it takes longer until it has read the first.
        for (const wait of [100, 1000, 3000, 3000]) {
          got = await answerTo(qemu.at, frames, wait);
          if (got?.join() === expected.join()) break;
          if (got !== undefined) continue;
          // A busy QEMU 7.2 may miss that a client has left, and serves nobody from then on.
          await qemu.serial[Symbol.asyncDispose]();
          qemu = await webSocketQemu();
        }
        assertEquals(got, expected, name);
      }
    } finally {
      await qemu.serial[Symbol.asyncDispose]();
    }
  },
);

programTest(
  "QEMU prints the help of its escape key as makeMux() does",
  ["qemu-system-x86_64"],
  async () => {
    await using serial = await startSerialQemu(
      "host=127.0.0.1,port=0,server=on,wait=off,mux=on",
    );
    const rows = await serial.qemu.qmp.execute("query-chardev") as Record<string, string>[];
    const name = rows.find((row) => row.label === "c0-base")!.filename!;
    assertMatch(name, /^disconnected:tcp:127\.0\.0\.1:\d+,server=on$/);
    await using client = await connect(await whereIs(serial.qemu.qmp, "c0-base"));
    await client.write(bytes("\x01h"));
    let printed = "";
    makeMux({}, (shown) => printed += shown).input(bytes("\x01h"));
    assertEquals(text(await readExactly(client, printed.length)), printed);
    await serial.run();
    assertEquals(text(await readExactly(client, BANNER.length)), BANNER);
    // Ctrl-A twice is one for the guest, which sends it back.
    await client.write(bytes("\x01\x01"));
    assertEquals(text(await readExactly(client, 1)), "\x01");
  },
);
