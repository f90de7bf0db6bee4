/**
 * A TLS server that looks at its client and says goodbye, for the benchmarks of handshakes:
 * `_tls_accept.ts ENGINE DIR VERIFY-PEER` prints its port and serves until it is killed.
 */

import { listen, startTls } from "../channel/mod.ts";
import { ObjectRegistry } from "../creds/mod.ts";
import { chooseEngine, type EngineName } from "../engine/mod.ts";

const [engine, dir, verifyPeer] = Deno.args;
const objects = new ObjectRegistry({ engine: await chooseEngine(engine as EngineName) });
await objects.add(`tls-creds-x509,id=t,dir=${dir},endpoint=server,verify-peer=${verifyPeer}`);
const creds = objects.tlsCreds("t", "server");
const listener = await listen({ kind: "tcp", host: "127.0.0.1", port: 0 });
if (listener.address.kind === "tcp") console.log(listener.address.port);
for (;;) {
  const raw = await listener.accept();
  startTls(raw, { creds }).then(async (session) => {
    await session.read(new Uint8Array(1)).catch(() => {});
    session.close();
  }).catch(() => {});
}
