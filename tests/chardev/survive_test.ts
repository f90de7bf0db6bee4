import { assert, assertEquals } from "@std/assert";
import { connect, type TcpAddress } from "../../channel/mod.ts";
import { backoff, parseSocketChardev, serveChardev, splice } from "../../chardev/mod.ts";
import { tcpPair } from "../support/channels.ts";
import { SOAK, soakCount, soakRow } from "../support/soak.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { dial, directories, objects, serve } from "./devices.ts";
import { testLocal } from "./local.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

/** What hostile clients send before they fall silent. */
const OPENINGS: readonly Uint8Array[] = [
  new Uint8Array(0),
  // The header of a handshake record that never comes, and of one that is too long.
  Uint8Array.of(0x16, 3, 1, 2, 0),
  Uint8Array.of(0x16, 3, 1, 0xff, 0xff, 1),
  bytes("GET / HTTP/1.1\r\n\r\n"),
  crypto.getRandomValues(new Uint8Array(600)),
  new Uint8Array(20_000).fill(0x16),
];

Deno.test("a chardev server echoes for the good client while hostile ones come in numbers", async () => {
  using folder = temporaryDirectory();
  const dirs = await directories(folder.path);
  using ours = await objects(undefined, dirs.localhost, "server");
  using theirs = await objects(undefined, dirs.elsewhere, "client");
  const handshakeTimeout = SOAK ? 5000 : 3000;
  await using server = await serve(ours, { handshakeTimeout });
  const local = testLocal();
  const stop = new AbortController();
  const good = dial(theirs, server.address, { local, signal: stop.signal });
  const words: string[] = [];
  /** Gives how long an echo took, in ms. */
  const echo = async (word: string): Promise<number> => {
    words.push(word);
    const start = performance.now();
    local.type(word);
    await server.local.until(word);
    server.local.type(`<${word}>`);
    await local.until(`<${word}>`);
    return performance.now() - start;
  };
  const echoes = async (name: string): Promise<number[]> => {
    const times: number[] = [];
    for (let i = 0; i < 30; i++) times.push(await echo(`${name} ${i} `));
    return times.sort((a, b) => a - b);
  };
  await echo("first ");
  const before = await echoes("before");
  const count = soakCount(1000, 100);
  // No more at once than the kernel keeps for a listener: who comes then may never hear of it.
  let next = 0;
  const hostile = Array.from({ length: Math.min(count, 300) }, async () => {
    while (next < count) await attack(server.address, next++);
  });
  const during = await echoes("during");
  await Promise.all(hostile);
  await echo("last ");
  assertEquals(server.names.length, 1);
  assertEquals(server.refused.length, count);
  assertEquals(server.local.shown(), words.join(""));
  assertEquals(local.shown(), words.map((word) => `<${word}>`).join(""));
  // An echo that waits for a silent client waits as long as a handshake may take.
  assert(during[15]! < handshakeTimeout / 10, `a typical echo took ${during[15]} ms`);

  // One who comes while a crowd keeps silent is next when the first leaves.
  const crowd = await Promise.all(OPENINGS.map(async (opening) => {
    const client = await connect(server.address);
    await client.write(opening).catch(() => {});
    return client;
  }));
  const late = testLocal();
  const leave = new AbortController();
  const newcomer = dial(theirs, server.address, { local: late, signal: leave.signal });
  late.type("the newcomer ");
  stop.abort();
  await good;
  await server.local.until("the newcomer ");
  server.local.type("<the newcomer>");
  await late.until("<the newcomer>");
  assertEquals(server.names.length, 2);
  leave.abort();
  await newcomer;
  for (const client of crowd) client.close();
  const ms = (times: readonly number[]) =>
    `p50 ${times[15]!.toFixed(1)}, worst ${times.at(-1)!.toFixed(1)} ms`;
  soakRow(
    "hostile clients beside a good one",
    count,
    `all sent away; echo before ${ms(before)}, during ${ms(during)}, ` +
      `${(during[15]! / before[15]!).toFixed(1)} times as long`,
  );
});

/** Comes, says something bad, and waits until it is sent away; half of them hang up their side. */
async function attack(address: TcpAddress, number: number): Promise<void> {
  await using client = await connect(address, { timeout: 60_000 });
  await client.write(OPENINGS[number % OPENINGS.length]!).catch(() => {});
  if (number % 2 === 1) await client.closeWrite().catch(() => {});
  const buffer = new Uint8Array(1024);
  for (;;) {
    if (await client.read(buffer).catch(() => null) === null) return;
  }
}

Deno.test("splice() holds a flooding peer back and still sends what is typed", async () => {
  const [here, there] = await tcpPair();
  const local = testLocal();
  let shown = 0;
  const slow = {
    ...local,
    async write(data: Uint8Array) {
      shown += data.length;
      await new Promise((resolve) => setTimeout(resolve, 1));
    },
  };
  const joined = splice(here, slow);
  const flood = bytes("y\n".repeat(32 * 1024));
  let sent = 0;
  let flooding = true;
  const before = Deno.memoryUsage();
  const yes = (async () => {
    while (flooding) {
      await there.write(flood);
      sent += flood.length;
    }
  })();
  const total = soakCount(1024, 64) * 1024 * 1024;
  while (shown < total / 2) await new Promise((resolve) => setTimeout(resolve, 5));
  local.type("\x03");
  assertEquals(await there.read(new Uint8Array(16)), 1);
  while (shown < total) await new Promise((resolve) => setTimeout(resolve, 5));
  flooding = false;
  await yes;
  // What is under way is in the kernel's buffers and one of ours, not in a queue.
  assert(sent - shown < 64 * 1024 * 1024, `${sent - shown} bytes are under way`);
  const grown = (Deno.memoryUsage().external - before.external) / 2 ** 20;
  assert(grown < 64, `${grown} MiB more`);
  there.close();
  assertEquals((await joined).by, "peer");
  soakRow("bytes of a flood to a slow console", total, `${grown.toFixed(1)} MiB more memory`);
});

Deno.test("backoff() spreads the clients of a server that was started anew", () => {
  const firsts = Array.from({ length: 300 }, () => backoff(1000).next());
  assert(firsts.every((pause) => pause >= 500 && pause <= 1500));
  // In each tenth of the span there are some: the chance of an empty one is about 1 to 10^13.
  for (let from = 500; from < 1500; from += 100) {
    assert(firsts.some((pause) => pause >= from && pause <= from + 100), `none from ${from} ms`);
  }
  const middle = backoff(1000, () => 0.5);
  const pauses = Array.from({ length: 6 }, () => middle.next());
  assertEquals(pauses, [1000, 2000, 4000, 8000, 8000, 8000]);
  middle.reset();
  assertEquals(middle.next(), 1000);
  const long = backoff(30_000, () => 0.5);
  assertEquals([long.next(), long.next(), long.next()], [30_000, 60_000, 60_000]);
  assertEquals(backoff(3_600_000, () => 0).next(), 1_800_000);
});

Deno.test("clients with reconnect all come back to a server that was started anew", async () => {
  using folder = temporaryDirectory();
  const path = `${folder.path}/s`;
  const chardev = parseSocketChardev(`socket,id=s,path=${path},server=on`);
  const { runClient } = await import("../../chardev/mod.ts");
  const stop = new AbortController();
  const count = 300;
  let up = 0;
  // The first pause of each client in each of its absences.
  const firsts: number[][] = [];
  const isBack = new Set<number>();
  const clients = Array.from(
    { length: count },
    (_, i) =>
      runClient(parseSocketChardev(`socket,id=c${i},path=${path},reconnect-ms=100`), {
        objects: undefined as never,
        local: testLocal(),
        signal: stop.signal,
        events: {
          connected: () => up++,
          left() {
            up--;
            isBack.add(i);
          },
          retrying(_, wait) {
            if (firsts[i] !== undefined && !isBack.delete(i)) return;
            (firsts[i] ??= []).push(wait);
          },
          logFailed() {},
        },
      }).catch(() => {}),
  );
  /** Waits for the pauses of an absence, the middle one being so long, and counts them by tenths. */
  const herds = async (absence: number, middle: number): Promise<number[]> => {
    for (let i = 0; i < count;) {
      if (firsts[i]?.[absence] !== undefined) i++;
      else await new Promise((resolve) => setTimeout(resolve, 5));
    }
    // About 30 are in each, 80 in one is 1 to 10^14.
    const tenths = new Array<number>(10).fill(0);
    for (const waits of firsts) {
      tenths[Math.min(9, Math.floor((waits[absence]! / middle - 0.5) * 10))]!++;
    }
    assert(tenths.every((herd) => herd > 0 && herd < 80), `they come in herds: ${tenths}`);
    return tenths;
  };
  const tenths = await herds(0, 100);
  for (let round = 0; round < 2; round++) {
    await using server = await serveChardev(chardev);
    const served = [];
    while (served.length < count) served.push(await server.accept());
    while (up < count) await new Promise((resolve) => setTimeout(resolve, 5));
    // A byte makes it a good connection: the pauses start anew, and what fails next is the second.
    await Promise.all(served.map((channel) => channel.write(bytes("x"))));
    for (const channel of served) channel.close();
    server.close();
    while (up > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await herds(round + 1, 200);
  }
  stop.abort();
  await Promise.all(clients);
  soakRow("clients that come back at once", count, `by tenths of the pause: ${tenths}`);
});
