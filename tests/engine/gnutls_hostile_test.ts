// Peers that mean harm: they get an error or an end, never a hang, never the process.

import { assert, assertEquals, assertRejects } from "@std/assert";
import { type ByteChannel, EngineError } from "../../engine/mod.ts";
import { pair, readToEnd } from "../support/channels.ts";
import { gnutlsTest, makePki, openEnds } from "./_gnutls.ts";

const HANDSHAKE = 22;
const ALERT = 21;
const APPLICATION_DATA = 23;

function record(type: number, body: Uint8Array): Uint8Array {
  return Uint8Array.of(type, 3, 3, body.length >> 8, body.length & 0xff, ...body);
}

/** A handshake message that says it has 16 MiB, as records; endless for who reads on. */
async function sendHugeMessage(channel: ByteChannel, messageType: number): Promise<number> {
  let sent = 0;
  const first = new Uint8Array(16_384);
  first.set([messageType, 0xff, 0xff, 0xff]);
  if (messageType === 1) first.set([3, 3], 4);
  try {
    for (; sent < 16 << 20; sent += 16_384) {
      await channel.write(record(HANDSHAKE, sent === 0 ? first : new Uint8Array(16_384)));
    }
  } catch { /* it was closed, as it should be */ }
  return sent;
}

for (const role of ["server", "client"] as const) {
  gnutlsTest(
    `open() as a ${role} refuses a handshake message of 16 MiB at once`,
    async (engine) => {
      const { spec } = await makePki();
      using credentials = engine.credentials(await spec(role));
      const [a, b] = pair();
      const sending = sendHugeMessage(b, role === "server" ? 1 : 2);
      const error = await assertRejects(() => engine.open(a, { credentials }), EngineError);
      assertEquals(error.code, "TLS_HANDSHAKE");
      const sent = await sending;
      assert(sent < 1 << 20, `${sent} bytes were taken`);
    },
  );

  for (
    const [what, bytes] of [
      ["warning alerts", record(ALERT, Uint8Array.of(1, 90))],
      ["empty handshake records", record(HANDSHAKE, new Uint8Array())],
      ["empty records of data", record(APPLICATION_DATA, new Uint8Array())],
      ["change_cipher_spec", record(20, Uint8Array.of(1))],
    ] as const
  ) {
    gnutlsTest(`open() as a ${role} ends a flood of ${what}`, async (engine) => {
      const { spec } = await makePki();
      using credentials = engine.credentials(await spec(role));
      const [a, b] = pair();
      let sent = 0;
      const flood = (async () => {
        const block = new Uint8Array(bytes.length * 1000);
        for (let i = 0; i < 1000; i++) block.set(bytes, i * bytes.length);
        for (; sent < 10_000; sent += 1000) await b.write(block);
        await b.closeWrite();
      })().catch(() => {});
      const error = await assertRejects(
        () => engine.open(a, { credentials, timeout: 5000 }),
        EngineError,
      );
      assertEquals(error.code, "TLS_HANDSHAKE");
      await flood;
    });
  }
}

gnutlsTest("a session ends with an error at a record that is not encrypted", async (engine) => {
  const { spec } = await makePki();
  const injected = [
    record(APPLICATION_DATA, new Uint8Array(100)),
    record(ALERT, Uint8Array.of(2, 40)),
    record(HANDSHAKE, Uint8Array.of(0, 0, 0, 0)),
    record(99, new Uint8Array(10)),
    Uint8Array.of(23, 3, 3, 0xff, 0xff),
    Uint8Array.of(23, 9, 9, 0, 20, ...new Uint8Array(20)),
  ];
  for (const priority of ["NORMAL", "NORMAL:-VERS-TLS1.3"]) {
    for (const bytes of injected) {
      const [a, b] = pair();
      using ends = await openEnds(engine, await spec("server", priority), await spec("client"), {
        channels: [a, b],
      });
      await ends.client.write(Uint8Array.of(1, 2, 3));
      await a.write(bytes);
      await a.closeWrite();
      const buffer = new Uint8Array(50);
      assertEquals(await ends.server.read(buffer), 3);
      const error = await assertRejects(() => ends.server.read(buffer), EngineError);
      assertEquals(error.code, "TLS_READ");
      // And again: an end is an end.
      await assertRejects(() => ends.server.read(buffer), EngineError);
    }
  }
});

gnutlsTest("a session tells a stop in mid-record from an end", async (engine) => {
  const { spec } = await makePki();
  for (const keep of [1, 3, 4, 5, 6, 50, 120]) {
    const [a, b] = pair();
    let left = Infinity;
    const cut: ByteChannel = {
      ...a,
      async write(bytes) {
        const part = bytes.subarray(0, Math.min(left, bytes.length));
        left -= part.length;
        if (part.length > 0) await a.write(part);
      },
    };
    using ends = await openEnds(engine, await spec("server"), await spec("client"), {
      channels: [cut, b],
    });
    left = keep;
    await ends.client.write(new Uint8Array(100));
    ends.client.close();
    assertEquals((await readToEnd(ends.server)).length, 0);
    assertEquals(ends.server.closedCleanly, false);
  }
});
