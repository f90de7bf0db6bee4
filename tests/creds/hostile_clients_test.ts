// Clients that mean harm or nothing at all: a server with these credentials goes on serving.

import { assert, assertEquals } from "@std/assert";
import { connect, type TcpAddress } from "../../channel/mod.ts";
import { parseSocketChardev, serveChardev } from "../../chardev/mod.ts";
import { ObjectRegistry } from "../../creds/mod.ts";
import { startTls } from "../../channel/mod.ts";
import { readExactly } from "../support/channels.ts";
import { enginesHere } from "../support/engines.ts";
import { makePki } from "../support/pki.ts";
import { Chance } from "../support/random_credentials.ts";
import { soakCount, soakRow } from "../support/soak.ts";
import { temporaryDirectory } from "../support/temp.ts";

const SEED = 20_261_124;
/** Longest time in ms that the server gives a handshake here. */
const HANDSHAKE = 2000;

/** What a client says first that is to be half a handshake: a real ClientHello, cut somewhere. */
async function clientHello(): Promise<Uint8Array> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const dialled = Deno.connectTls({ hostname: "127.0.0.1", port: listener.addr.port });
  using taken = await listener.accept();
  const bytes = new Uint8Array(4096);
  const count = await taken.read(bytes);
  taken.close();
  await dialled.then((conn) => conn.handshake()).catch(() => {});
  return bytes.subarray(0, count!);
}

for (const engine of await enginesHere()) {
  Deno.test(`a server lives through garbage, half handshakes and slow clients: ${engine.name}`, async () => {
    using temp = temporaryDirectory();
    const pki = await makePki(`${temp.path}/pki`, {
      hosts: [{ name: "localhost", ip: ["127.0.0.1"] }],
    });
    const dir = pki.host("localhost");
    using objects = new ObjectRegistry({ engine });
    await objects.add(`tls-creds-x509,id=s,dir=${dir},endpoint=server`);
    await objects.add(`tls-creds-x509,id=c,dir=${dir},endpoint=client`);
    await objects.add(`tls-creds-x509,id=nobody,dir=${pki.dir},endpoint=client`);
    let refused = 0;
    await using server = await serveChardev(
      parseSocketChardev("socket,id=s0,host=127.0.0.1,port=0,server=on,wait=off"),
      {
        tls: { creds: objects.tlsCreds("s", "server") },
        handshakeTimeout: HANDSHAKE,
        onRefused: () => refused++,
      },
    );
    const address = server.address as TcpAddress;
    const hello = await clientHello();
    const chance = new Chance(SEED);
    const count = soakCount(1000, 60);
    const slow: Deno.Conn[] = [];
    const dial = () => Deno.connect({ hostname: "127.0.0.1", port: address.port });
    const kinds: readonly (() => Promise<void>)[] = [
      // Noise, and all of it at once.
      async () => {
        using conn = await dial();
        const noise = Uint8Array.from({ length: 1 + chance.below(2000) }, () => chance.below(256));
        await conn.write(noise).catch(() => {});
      },
      // Another protocol.
      async () => {
        using conn = await dial();
        const text = chance.pick(["GET / HTTP/1.1\r\n\r\n", "SSH-2.0-x\r\n", "\0".repeat(500)]);
        await conn.write(new TextEncoder().encode(text)).catch(() => {});
      },
      // Half a handshake, and gone.
      async () => {
        using conn = await dial();
        await conn.write(hello.subarray(0, chance.below(hello.length))).catch(() => {});
      },
      // A whole ClientHello with a few other bits.
      async () => {
        using conn = await dial();
        const at = 5 + chance.below(hello.length - 5);
        await conn.write(hello.with(at, hello[at]! ^ (1 << chance.below(8)))).catch(() => {});
        await conn.read(new Uint8Array(100)).catch(() => {});
      },
      // Nothing at all.
      async () => (await dial()).close(),
      // A handshake to its end, without a certificate.
      async () => {
        const creds = objects.tlsCreds("nobody", "client");
        const session = await startTls(await connect(address), { creds, hostname: "127.0.0.1" });
        await session.read(new Uint8Array(1)).catch(() => {});
        session.close();
      },
      // Slow: one byte, and then silence for as long as it is let.
      async () => {
        const conn = await dial();
        slow.push(conn);
        await conn.write(hello.subarray(0, 1));
      },
    ];
    for (let i = 0; i < count; i++) {
      // Most are sent away one by one, and the slow ones stay: a tenth of all.
      await (i % 10 === 9 ? kinds.at(-1)! : chance.pick(kinds.slice(0, -1)))();
    }
    const creds = objects.tlsCreds("c", "client");
    await using good = await startTls(await connect(address), { creds, hostname: "127.0.0.1" });
    await using served = await server.accept(AbortSignal.timeout(30_000));
    await good.write(new TextEncoder().encode("still here"));
    assertEquals(new TextDecoder().decode(await readExactly(served, 10)), "still here");
    // The silent are sent away by the time limit, those who are already gone are not waited for.
    for (const conn of slow) {
      assertEquals(await endOf(conn), true);
      conn.close();
    }
    assert(refused >= count / 2, `${refused} of ${count} were refused`);
    soakRow(`hostile connections, ${engine.name}`, count, "the next good client was served");
  });
}

/** Whether the other side ends a connection, with or without a last word. */
async function endOf(conn: Deno.Conn): Promise<boolean> {
  const buffer = new Uint8Array(100);
  try {
    while (await conn.read(buffer) !== null);
  } catch { /* it was reset, which is an end too */ }
  return true;
}
