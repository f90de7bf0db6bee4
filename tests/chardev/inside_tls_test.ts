/** Protocols of a socket device inside TLS, each byte of them. */

import { assert, assertEquals } from "@std/assert";
import { connect, startTls } from "../../channel/mod.ts";
import {
  ANNOUNCEMENT,
  dialChardev,
  parseSocketChardev,
  planTls,
  serveChardev,
} from "../../chardev/mod.ts";
import { readExactly, readToEnd } from "../support/channels.ts";
import { enginesHere } from "../support/engines.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { type Directories, directories, objects } from "./devices.ts";
import { clientFrame, FRAME_ROWS, REQUEST } from "./websocket_rows.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array) => String.fromCharCode(...data);

/** What a right request without a protocol is answered, in bytes. */
const ANSWER_LENGTH = 184;

/** A frame whose length takes eight bytes, masked with zeros. */
function hugeFrame(payload: Uint8Array): Uint8Array {
  const header = new Uint8Array(14);
  header.set([0x82, 0xff]);
  new DataView(header.buffer).setUint32(6, payload.length);
  return Uint8Array.of(...header, ...payload);
}

for (const { name: engine } of await enginesHere()) {
  /** A server of ours with a protocol inside TLS, and how to reach the inside of that TLS. */
  const served = async (dirs: Directories, protocol: string) => {
    const ours = await objects(engine, dirs.localhost, "server");
    const theirs = await objects(engine, dirs.elsewhere, "client");
    const chardev = parseSocketChardev(
      `socket,id=s0,host=127.0.0.1,port=0,server=on,tls-creds=tls0,${protocol}`,
    );
    const server = await serveChardev(chardev, { tls: planTls(chardev, ours)! });
    const { address } = server;
    assert(address.kind === "tcp");
    return {
      accept: () => server.accept(),
      reach: async () =>
        await startTls(await connect(address), {
          creds: theirs.tlsCreds("tls0", "client"),
          hostname: "localhost",
        }),
      dial: async () => {
        const client = parseSocketChardev(
          `socket,id=c0,host=localhost,port=${address.port},ipv6=off,tls-creds=tls0,${protocol}`,
        );
        return await dialChardev(client, { tls: planTls(client, theirs)! });
      },
      async [Symbol.asyncDispose]() {
        await server[Symbol.asyncDispose]();
        ours[Symbol.dispose]();
        theirs[Symbol.dispose]();
      },
    };
  };

  Deno.test(`telnet and tn3270 inside TLS keep each byte, breaks and records (${engine})`, async () => {
    using folder = temporaryDirectory();
    const dirs = await directories(folder.path);
    const all = Uint8Array.from({ length: 256 }, (_, i) => i);
    const doubled = Uint8Array.of(...all, 0xff);
    const broken = Uint8Array.of(0xff, 0xf3);
    {
      await using server = await served(dirs, "telnet=on");
      await using client = await server.reach();
      assertEquals(await readExactly(client, ANNOUNCEMENT.telnet.length), ANNOUNCEMENT.telnet);
      await using channel = await server.accept();
      let breaks = 0;
      channel.onBreak = () => breaks++;
      await client.write(Uint8Array.of(...doubled, ...broken, 7));
      assertEquals(await readExactly(channel, 257), Uint8Array.of(...all, 7));
      assertEquals(breaks, 1);
      await channel.write(all);
      await channel.sendBreak?.();
      assertEquals(await readExactly(client, 259), Uint8Array.of(...doubled, ...broken));
    }
    {
      await using server = await served(dirs, "tn3270=on");
      await using client = await server.reach();
      assertEquals(await readExactly(client, ANNOUNCEMENT.tn3270.length), ANNOUNCEMENT.tn3270);
      await using channel = await server.accept();
      // An option of the client is dropped, the end of a record is the guest's.
      const record = Uint8Array.of(0x61, 0xff, 0xef);
      await client.write(Uint8Array.of(0xff, 0xfb, 0x19, ...record));
      assertEquals(await readExactly(channel, 3), record);
      await channel.write(record);
      assertEquals(await readExactly(client, 3), record);
    }
    for (const protocol of ["telnet=on", "tn3270=on"]) {
      await using server = await served(dirs, protocol);
      await using client = await server.dial();
      await using channel = await server.accept();
      // The borders of a subnegotiation are the guest's, and so is what is in it.
      const told = protocol === "tn3270=on" ? ANNOUNCEMENT.tn3270.subarray(15) : [];
      const data = protocol === "telnet=on" ? all : all.subarray(0, 255);
      for (const [from, to] of [[client, channel], [channel, client]] as const) {
        await from.write(data);
        const heard = await readExactly(to, told.length + data.length);
        assertEquals(heard, Uint8Array.of(...told, ...data), protocol);
      }
    }
  });

  Deno.test(`WebSocket frames inside TLS are read and answered as without it (${engine})`, async () => {
    using folder = temporaryDirectory();
    const dirs = await directories(folder.path);
    await using server = await served(dirs, "websocket=on");
    for (const [name, frames, data, answer] of FRAME_ROWS) {
      await using client = await server.reach();
      await client.write(bytes(REQUEST));
      await readExactly(client, ANSWER_LENGTH);
      await using channel = await server.accept();
      await client.write(frames);
      await client.closeWrite();
      const got = await readToEnd(channel).catch(() => undefined);
      // A frame that breaks the rules is a failure of the channel, and has no data.
      assertEquals(text(got ?? new Uint8Array(0)), data, name);
      channel.close();
      assertEquals(await readExactly(client, answer.length), answer, name);
    }
  });

  Deno.test(`WebSocket frames of every kind of length pass TLS both ways (${engine})`, async () => {
    using folder = temporaryDirectory();
    const dirs = await directories(folder.path);
    await using server = await served(dirs, "websocket=on");
    await using client = await server.reach();
    await client.write(bytes(REQUEST));
    await readExactly(client, ANSWER_LENGTH);
    await using channel = await server.accept();
    for (const length of [1, 125, 126, 127, 8192, 65_535, 65_536, 70_000]) {
      const payload = Uint8Array.from({ length }, (_, i) => i % 251);
      const frame = length < 65_536 ? clientFrame(0x82, payload) : hugeFrame(payload);
      // What does not fit in the kernel's buffers waits until it is read.
      const [, heard] = await Promise.all([client.write(frame), readExactly(channel, length)]);
      assertEquals(heard, payload, `${length} to the server`);
      if (length > 8192) continue;
      await channel.write(payload);
      const header = length < 126
        ? Uint8Array.of(0x82, length)
        : Uint8Array.of(0x82, 126, length >> 8, length & 0xff);
      assertEquals(
        await readExactly(client, header.length + length),
        Uint8Array.of(...header, ...payload),
        `${length} to the client`,
      );
    }
    // A message in three frames and a ping after it.
    await client.write(clientFrame(0x02, bytes("one ")));
    await client.write(clientFrame(0x00, bytes("two ")));
    await client.write(clientFrame(0x80, bytes("three")));
    await client.write(clientFrame(0x89, bytes("?")));
    await client.write(clientFrame(0x82, bytes("!")));
    assertEquals(text(await readExactly(channel, 14)), "one two three!");
    assertEquals(await readExactly(client, 3), Uint8Array.of(0x8a, 1, 0x3f));
  });
}
