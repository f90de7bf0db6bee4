import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import fc from "fast-check";
import { VirtcredsError } from "../../base/mod.ts";
import { type ChardevChannel, ChardevError, startWebsocket } from "../../chardev/mod.ts";
import { oneByte, pair, readExactly, readToEnd } from "../support/channels.ts";
import { watchMemory } from "../support/memory.ts";
import { soakCount, soakRow } from "../support/soak.ts";
import { clientFrame, FRAME_ROWS, REQUEST, REQUEST_ROWS } from "./websocket_rows.ts";

const NOW = new Date("2026-11-24T08:53:28Z");
/** QEMU's to the example of RFC 6455. */
const ANSWER =
  "HTTP/1.1 101 Switching Protocols\r\nServer: QEMU VNC\r\nDate: Tue, 24 Nov 2026 08:53:28 GMT\r\n" +
  "Upgrade: websocket\r\nConnection: Upgrade\r\n" +
  "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array) => new TextDecoder().decode(data);

/** A server's end of a connection whose client has asked for a WebSocket, and that client. */
async function opened(cut = false): Promise<[ChardevChannel, ReturnType<typeof pair>[1]]> {
  const [a, b] = pair();
  await b.write(bytes(REQUEST));
  const channel = await startWebsocket(cut ? oneByte(a) : a, NOW);
  assertEquals(text(await readExactly(b, ANSWER.length)), ANSWER);
  return [channel, b];
}

Deno.test("startWebsocket() answers the example of RFC 6455 as QEMU does", async () => {
  const [a, b] = pair();
  await b.write(bytes(REQUEST));
  const channel = await startWebsocket(a, NOW);
  channel.close();
  assertEquals(text(await readToEnd(b)), ANSWER);
});

Deno.test("startWebsocket() refuses requests with QEMU's answers and says why", async () => {
  for (const [name, request, status] of REQUEST_ROWS) {
    const [a, b] = pair();
    await b.write(bytes(request));
    const starting = startWebsocket(a, NOW);
    if (status === "101") {
      (await starting).close();
    } else {
      const error = await assertRejects(() => starting, ChardevError, "", name);
      assertMatch(error.message, /^no WebSocket: it/, name);
      a.close();
    }
    assertEquals(text(await readToEnd(b)).slice(9, 12), status, name);
  }
});

Deno.test("startWebsocket() reads frames and answers them as QEMU does, wherever they are cut", async () => {
  for (const cut of [false, true]) {
    for (const [name, frames, data, answer] of FRAME_ROWS) {
      const [channel, client] = await opened(cut);
      await client.write(frames);
      await client.closeWrite();
      let got = "";
      let fault = "";
      const into = new Uint8Array(64);
      try {
        for (let n; (n = await channel.read(into)) !== null;) got += text(into.subarray(0, n));
      } catch (error) {
        assert(error instanceof ChardevError, name);
        fault = error.message;
      }
      channel.close();
      assertEquals(got, data, name);
      assertEquals(await readToEnd(client), answer, `${name}: ${fault}`);
    }
  }
});

Deno.test("a WebSocket writes binary frames of every size of header", async () => {
  for (const [length, header] of [[5, 2], [125, 2], [126, 4], [8192, 4]] as const) {
    const [channel, client] = await opened();
    await channel.write(new Uint8Array(length).fill(7));
    const frame = await readExactly(client, header + length);
    assertEquals(frame[0], 0x82);
    assertEquals(frame[1], header === 2 ? length : 126);
    if (header === 4) assertEquals((frame[2]! << 8) + frame[3]!, length);
    assertEquals(frame.subarray(header), new Uint8Array(length).fill(7));
  }
  const [channel, client] = await opened();
  await channel.write(new Uint8Array(8193));
  assertEquals(
    (await readExactly(client, 4 + 8192 + 2 + 1)).subarray(-3),
    Uint8Array.of(0x82, 1, 0),
  );
});

Deno.test("a WebSocket survives any request and any frames, with an end or one error", async () => {
  const runs = soakCount(10_000);
  const memory = watchMemory(runs);
  const seeds = FRAME_ROWS.map(([, frames]) => frames);
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...seeds),
      fc.array(fc.tuple(fc.nat(40), fc.nat(255)), { maxLength: 4 }),
      fc.uint8Array({ maxLength: 30 }),
      fc.boolean(),
      async (frames, changes, tail, mutateRequest) => {
        memory.turn();
        const stream = Uint8Array.of(...bytes(REQUEST), ...frames, ...tail);
        const from = mutateRequest ? 0 : bytes(REQUEST).length;
        for (const [at, byte] of changes) {
          if (from + at < stream.length) stream[from + at] = byte;
        }
        const [a, b] = pair();
        await b.write(stream);
        await b.closeWrite();
        try {
          const channel = await startWebsocket(a, NOW);
          const into = new Uint8Array(64);
          while (await channel.read(into) !== null);
        } catch (error) {
          assert(error instanceof VirtcredsError, String(error));
          refused++;
        }
        a.close();
      },
    ),
    { numRuns: runs, timeout: 30_000, endOnFailure: true },
  );
  soakRow(
    "mutated WebSocket requests and frames",
    runs,
    `${refused} refused, the rest ended; ${memory.flat()}`,
  );
});

Deno.test("a browser's WebSocket talks to a served device", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const { connect: _, listen: _1, ...rest } = await import("../../channel/mod.ts");
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, "binary");
  socket.binaryType = "arraybuffer";
  const channel = await startWebsocket(rest.socketChannel(await listener.accept()));
  const message = new Promise<string>((resolve) =>
    socket.onmessage = ({ data }) => resolve(text(new Uint8Array(data)))
  );
  const open = new Promise((resolve) => socket.onopen = resolve);
  await open;
  socket.send(clientBytes("typed"));
  const into = new Uint8Array(100);
  const count = await channel.read(into);
  assertEquals(text(into.subarray(0, count!)), "typed");
  await channel.write(bytes("shown"));
  assertEquals(await message, "shown");
  const closed = new Promise<CloseEvent>((resolve) => socket.onclose = resolve);
  socket.close();
  assertEquals(await channel.read(into), null);
  assertEquals((await closed).code, 1000);
  channel.close();
  listener.close();
});

function clientBytes(word: string): ArrayBuffer {
  return bytes(word).buffer as ArrayBuffer;
}

Deno.test("clientFrame() makes what RFC 6455 shows", () => {
  const mask = [0x37, 0xfa, 0x21, 0x3d];
  assertEquals(
    clientFrame(0x81, bytes("Hello"), { mask }),
    Uint8Array.of(0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58),
  );
});
