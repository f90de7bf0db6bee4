/** How the channels of multifd end: a QEMU from 10.0 on fails at one that is cut within TLS. */

import { assert, assertEquals } from "@std/assert";
import { startTls } from "../../channel/mod.ts";
import { ObjectRegistry } from "../../creds/mod.ts";
import { MultifdWriter } from "../../migration/multifd_writer.ts";
import { MULTIFD_PACKET_BYTES } from "../../migration/multifd_packet.ts";
import { pair } from "../support/channels.ts";
import { enginesHere } from "../support/engines.ts";
import { makePki } from "../support/pki.ts";
import { temporaryDirectory } from "../support/temp.ts";

for (const engine of await enginesHere()) {
  Deno.test(`MultifdWriter ends each channel with TLS's goodbye (${engine.name})`, async () => {
    using temp = temporaryDirectory();
    const pki = await makePki(`${temp.path}/pki`, { engine, hosts: [{ name: "localhost" }] });
    using objects = new ObjectRegistry({ engine });
    const dir = pki.host("localhost");
    await objects.add(`tls-creds-x509,id=s,dir=${dir},endpoint=server`);
    await objects.add(`tls-creds-x509,id=c,dir=${dir},endpoint=client`);
    const pairs = await Promise.all(Array.from({ length: 3 }, async () => {
      const [a, b] = pair();
      const server = startTls(b, { creds: objects.tlsCreds("s", "server"), noTickets: true });
      const creds = objects.tlsCreds("c", "client");
      const client = await startTls(a, { creds, hostname: "localhost" });
      return { client, server: await server, cut: () => a.close() };
    }));
    const writer = new MultifdWriter(pairs.map(({ client }) => client), {
      ...{ channels: 3, compression: "none", level: 1, zeroPages: false, flushWord: false },
    });
    const ends = pairs.map(async ({ server }) => {
      const buffer = new Uint8Array(64 * 1024);
      let bytes = 0;
      for (;;) {
        const count = await server.read(buffer);
        if (count === null) return { bytes, cleanly: server.closedCleanly };
        bytes += count;
      }
    });
    const all = Promise.allSettled(ends);
    for (let page = 0; page < 3; page++) {
      await writer.send("guest.ram", [page * 4096], [], (_, into, __, at) => into.fill(1, at));
    }
    await writer.sync();
    await writer.finish();
    // What was no goodbye before this is a cut.
    for (const { cut } of pairs) cut();
    for (const [i, end] of (await all).entries()) {
      assert(end.status === "fulfilled", `channel ${i}: ${(end as PromiseRejectedResult).reason}`);
      assert(end.value.bytes > 4096 && end.value.bytes < MULTIFD_PACKET_BYTES);
      assertEquals(end.value.cleanly, true, `channel ${i}`);
    }
    writer.close();
    for (const { server } of pairs) server.close();
  });
}
