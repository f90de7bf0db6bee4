import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import type { ByteChannel } from "../../engine/mod.ts";
import { BaseError } from "../../base/mod.ts";
import { MigrationError } from "../../migration/error.ts";
import { type ReceiveOptions, receiveStream, type Reception } from "../../migration/receive.ts";
import type { StreamSink } from "../../migration/sink.ts";
import { type ChannelPair, oneByte, pair, readToEnd, tcpPair } from "../support/channels.ts";
import { SectionType } from "../../migration/stream_constants.ts";
import { StreamWriter } from "../../migration/stream_writer.ts";
import { collected, guestStream, hex, joined, RAM, records } from "./streams.ts";

const WHOLE = joined(records());
const PONG_1 = "0002000400000001";
const SHUT_0 = "0001000400000000";
const SHUT_1 = "0001000400000001";

/** Remembers what it was given, and when it was told to keep it. */
function memorySink(log: string[] = []): StreamSink & { bytes(): Uint8Array } {
  const parts: Uint8Array[] = [];
  return {
    async write(bytes) {
      const copy = bytes.slice();
      // Whoever overwrites the buffer before the write is over shows.
      await new Promise((resolve) => setTimeout(resolve, 1));
      assertEquals(bytes, copy);
      parts.push(copy);
    },
    commit: () => Promise.resolve(void log.push("commit")),
    discard: () => void log.push("discard"),
    bytes: () => joined(parts),
  };
}

interface Received {
  readonly reception: Promise<Reception>;
  readonly source: ByteChannel;
  readonly log: string[];
  readonly sink: ReturnType<typeof memorySink>;
}

function receive(
  [source, target]: ChannelPair,
  options: Partial<ReceiveOptions> = {},
): Received {
  const log: string[] = [];
  const sink = memorySink(log);
  const reception = receiveStream(target, { begin: () => sink, ...options });
  reception.catch(() => {});
  return { reception, source, log, sink };
}

function toHex(bytes: Uint8Array): string {
  return [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("");
}

for (const [name, make] of Object.entries({ pair, tcpPair, oneByte: oneBytePair })) {
  Deno.test(`receiveStream() stores a stream, then acknowledges it (${name})`, async () => {
    const { reception, source, log, sink } = receive(await make());
    const back = readToEnd(source);
    await source.write(WHOLE);
    assertEquals(toHex(await back), PONG_1 + SHUT_0);
    source.close();
    const { summary } = await reception;
    assertEquals(summary.bytes, WHOLE.length);
    assertEquals(sink.bytes(), WHOLE);
    assertEquals(log, ["commit"]);
  });
}

function oneBytePair(): ChannelPair {
  const [a, b] = pair();
  return [a, oneByte(b)];
}

Deno.test("receiveStream() says nothing to a source that opened no way back", async () => {
  const stream = joined(records().filter((_, i) => i !== 1 && i !== 2));
  const { reception, source } = receive(pair());
  const back = readToEnd(source);
  await source.write(stream);
  assertEquals((await back).length, 0);
  source.close();
  await reception;
});

Deno.test("receiveStream() passes many megabytes on without losing or mixing any", async () => {
  const stream = collected(guestStream(24 * 1024 * 1024));
  let seen = 0;
  const { reception, source, sink } = receive(await tcpPair(), {
    onProgress: (bytes) => {
      assert(bytes >= seen);
      seen = bytes;
    },
  });
  await source.write(joined([stream, hex("00112233")]));
  await source.closeWrite();
  const { summary } = await reception;
  assertEquals(summary.bytes, stream.length);
  assertEquals(seen, stream.length);
  assertEquals(sink.bytes(), stream);
  source.close();
});

Deno.test("receiveStream() lets the pages of a source gather that sends them one by one", async () => {
  const stream = collected(guestStream(8 * 1024 * 1024));
  const [source, target] = pair();
  let reads = 0;
  const counted: ByteChannel = {
    ...target,
    read(into) {
      reads++;
      return target.read(into);
    },
  };
  const { reception } = receive([source, counted]);
  const page = 4096 + 8;
  for (let at = 0; at < stream.length; at += page) {
    await source.write(stream.subarray(at, at + page));
    // The reader is woken, and has its turn before the next page.
    await new Promise((resolve) => queueMicrotask(() => queueMicrotask(() => resolve(null))));
  }
  source.close();
  assertEquals((await reception).summary.bytes, stream.length);
  assert(reads < stream.length / page / 4, `${reads} reads`);
});

Deno.test("receiveStream() acknowledges only after the commit, and never a failed one", async () => {
  const order: string[] = [];
  const sink: StreamSink = {
    write: () => Promise.resolve(),
    async commit() {
      await new Promise((resolve) => setTimeout(resolve, 30));
      order.push("commit");
    },
    discard: () => {},
  };
  const [source, target] = pair();
  const reception = receiveStream(target, { begin: () => sink });
  await source.write(WHOLE);
  const back = new Uint8Array(16);
  for (let got = 0; got < 16;) got += (await source.read(back.subarray(got)))!;
  order.push(toHex(back.subarray(8)));
  source.close();
  await reception;
  assertEquals(order, ["commit", SHUT_0]);

  const full = new BaseError("FILE_NOT_WRITABLE", { file: "x", cause: "no space left" });
  for (const broken of ["write", "commit"] as const) {
    const log: string[] = [];
    const { reception, source } = receive(pair(), {
      begin: () => ({ ...memorySink(log), [broken]: () => Promise.reject(full) }),
    });
    const back = readToEnd(source);
    await source.write(WHOLE);
    assertEquals(await assertRejects(() => reception, BaseError), full);
    assertEquals(log, ["discard"]);
    assertMatch(toHex(await back), new RegExp(`(${PONG_1})?${SHUT_1}$`));
    source.close();
  }
});

Deno.test("receiveStream() refuses a stream that ends early, and keeps nothing", async () => {
  const { reception, source, log } = receive(await tcpPair());
  await source.write(WHOLE.subarray(0, WHOLE.length - 1));
  await source.closeWrite();
  const error = await assertRejects(() => reception, MigrationError);
  assertEquals(error.code, "STREAM_TRUNCATED");
  assertEquals(log, ["discard"]);
  source.close();
});

Deno.test("receiveStream() refuses a broken stream and tells the source", async () => {
  const { reception, source, log } = receive(pair());
  const back = readToEnd(source);
  await source.write(joined([...records().slice(0, 3), hex("ff")]));
  await assertRejects(() => reception, MigrationError, "Unknown savevm section type 255");
  assertEquals(log, ["discard"]);
  assertMatch(toHex(await back), new RegExp(`(${PONG_1})?${SHUT_1}$`));
  source.close();
});

Deno.test("receiveStream() refuses a whole stream whose memory has zeros at most", async () => {
  const write = (f: (w: StreamWriter) => StreamWriter) => f(new StreamWriter()).finish();
  const pages = new Set([5, 6]);
  const zeros = write((w) =>
    w.ramPart(SectionType.QEMU_VM_SECTION_PART, RAM).zeroPage(0, "pc.ram").endOfRam(RAM)
  );
  const stream = joined(records().flatMap((record, i) => !pages.has(i) ? [record] : [zeros]));
  const { reception, source, log } = receive(pair());
  const back = readToEnd(source);
  await source.write(stream);
  const error = await assertRejects(() => reception, MigrationError, "came but zeros");
  assertMatch(error.hints.join("\n"), /--capability multifd=on/);
  assertEquals([toHex(await back), log], [PONG_1 + SHUT_1, ["discard"]]);
});

Deno.test("receiveStream() tells a source that leaves before its first byte from a broken one", async () => {
  const { reception, source, log } = receive(pair());
  await source.closeWrite();
  const error = await assertRejects(() => reception, MigrationError);
  assertEquals(error.code, "PEER_CLOSED");
  assertMatch(error.message, /^the peer closed the connection before the first byte$/);
  assertEquals(log, []);
  source.close();
});

Deno.test("receiveStream() gives a silent source up, before its first byte and after", async () => {
  const early = receive(pair(), { firstByteTimeout: 40 });
  assertEquals(
    (await assertRejects(() => early.reception, MigrationError)).code,
    "PEER_SILENT",
  );
  const late = receive(pair(), { idleTimeout: 40 });
  await late.source.write(WHOLE.subarray(0, 100));
  assertEquals((await assertRejects(() => late.reception, MigrationError)).code, "PEER_SILENT");
  assertEquals(late.log, ["discard"]);
  early.source.close();
  late.source.close();
});

Deno.test("receiveStream() does not hold a slow disk against the source", async () => {
  const slow: StreamSink = {
    write: () => new Promise((resolve) => setTimeout(resolve, 150)),
    commit: () => new Promise((resolve) => setTimeout(resolve, 150)),
    discard: () => {},
  };
  const { reception, source } = receive(pair(), { begin: () => slow, idleTimeout: 100 });
  await source.write(collected(guestStream(10 * 1024 * 1024)));
  await source.closeWrite();
  assertEquals((await reception).summary.validation?.kind, "sections");
  source.close();
});

Deno.test("receiveStream() stops at the signal, in each phase", async () => {
  for (const sent of [0, 100]) {
    const stop = new AbortController();
    const { reception, source, log } = receive(pair(), { signal: stop.signal });
    await source.write(WHOLE.subarray(0, sent));
    await new Promise((resolve) => setTimeout(resolve, 10));
    const reason = new MigrationError("ABORTED");
    stop.abort(reason);
    assertEquals(await assertRejects(() => reception, MigrationError), reason);
    assertEquals(log, sent === 0 ? [] : ["discard"]);
    source.close();
  }
  const reason = new MigrationError("ABORTED");
  const { reception, source } = receive(pair(), { signal: AbortSignal.abort(reason) });
  assertEquals(await assertRejects(() => reception, MigrationError), reason);
  source.close();
});

Deno.test("receiveStream() does not gather PINGs without end", async () => {
  const { reception, source } = receive(pair(1024 * 1024));
  const pings = Array.from({ length: 400 }, () => hex("08 0002 0004 00000001"));
  source.write(joined([...records().slice(0, 2), ...pings])).catch(() => {});
  const error = await assertRejects(() => reception, MigrationError, "too many PINGs");
  assertEquals(error.code, "STREAM_LIMIT");
  source.close();
});

Deno.test("receiveStream() refuses post-copy as long as the guest can go on at its source", async () => {
  const { reception, source, log } = receive(pair());
  const advise = hex("08 0003 0010 0000000000001000 0000000000001000");
  await source.write(joined([...records().slice(0, 2), advise]));
  const error = await assertRejects(
    () => reception,
    MigrationError,
    "RAM postcopy is disabled but have 16 byte advise",
  );
  assertMatch(error.hints.join(), /postcopy-ram/);
  assertEquals(log, ["discard"]);
  source.close();
});
