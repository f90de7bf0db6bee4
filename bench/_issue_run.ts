/** Issues for a number of hosts in this process, and prints what it took: JSON. */

import { initAuthority, issueEach } from "../ca/mod.ts";
import { parseRequests } from "../ca/request.ts";
import { chooseEngine, type KeyType } from "../engine/mod.ts";

const [dir, count, keyType] = Deno.args as [string, string, KeyType];
const engine = await chooseEngine();
await initAuthority({ dir, engine });
const requests = parseRequests(
  Array.from({ length: Number(count) }, (_, i) => ({ host: `vm${i}.example`, keyType })),
);
const start = performance.now();
const outcomes = await issueEach(requests, { dir, engine });
const ms = performance.now() - start;
if (!outcomes.every(({ ok }) => ok)) throw new Error("a host was not issued for");
const peak = /^VmHWM:\s+(\d+)/m.exec(Deno.readTextFileSync("/proc/self/status"))?.[1];
console.log(JSON.stringify({ ms, peakMiB: Number(peak ?? NaN) / 1024 }));
