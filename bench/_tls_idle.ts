/**
 * Opens sessions and lets them lie, in a process of its own: `_tls_idle.ts ENGINE PORT COUNT DIR`
 * prints the memory that each has added, in KiB.
 */

import { connect } from "../channel/mod.ts";
import { chooseEngine, type EngineName, type TlsSession } from "../engine/mod.ts";

const [name, port, count, dir] = Deno.args;
const engine = await chooseEngine(name as EngineName);
const credentials = engine.credentials({
  kind: "x509",
  endpoint: "client",
  trust: Deno.readFileSync(`${dir}/ca-cert.pem`),
  identities: [],
});
const sessions: TlsSession[] = [];
const open = async (total: number) => {
  while (sessions.length < total) {
    const channel = await connect({ kind: "tcp", host: "127.0.0.1", port: Number(port) });
    sessions.push(await engine.open(channel, { credentials }));
  }
  return Deno.memoryUsage().rss;
};
// The first ones pay for what all share.
const before = await open(50);
const grown = await open(50 + Number(count)) - before;
console.log(grown / Number(count) / 1024);
Deno.exit();
