/** The demo without QEMU: this toolkit on both ends, each a peer of its own on loopback. */

import {
  type ChardevChannel,
  dialChardev,
  parseSocketChardev,
  sendTyped,
  serveChardev,
} from "../chardev/mod.ts";
import { connect, listen, startTls } from "../channel/mod.ts";
import { peerName } from "../creds/mod.ts";
import { type SessionFacts } from "../engine/mod.ts";
import {
  builtInGuest,
  fileSink,
  openStreamFile,
  receiveStream,
  sendStream,
} from "../migration/mod.ts";
import { type DemoGuest, HOSTS, LINE, type Verified } from "./_demo_stage.ts";
import { readUntil } from "./_demo_text.ts";

/** Bytes of the built-in guest's memory. */
const RAM = 64 * 1024 * 1024;

const LOOPBACK = { kind: "tcp", host: "127.0.0.1", port: 0 } as const;

/** The guest of this toolkit. */
export const BUILT_IN_GUEST: DemoGuest = {
  description: "built-in, since qemu-system-x86_64 is not used (64 MiB of memory)",

  async *migrate({ dir, objects }): AsyncGenerator<Verified> {
    await using listener = await listen(LOOPBACK);
    const file = `${dir}/guest.migration`;
    const receiving = (async () => {
      const raw = await listener.accept();
      const channel = await startTls(raw, {
        creds: objects.tlsCreds("b-server", "server"),
        noTickets: true,
      });
      const { summary, elapsed } = await receiveStream(channel, { begin: () => fileSink(file) });
      return { facts: channel.facts, summary, elapsed };
    })();
    const channel = await startTls(await connect(listener.address), {
      creds: objects.tlsCreds("a-client", "client"),
      hostname: HOSTS[1],
    });
    const [received, sent] = await Promise.all([
      receiving,
      sendStream(channel, builtInGuest({ ram: RAM })),
    ]);
    using kept = await openStreamFile(file);
    yield {
      what: `${HOSTS[0]} sends its built-in guest to ${HOSTS[1]}`,
      name: HOSTS[1],
      client: peerName(received.facts)!,
      version: received.facts.version,
      cipher: received.facts.cipher,
      bytes: sent.bytes,
      seconds: received.elapsed / 1000,
      result: `kept whole in ${file}: ${kept.length} bytes, verified again from the disk`,
    };
  },

  async *serial({ objects }): AsyncGenerator<Verified> {
    const chardev = parseSocketChardev(
      "socket,id=s0,host=127.0.0.1,port=0,server=on,wait=off,tls-creds=b-server",
    );
    await using server = await serveChardev(chardev, {
      tls: { creds: objects.tlsCreds("b-server", "server") },
    });
    const echoing = echo(() => server.accept());
    const start = performance.now();
    await using channel = await dialChardev({ ...chardev, address: server.address }, {
      tls: { creds: objects.tlsCreds("a-client", "client"), hostname: HOSTS[1] },
    });
    await sendTyped(channel, new TextEncoder().encode(`${LINE}\n`));
    const text = await readUntil(channel, `${LINE}\n`);
    channel.close();
    const facts = await echoing;
    yield {
      what: `${HOSTS[0]} types to the serial port of ${HOSTS[1]}`,
      name: HOSTS[1],
      client: peerName(facts)!,
      version: channel.facts!.version,
      cipher: channel.facts!.cipher,
      bytes: 2 * text.length,
      seconds: (performance.now() - start) / 1000,
      result: `"${LINE}" came back`,
    };
  },
};

async function echo(accept: () => Promise<ChardevChannel>): Promise<SessionFacts> {
  await using client = await accept();
  const buffer = new Uint8Array(256);
  try {
    for (;;) {
      const count = await client.read(buffer);
      if (count === null) break;
      await client.write(buffer.subarray(0, count));
    }
  } catch {
    // It hung up, as a terminal does.
  }
  return client.facts!;
}
