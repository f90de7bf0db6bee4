/**
 * Many devices in one process, in a process of its own: `_chardev_many.ts PORT COUNT CHATTING DIR`
 * dials COUNT TLS serial ports of an echo and prints, as JSON, what each takes in KiB, the CPU at
 * rest in percent, and the echo of one in ms while CHATTING others each send a line a second.
 */

import process from "node:process";
import { ObjectRegistry } from "../creds/mod.ts";
import { type Backend, openBackend, parseChardev } from "../chardev/mod.ts";
import { chooseEngine } from "../engine/mod.ts";

const [port, count, chatting, dir] = Deno.args;
const total = Number(count);
const objects = new ObjectRegistry({ engine: await chooseEngine() });
await objects.add(`tls-creds-x509,id=tls0,dir=${dir},endpoint=client`);
const events = {
  listening() {},
  connected() {},
  left() {},
  refused() {},
  retrying() {},
  logFailed() {},
};
const never = new AbortController().signal;
const ends: Backend[] = [];
const heard: (() => void)[] = [];

async function open(until: number): Promise<number> {
  const worker = async () => {
    while (ends.length + opening < until) {
      opening++;
      const id = `c${ends.length + opening}`;
      const chardev = parseChardev(`socket,id=${id},host=127.0.0.1,port=${port},tls-creds=tls0`);
      const end = await openBackend(chardev, { objects, events });
      opening--;
      listen(end, ends.push(end) - 1);
    }
  };
  let opening = 0;
  await Promise.all(Array.from({ length: 8 }, worker));
  await new Promise((resolve) => setTimeout(resolve, 500));
  return Deno.memoryUsage().rss;
}

async function listen(end: Backend, index: number): Promise<void> {
  while (await end.read(never) !== null) heard[index]?.();
}

/** The time of one echo in ms. */
async function echo(index: number): Promise<number> {
  const start = performance.now();
  const answer = new Promise<void>((resolve) => heard[index] = resolve);
  await ends[index]!.write(Uint8Array.of(0x78));
  await answer;
  return performance.now() - start;
}

const WARM = 20;
const before = await open(WARM);
const kib = (await open(WARM + total) - before) / total / 1024;
const cpu = process.cpuUsage();
await new Promise((resolve) => setTimeout(resolve, 2000));
const { user, system } = process.cpuUsage(cpu);
// Spread over the second, as people are.
const chat: ReturnType<typeof setInterval>[] = [];
for (let i = 0; i < Number(chatting); i++) {
  const line = new TextEncoder().encode(`line of ${i}\n`);
  setTimeout(() => {
    chat.push(setInterval(() => void ends[WARM + i]!.write(line), 1000));
  }, 1000 * i / Number(chatting));
}
await new Promise((resolve) => setTimeout(resolve, 2500));
const times: number[] = [];
for (let i = 0; i < 300; i++) {
  times.push(await echo(0));
  await new Promise((resolve) => setTimeout(resolve, 5));
}
chat.forEach(clearInterval);
times.sort((a, b) => a - b);
console.log(JSON.stringify({
  kib,
  idle: (user + system) / 1e6 / 2 * 100,
  p50: times[150],
  p99: times[297],
}));
Deno.exit();
