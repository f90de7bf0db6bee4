import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import type { ByteChannel } from "../../engine/mod.ts";
import { MigrationError } from "../../migration/error.ts";
import { receiveStream } from "../../migration/receive.ts";
import { discardingSink } from "../../migration/sink.ts";
import { type SendOptions, sendStream } from "../../migration/send.ts";
import { resetShows } from "../../migration/source_service.ts";
import type { StreamSource } from "../../migration/stream_file.ts";
import { pair, readExactly, readToEnd, tcpPair } from "../support/channels.ts";
import { guestStream, hex, stillGuest } from "./streams.ts";

const GUEST = stillGuest(4 * 1024 * 1024);
/** How the source's service learns of a reset. */
function wasReset(channel: ByteChannel): SendOptions {
  return { wasReset: () => resetShows(channel, false) };
}

/** The same without a way back: what was recorded so is sent so. */
const SILENT: StreamSource & { readonly length: number } = { ...GUEST, returnPath: false };

Deno.test("sendStream() and receiveStream() agree", async () => {
  const [a, b] = await tcpPair();
  const [sending, reception] = await Promise.all([
    sendStream(a, GUEST),
    receiveStream(b, { begin: discardingSink }),
  ]);
  assertEquals(sending.acknowledged, "shut");
  assertEquals(sending.bytes, reception.summary.bytes);
});

Deno.test("sendStream() waits for SHUT where the stream opens the way back", async () => {
  const [a, b] = pair();
  const sending = sendStream(a, GUEST);
  await readExactly(b, GUEST.length);
  await b.write(hex("0002000400000001 0007 0000 0001"));
  await b.write(hex("000400000000"));
  assertEquals((await sending).acknowledged, "shut");
});

/** Takes bytes, and breaks in the write behind which the destination's answer is there already. */
function answeredEarly(last: number): ByteChannel {
  const [a, b] = pair(16 * 1024 * 1024);
  let written = 0;
  const write: ByteChannel["write"] = async (bytes) => {
    written += bytes.length;
    if (written < last) return await a.write(bytes);
    await b.write(hex("0001000400000000"));
    // Until the answer has been read.
    await new Promise((resolve) => setTimeout(resolve, 20));
    throw new Error("Broken pipe");
  };
  return { ...a, write };
}

Deno.test("sendStream() believes an acknowledgement, whatever its last write says", async () => {
  assertEquals((await sendStream(answeredEarly(GUEST.length), GUEST)).acknowledged, "shut");
});

Deno.test("sendStream() believes no acknowledgement of a part of the stream", async () => {
  await assertRejects(
    () => sendStream(answeredEarly(9000), GUEST),
    MigrationError,
    "bytes of it, before its end",
  );
});

/** What the peer does once all is there, and what becomes of the sending. */
const ANSWERS: readonly [string, (peer: ByteChannel) => Promise<void> | void, RegExp][] = [
  ["SHUT 1", (b) => b.write(hex("0001000400000001")), /^RP: Sibling indicated error 1$/],
  [
    "nothing",
    (b) => b.close(),
    /^the peer closed the connection before it acknowledged the stream/,
  ],
  [
    "an unknown message",
    (b) => b.write(hex("00990000")),
    /^RP: Received invalid message 0x0099 length 0x0000$/,
  ],
  [
    "a message of 64 KiB",
    (b) => b.write(hex("0003ffff")),
    /^RP: Received invalid message 0x0003 length 0xffff$/,
  ],
  [
    "a SHUT of two bytes",
    (b) => b.write(hex("00010002")),
    /^RP: Received message 0x0001 with incorrect length 2 expecting 4$/,
  ],
];

for (const [what, answer, text] of ANSWERS) {
  Deno.test(`sendStream() fails when the destination answers with ${what}`, async () => {
    const [a, b] = pair();
    const sending = sendStream(a, GUEST);
    sending.catch(() => {});
    await readExactly(b, GUEST.length);
    await answer(b);
    assertMatch((await assertRejects(() => sending, MigrationError)).message, text);
    b.close();
  });
}

Deno.test("sendStream() takes the end of a destination that has read all for its consent", async () => {
  const [a, b] = await tcpPair();
  const sending = sendStream(a, SILENT, wasReset(a));
  await readExactly(b, SILENT.length);
  b.close();
  assertEquals((await sending).acknowledged, "closed");
});

Deno.test("sendStream() ends its direction for a destination that waits for that", async () => {
  const [a, b] = await tcpPair();
  const [sending, bytes] = await Promise.all([
    sendStream(a, SILENT, wasReset(a)),
    readToEnd(b).then((all) => {
      b.close();
      return all.length;
    }),
  ]);
  assertEquals(bytes, SILENT.length);
  assertEquals(sending.acknowledged, "closed");
});

Deno.test("sendStream() goes on to a destination that has nothing to say and still listens", async () => {
  const [a, b] = await tcpPair();
  await b.closeWrite();
  const sending = sendStream(a, SILENT, wasReset(a));
  await readExactly(b, SILENT.length);
  assertEquals((await sending).acknowledged, "closed");
  b.close();
});

for (const source of [GUEST, SILENT]) {
  const how = source.returnPath ? "with" : "without";
  Deno.test(`sendStream() notices a destination that refuses it (${how} return path)`, async () => {
    const large: StreamSource = {
      ...stillGuest(64 * 1024 * 1024),
      returnPath: source.returnPath,
    };
    const [a, b] = await tcpPair();
    const sending = sendStream(a, large, wasReset(a));
    sending.catch(() => {});
    await readExactly(b, 1000);
    b.close();
    const error = await assertRejects(() => sending, MigrationError);
    assertEquals(error.code, "PEER_CLOSED");
    assertMatch(error.message, /^the peer closed the connection after \d+ of \d+ bytes/);
    assertMatch(error.hints.join(), /the target's log/);
  });
}

Deno.test("sendStream() notices a refusal after the last byte of a small stream was written", async () => {
  const small: StreamSource = { ...stillGuest(4096), returnPath: false };
  const [a, b] = await tcpPair();
  const sending = sendStream(a, small, wasReset(a));
  sending.catch(() => {});
  // All of it is in the kernel's buffers by now, and is thrown away.
  await new Promise((resolve) => setTimeout(resolve, 50));
  b.close();
  assertEquals((await assertRejects(() => sending, MigrationError)).code, "PEER_CLOSED");
});

Deno.test("sendStream() does not wait for a destination that hangs", async () => {
  const [a, b] = pair();
  const error = await assertRejects(
    () => sendStream(a, GUEST, { idleTimeout: 40 }),
    MigrationError,
  );
  assertEquals(error.code, "PEER_SILENT");
  b.close();
});

Deno.test("sendStream() stops at the signal, and closes the channel", async () => {
  const [a, b] = pair();
  const stop = new AbortController();
  const reason = new MigrationError("ABORTED", { cause: "migrate_cancel" });
  const sending = sendStream(a, GUEST, { signal: stop.signal });
  sending.catch(() => {});
  await readExactly(b, 5000);
  stop.abort(reason);
  assertEquals(await assertRejects(() => sending, MigrationError), reason);
  assertEquals(await readToEnd(b).then((rest) => rest.length < GUEST.length), true);
  b.close();
});

Deno.test("sendStream() gives a source's own failure as it is", async () => {
  const [a, b] = pair(1024 * 1024);
  const failing: StreamSource = {
    ...GUEST,
    *chunks() {
      yield guestStream(4096).next().value!;
      throw new MigrationError("FILE_STREAM", { file: "x", cause: "it has become shorter" });
    },
  };
  await assertRejects(() => sendStream(a, failing), MigrationError, "it has become shorter");
  b.close();
});

Deno.test("sendStream() holds on to nothing of what it has sent", async () => {
  const [a, b] = pair();
  const count = 300_000;
  const chunk = new Uint8Array(16);
  let grown = 0;
  const many: StreamSource = {
    ...SILENT,
    *chunks() {
      const before = Deno.memoryUsage().heapUsed;
      for (let i = 0; i < count; i++) yield chunk;
      grown = Deno.memoryUsage().heapUsed - before;
      b.close();
    },
  };
  await sendStream({ ...a, write: () => Promise.resolve() }, many);
  // Some 400 bytes a chunk were kept by a promise that all of them raced with.
  assert(grown < 150 * count, `${grown} bytes`);
});
