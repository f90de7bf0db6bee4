/**
 * Opens, fails, aborts and disposes of sessions, in a process of its own so that its memory is
 * its own: `_gnutls_soak.ts COUNT`. Prints resident memory in bytes at ten points, as JSON.
 */

import { chooseEngine, type Engine } from "../../engine/mod.ts";
import { pair, readExactly } from "../support/channels.ts";
import { identity, issue, issueCa, makePki, pemOf, x509Spec } from "./_gnutls.ts";

const count = Number(Deno.args[0] ?? "1000");
const engine = await chooseEngine("gnutls") as Required<Engine>;
const { ca, spec } = await makePki();
const alien = await issueCa("another CA");
const specs = {
  server: await spec("server"),
  client: await spec("client"),
  stranger: x509Spec("client", pemOf(alien), [await identity(await issue("x", { issuer: alien }))]),
  old: x509Spec("client", pemOf(ca), [], { priority: "NORMAL:-VERS-TLS1.3" }),
  modern: await spec("server", "NORMAL:-VERS-ALL:+VERS-TLS1.3"),
};
let server = engine.credentials(specs.server);
let client = engine.credentials(specs.client);

/** What a session can come to; each leaves nothing behind. */
const lives: readonly (() => Promise<void>)[] = [
  async function whole() {
    const [a, b] = pair();
    const [s, c] = await Promise.all([
      engine.open(b, { credentials: server }),
      engine.open(a, { credentials: client }),
    ]);
    await c.write(new Uint8Array(20_000));
    await readExactly(s, 20_000);
    s.verifyPeer();
    await c.closeWrite();
    await s.read(new Uint8Array(1));
    s.close();
    c.close();
  },
  async function silent() {
    await engine.open(pair()[0], { credentials: client, timeout: 1 }).catch(() => {});
  },
  async function aborted() {
    const abort = new AbortController();
    const opening = engine.open(pair()[0], { credentials: client, signal: abort.signal });
    abort.abort(new Error("enough"));
    await opening.catch(() => {});
  },
  async function garbage() {
    const [a, b] = pair();
    await a.write(new Uint8Array(100));
    await engine.open(b, { credentials: server }).catch(() => {});
  },
  async function noCommonVersion() {
    using old = engine.credentials(specs.old);
    using modern = engine.credentials(specs.modern);
    const [a, b] = pair();
    const opened = await Promise.allSettled([
      engine.open(b, { credentials: modern }),
      engine.open(a, { credentials: old }),
    ]);
    if (opened.some(({ status }) => status === "fulfilled")) throw new Error("it was opened");
  },
  async function strangersClosedWhileReading() {
    using stranger = engine.credentials(specs.stranger);
    const [a, b] = pair();
    const [s, c] = await Promise.all([
      engine.open(b, { credentials: server }),
      engine.open(a, { credentials: stranger }),
    ]);
    const reading = s.read(new Uint8Array(10)).catch(() => {});
    s.verifyPeer();
    s.close();
    await reading;
    await c.read(new Uint8Array(10)).catch(() => {});
    await c.write(new Uint8Array(10)).catch(() => {});
    c.close();
  },
  async function freshCredentials() {
    using freshServer = engine.credentials(specs.server);
    using freshClient = engine.credentials(specs.client);
    const [a, b] = pair();
    const ends = await Promise.all([
      engine.open(b, { credentials: freshServer }),
      engine.open(a, { credentials: freshClient }),
    ]);
    for (const end of ends) end.close();
  },
  async function keys() {
    using key = await engine.generateKey("ec-p256");
    using again = await engine.importKey(await key.exportPem());
    await again.sign(new Uint8Array(100));
  },
];

const memory: number[] = [];
const { gc } = globalThis as { gc?: () => void };
for (let done = 0; done < count; done++) {
  await lives[done % lives.length]!();
  if (done % 1000 === 999) {
    server[Symbol.dispose]();
    client[Symbol.dispose]();
    server = engine.credentials(specs.server);
    client = engine.credentials(specs.client);
  }
  if ((done + 1) % Math.floor(count / 10) === 0) {
    gc?.();
    memory.push(Deno.memoryUsage().rss);
  }
}
console.log(JSON.stringify(memory));
