// What every engine's sessions do, whatever carries them, and the engines with each other.

import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import {
  type ByteChannel,
  type Engine,
  KEY_TYPES,
  type KeyType,
  type TlsSession,
} from "../../engine/mod.ts";
import {
  type ChannelPair,
  pair,
  PAIRS,
  readExactly,
  readToEnd,
  tcpPair,
} from "../support/channels.ts";
import { enginesHere } from "../support/engines.ts";
import { SOAK } from "../support/soak.ts";
import { chainOf, type Holder, makeCa, makeLeaf, specOf } from "./_identities.ts";

const engines = await enginesHere();
const ca = await makeCa("a CA");
const server = await makeLeaf("server", ca);
const client = await makeLeaf("client", ca);

/** A pair of holders for each kind of key: RSA keys take seconds to make. */
const ofType = new Map<KeyType, Promise<readonly [Holder, Holder]>>();

function holdersOf(type: KeyType): Promise<readonly [Holder, Holder]> {
  let holders = ofType.get(type);
  if (holders === undefined) {
    holders = Promise.all([makeLeaf("server", ca, type), makeLeaf("client", ca, type)]);
    ofType.set(type, holders);
  }
  return holders;
}

interface Sides {
  readonly server: Engine;
  readonly client: Engine;
}

/** Each engine with itself and with each other one, in both roles. */
const sides: readonly Sides[] = engines.flatMap((server) =>
  engines.map((client) => ({ server, client }))
);

const name = (s: Sides) => `${s.server.name} server, ${s.client.name} client`;

interface HandshakeOptions {
  readonly server?: Holder;
  readonly client?: Holder | null;
  readonly trust?: Holder;
  readonly noTickets?: boolean;
  readonly priority?: string;
}

/** Opens both ends of a pair: the server on the second. */
async function shake(
  engine: Sides,
  [a, b]: ChannelPair,
  options: HandshakeOptions = {},
): Promise<readonly [server: TlsSession, client: TlsSession]> {
  const { priority, noTickets = false } = options;
  const trust = options.trust ?? ca;
  const clientHolder = options.client === null ? undefined : options.client ?? client;
  using serverCredentials = engine.server.credentials(
    await specOf("server", trust, options.server ?? server, priority),
  );
  using clientCredentials = engine.client.credentials(
    await specOf("client", trust, clientHolder),
  );
  return await Promise.all([
    engine.server.open(b, { credentials: serverCredentials, noTickets }),
    engine.client.open(a, { credentials: clientCredentials }),
  ]);
}

function closeAll(...channels: readonly ByteChannel[]): void {
  for (const channel of channels) channel.close();
}

function sameChain(actual: readonly Uint8Array[], holder: Holder): void {
  assertEquals(
    actual.map((der) => der.toHex()),
    chainOf(holder).map((certificate) => new Uint8Array(certificate.rawData).toHex()),
  );
}

for (const s of sides) {
  for (const [kind, open] of Object.entries(PAIRS)) {
    for (const dialler of ["client", "server"]) {
      Deno.test(`open() on ${kind}, the TLS ${dialler} dialling: ${name(s)}`, async () => {
        const [dialled, accepted] = await open();
        const ends: ChannelPair = dialler === "client" ? [dialled, accepted] : [accepted, dialled];
        const [serverEnd, clientEnd] = await shake(s, ends);
        assertEquals(serverEnd.facts.version, "TLS1.3");
        assertEquals(clientEnd.facts.version, "TLS1.3");
        assertEquals(clientEnd.facts.cipher, serverEnd.facts.cipher);
        // Never ChaCha20, which costs more than the AES of a processor.
        assertMatch(clientEnd.facts.cipher, /^TLS_AES_(128|256)_GCM_/);
        sameChain(serverEnd.facts.peerChain, client);
        sameChain(clientEnd.facts.peerChain, server);
        const bytes = crypto.getRandomValues(new Uint8Array(40_000));
        await clientEnd.write(bytes);
        assertEquals(await readExactly(serverEnd, bytes.length), bytes);
        await serverEnd.write(bytes);
        assertEquals(await readExactly(clientEnd, bytes.length), bytes);
        closeAll(serverEnd, clientEnd);
      });
    }
  }

  // Long RSA keys take seconds to make and differ in nothing else.
  for (const type of KEY_TYPES.filter((type) => SOAK || !/^rsa-[34]/.test(type))) {
    Deno.test(`open() with ${type} keys on both ends: ${name(s)}`, async () => {
      const [server, client] = await holdersOf(type);
      const [serverEnd, clientEnd] = await shake(s, pair(), { server, client });
      sameChain(serverEnd.facts.peerChain, client);
      sameChain(clientEnd.facts.peerChain, server);
      closeAll(serverEnd, clientEnd);
    });
  }

  Deno.test(`open() speaks TLS 1.2 where the priority says so: ${name(s)}`, async () => {
    const [serverEnd, clientEnd] = await shake(s, pair(), { priority: "NORMAL:-VERS-TLS1.3" });
    assertEquals(serverEnd.facts.version, "TLS1.2");
    assertEquals(clientEnd.facts.version, "TLS1.2");
    assertMatch(clientEnd.facts.cipher, /^TLS_ECDHE_ECDSA_WITH_/);
    closeAll(serverEnd, clientEnd);
  });

  Deno.test(`open() as a server asks for a certificate and goes on without: ${name(s)}`, async () => {
    const [serverEnd, clientEnd] = await shake(s, pair(), { client: null });
    assertEquals(serverEnd.facts.peerChain, []);
    await clientEnd.write(Uint8Array.of(1));
    assertEquals(await readExactly(serverEnd, 1), Uint8Array.of(1));
    closeAll(serverEnd, clientEnd);
  });

  Deno.test(`open() gives the peer's chain as it was sent, leaf first: ${name(s)}`, async () => {
    const [root, other] = [await makeCa("root"), await makeCa("other")];
    const inner = await makeCa("inner", await makeCa("outer", root));
    const holders = { server: await makeLeaf("s", inner), client: await makeLeaf("c", inner) };
    const [serverEnd, clientEnd] = await shake(s, pair(), { ...holders, trust: root });
    sameChain(serverEnd.facts.peerChain, holders.client);
    sameChain(clientEnd.facts.peerChain, holders.server);
    closeAll(serverEnd, clientEnd);
    // Nobody is refused in the handshake: an untrusted server's chain is there to be judged.
    const untrusted = await shake(s, pair(), { ...holders, client: null, trust: other });
    sameChain(untrusted[1].facts.peerChain, holders.server);
    closeAll(...untrusted);
  });

  Deno.test(`a session half-closes: ${name(s)}`, async () => {
    const [serverEnd, clientEnd] = await shake(s, await tcpPair());
    await clientEnd.write(Uint8Array.of(1, 2));
    await clientEnd.closeWrite();
    assertEquals(await readToEnd(serverEnd), Uint8Array.of(1, 2));
    assertEquals(serverEnd.closedCleanly, true);
    assertEquals(clientEnd.closedCleanly, undefined);
    await serverEnd.write(new Uint8Array(200_000).fill(3));
    await serverEnd.closeWrite();
    assertEquals((await readToEnd(clientEnd)).length, 200_000);
    assertEquals(clientEnd.closedCleanly, true);
    closeAll(serverEnd, clientEnd);
  });

  Deno.test(`a session ends both directions at once without losing bytes: ${name(s)}`, async () => {
    const ends = await shake(s, await tcpPair());
    const got = await Promise.all(ends.map(async (end) => {
      await end.write(new Uint8Array(100_000));
      const [bytes] = await Promise.all([readToEnd(end), end.closeWrite()]);
      return bytes.length;
    }));
    assertEquals(got, [100_000, 100_000]);
    assertEquals(ends.map((end) => end.closedCleanly), [true, true]);
    closeAll(...ends);
  });

  for (const kind of ["tcp", "memory"] as const) {
    Deno.test(`a session tells a truncation from an end, on ${kind}: ${name(s)}`, async () => {
      const [serverEnd, clientEnd] = await shake(s, await PAIRS[kind]!());
      await clientEnd.write(Uint8Array.of(1, 2, 3));
      assertEquals(await readExactly(serverEnd, 3), Uint8Array.of(1, 2, 3));
      clientEnd.close();
      assertEquals(await serverEnd.read(new Uint8Array(9)), null);
      assertEquals(serverEnd.closedCleanly, false);
      serverEnd.close();
    });
  }

  Deno.test(`a session carries much both ways at once: ${name(s)}`, async () => {
    const ends = await shake(s, await tcpPair());
    const data = ends.map(() => crypto.getRandomValues(new Uint8Array(65_536)));
    const rounds = 128;
    const digest = async (feed: (update: (bytes: Uint8Array) => void) => Promise<void>) => {
      const { createHash } = await import("node:crypto");
      const hash = createHash("sha256");
      await feed((bytes) => void hash.update(bytes));
      return hash.digest("hex");
    };
    const send = (end: TlsSession, block: Uint8Array) =>
      digest(async (update) => {
        for (let round = 0; round < rounds; round++) {
          // Pieces of odd sizes, so that no boundary coincides with a record's.
          const piece = block.subarray(round * 7, block.length - round * 11);
          update(piece);
          await end.write(piece);
        }
        await end.closeWrite();
      });
    const receive = (end: TlsSession) =>
      digest(async (update) => {
        const buffer = new Uint8Array(100_000);
        for (let count; (count = await end.read(buffer)) !== null;) {
          update(buffer.subarray(0, count));
        }
      });
    const [sent0, sent1, got0, got1] = await Promise.all([
      send(ends[0], data[0]!),
      send(ends[1], data[1]!),
      receive(ends[0]),
      receive(ends[1]),
    ]);
    assertEquals([got1, got0], [sent0, sent1]);
    closeAll(...ends);
  });

  Deno.test(`a session holds its writer back while nobody reads: ${name(s)}`, async () => {
    for (const slow of [0, 1] as const) {
      const ends = await shake(s, pair());
      const writer = ends[1 - slow]!;
      let written = 0;
      const writing = (async () => {
        for (; written < 64 << 20; written += 16_384) await writer.write(new Uint8Array(16_384));
      })();
      writing.catch(() => {});
      // Until nothing moves any more.
      for (let before = -1; before !== written;) {
        before = written;
        for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setTimeout(resolve));
      }
      assert(written > 0 && written < 4 << 20, `${written} bytes are held`);
      const rest = readExactly(ends[slow], 8 << 20);
      assertEquals((await rest).length, 8 << 20);
      closeAll(...ends);
      await writing.catch(() => {});
    }
  });

  Deno.test(`a server with noTickets says nothing after its handshake: ${name(s)}`, async () => {
    const [a, b] = pair();
    let sent = 0;
    const counted: ByteChannel = {
      ...b,
      write(bytes) {
        sent += bytes.length;
        return b.write(bytes);
      },
    };
    const [serverEnd, clientEnd] = await shake(s, [a, counted], { noTickets: true });
    const before = sent;
    await clientEnd.write(Uint8Array.of(1));
    await readExactly(serverEnd, 1);
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setTimeout(resolve));
    assertEquals(sent, before);
    closeAll(serverEnd, clientEnd);
  });

  Deno.test(`a server reads bytes that came with the client's last flight: ${name(s)}`, async () => {
    const [a, b] = pair(1 << 20);
    const gate = Promise.withResolvers<void>();
    let reads = 0;
    const gated: ByteChannel = {
      ...b,
      async read(into) {
        if (++reads > 1) await gate.promise;
        return await b.read(into);
      },
    };
    using serverCredentials = s.server.credentials(await specOf("server", ca, server));
    using clientCredentials = s.client.credentials(await specOf("client", ca, client));
    const opening = s.server.open(gated, { credentials: serverCredentials });
    const clientEnd = await s.client.open(a, { credentials: clientCredentials });
    const bytes = crypto.getRandomValues(new Uint8Array(60_000));
    await clientEnd.write(bytes);
    await clientEnd.closeWrite();
    gate.resolve();
    const serverEnd = await opening;
    // Nobody reads for a while, as while a peer is being verified.
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setTimeout(resolve));
    assertEquals(await readToEnd(serverEnd), bytes);
    assertEquals(serverEnd.closedCleanly, true);
    closeAll(serverEnd, clientEnd);
  });
}

for (const engine of engines) {
  const s: Sides = { server: engine, client: engine };

  Deno.test(`open() makes many sessions at once: ${engine.name}`, async () => {
    const holders = await Promise.all(
      Array.from({ length: 8 }, (_, i) => makeLeaf(`client ${i}`, ca)),
    );
    using serverCredentials = engine.credentials(await specOf("server", ca, server));
    await Promise.all(holders.map(async (holder, i) => {
      using clientCredentials = engine.credentials(await specOf("client", ca, holder));
      for (let round = 0; round < 4; round++) {
        const [a, b] = pair();
        const [serverEnd, clientEnd] = await Promise.all([
          engine.open(b, { credentials: serverCredentials }),
          engine.open(a, { credentials: clientCredentials }),
        ]);
        sameChain(serverEnd.facts.peerChain, holder);
        await clientEnd.write(Uint8Array.of(i));
        assertEquals(await readExactly(serverEnd, 1), Uint8Array.of(i));
        closeAll(serverEnd, clientEnd);
      }
    }));
  });

  Deno.test(`open() as a client names the server only when asked to: ${engine.name}`, async () => {
    using credentials = engine.credentials(await specOf("client", ca, client));
    for (const serverName of [undefined, "vm1.example.org"]) {
      const [a, b] = pair();
      const options = serverName === undefined ? {} : { serverName };
      const opening = engine.open(a, { credentials, ...options });
      const hello = new Uint8Array(16_384);
      const count = await b.read(hello);
      const extensions = extensionsOf(hello.subarray(0, count ?? 0));
      assertEquals(extensions.has(0), serverName !== undefined);
      assert(extensions.has(43), "a ClientHello of TLS 1.3 was read");
      const text = new TextDecoder("latin1").decode(extensions.get(0));
      assertEquals(text.endsWith("vm1.example.org"), serverName !== undefined);
      b.close();
      await opening.catch(() => {});
    }
  });

  Deno.test(`open() never resumes a session: ${engine.name}`, async () => {
    using serverCredentials = engine.credentials(await specOf("server", ca, server));
    using clientCredentials = engine.credentials(await specOf("client", ca, client));
    for (let round = 0; round < 3; round++) {
      const [a, b] = pair();
      let hello: Uint8Array | undefined;
      const seen: ByteChannel = {
        ...a,
        write(bytes) {
          hello ??= bytes.slice();
          return a.write(bytes);
        },
      };
      const [serverEnd, clientEnd] = await Promise.all([
        engine.open(b, { credentials: serverCredentials }),
        engine.open(seen, { credentials: clientCredentials }),
      ]);
      await serverEnd.write(Uint8Array.of(1));
      await readExactly(clientEnd, 1);
      // pre_shared_key of RFC 8446 4.2.11.
      assertEquals(extensionsOf(hello!).has(41), false);
      closeAll(serverEnd, clientEnd);
    }
  });

  Deno.test(`open() keeps a server without tickets to the versions that allow it: ${engine.name}`, async () => {
    const versions: string[] = [];
    for (const noTickets of [false, true]) {
      const [serverEnd, clientEnd] = await shake(s, pair(), { noTickets });
      versions.push(serverEnd.facts.version);
      closeAll(serverEnd, clientEnd);
    }
    // GnuTLS sends none unless asked; node:tls can only keep to TLS 1.2.
    assertEquals(versions, engine.name === "gnutls" ? ["TLS1.3", "TLS1.3"] : ["TLS1.3", "TLS1.2"]);
  });
}

/** The extensions of a ClientHello in one record (RFC 8446 4.1.2), by type. */
function extensionsOf(record: Uint8Array): Map<number, Uint8Array> {
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  assertEquals(record[0], 22);
  assertEquals(record[5], 1);
  let offset = 5 + 4 + 2 + 32;
  offset += 1 + view.getUint8(offset);
  offset += 2 + view.getUint16(offset);
  offset += 1 + view.getUint8(offset);
  const end = offset + 2 + view.getUint16(offset);
  const extensions = new Map<number, Uint8Array>();
  for (offset += 2; offset < end;) {
    const length = view.getUint16(offset + 2);
    extensions.set(view.getUint16(offset), record.subarray(offset + 4, offset + 4 + length));
    offset += 4 + length;
  }
  assertNotEquals(extensions.size, 0);
  return extensions;
}
