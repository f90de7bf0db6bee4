/** Opens, fails and aborts platform sessions, and prints the heap in bytes at half and full count. */

import { platformEngine as engine } from "../../engine/platform/mod.ts";
import { pair } from "../support/channels.ts";
import { makeCa, makeLeaf, specOf } from "./_identities.ts";

const count = Number(Deno.args[0]);
const ca = await makeCa("a CA");
const credentials = {
  server: engine.credentials(await specOf("server", ca, await makeLeaf("server", ca))),
  client: engine.credentials(await specOf("client", ca, await makeLeaf("client", ca))),
};
const collect = (globalThis as { gc?: () => void }).gc!;

async function good(): Promise<void> {
  const [a, b] = pair();
  const ends = await Promise.all([
    engine.open(b, { credentials: credentials.server }),
    engine.open(a, { credentials: credentials.client }),
  ]);
  await ends[0].write(new Uint8Array(1_000));
  await ends[1].read(new Uint8Array(1_000));
  for (const end of ends) end.close();
}

async function failed(role: "server" | "client", how: "garbage" | "abort" | "end"): Promise<void> {
  const [a, b] = pair();
  const abort = new AbortController();
  if (how === "garbage") await b.write(new TextEncoder().encode("no TLS at all, by no means\r\n"));
  if (how === "end") await b.closeWrite();
  const opening = engine.open(a, { credentials: credentials[role], signal: abort.signal });
  if (how === "abort") abort.abort();
  await opening.catch(() => {});
  b.close();
}

const heaps: number[] = [];
for (let round = 1; round <= count; round++) {
  await good();
  for (const role of ["server", "client"] as const) {
    for (const how of ["garbage", "abort", "end"] as const) await failed(role, how);
  }
  await new Promise((resolve) => setTimeout(resolve));
  if (round === Math.floor(count / 2) || round === count) {
    // What ends a little later ends, too.
    await new Promise((resolve) => setTimeout(resolve, 200));
    collect();
    heaps.push(Deno.memoryUsage().heapUsed);
  }
}
console.log(JSON.stringify(heaps));
Deno.exit(0);
