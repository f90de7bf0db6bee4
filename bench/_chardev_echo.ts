/** An echo for many TLS sessions at once, in a process of its own: `_chardev_echo.ts DIR` prints its port. */

import { listen, startTls } from "../channel/mod.ts";
import { ObjectRegistry } from "../creds/mod.ts";
import type { ByteChannel } from "../engine/mod.ts";
import { chooseEngine } from "../engine/mod.ts";

const [dir] = Deno.args;
const objects = new ObjectRegistry({ engine: await chooseEngine() });
await objects.add(`tls-creds-x509,id=tls0,dir=${dir},endpoint=server`);
const creds = objects.tlsCreds("tls0", "server");
const listener = await listen({ kind: "tcp", host: "127.0.0.1", port: 0 });
if (listener.address.kind === "tcp") console.log(listener.address.port);

async function serve(raw: ByteChannel): Promise<void> {
  try {
    const channel = await startTls(raw, { creds });
    const buffer = new Uint8Array(512);
    for (let count; (count = await channel.read(buffer)) !== null;) {
      await channel.write(buffer.subarray(0, count));
    }
    channel.close();
  } catch { /* whoever measures has gone */ }
}

for (;;) serve(await listener.accept());
