// What becomes of sessions when the peer, the channel or the caller breaks them off.

import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import fc from "fast-check";
import {
  type ByteChannel,
  type CredentialSpec,
  EngineError,
  type TlsSession,
} from "../../engine/mod.ts";
import { oneByte, pair, PAIRS, readExactly, tcpPair } from "../support/channels.ts";
import { enginesHere } from "../support/engines.ts";
import { soakCount, soakRow } from "../support/soak.ts";
import { identityOf, makeCa, makeLeaf, specOf } from "./_identities.ts";

const engines = await enginesHere();
const ca = await makeCa("a CA");
const holders = { server: await makeLeaf("server", ca), client: await makeLeaf("client", ca) };
const ROLES = ["server", "client"] as const;
const TERMINATED = "TLS handshake failed: The TLS connection was non-properly terminated.";

for (const engine of engines) {
  const load = async (role: CredentialSpec["endpoint"]) =>
    engine.credentials(await specOf(role, ca, holders[role]));

  const session = async (
    [a, b]: readonly [ByteChannel, ByteChannel],
  ): Promise<readonly [TlsSession, TlsSession]> => {
    using server = await load("server");
    using client = await load("client");
    return await Promise.all([
      engine.open(b, { credentials: server }),
      engine.open(a, { credentials: client }),
    ]);
  };

  for (const role of ROLES) {
    const test = (what: string, fn: () => Promise<void>) =>
      Deno.test(`open() as a ${role} ${what}: ${engine.name}`, fn);

    test("gives up on a silent peer and closes the channel", async () => {
      const [a, b] = await tcpPair();
      using credentials = await load(role);
      const error = await assertRejects(
        () => engine.open(a, { credentials, timeout: 50 }),
        EngineError,
      );
      assertEquals(error.code, "TLS_TIMEOUT");
      assertEquals(error.message, `TLS handshake failed: ${a.peer} did not finish in 0.05 s`);
      await drain(b);
      b.close();
    });

    test("gives up on a peer that stops in mid-handshake", async () => {
      using credentials = await load(role);
      using other = await load(role === "server" ? "client" : "server");
      for (const length of [3, 100, 500]) {
        const [a, b] = pair();
        let left = length;
        const cut: ByteChannel = {
          ...b,
          async write(bytes) {
            const part = bytes.subarray(0, left);
            left -= part.length;
            if (part.length > 0) await b.write(part);
          },
        };
        // A client of TLS 1.3 is through before the server has all of its last flight.
        const theirs = engine.open(cut, { credentials: other, timeout: 200 });
        const error = await assertRejects(
          () => engine.open(a, { credentials, timeout: 100 }),
          EngineError,
        );
        assertEquals(error.code, "TLS_TIMEOUT");
        await theirs.then((session) => session.close(), () => {});
      }
    });

    test("rejects with the reason of its signal and closes the channel", async () => {
      for (const when of ["before", "meanwhile"]) {
        const [a, b] = await tcpPair();
        using credentials = await load(role);
        const abort = new AbortController();
        if (when === "before") abort.abort(new Error("enough"));
        const opening = engine.open(a, { credentials, signal: abort.signal });
        if (when === "meanwhile") setTimeout(() => abort.abort(new Error("enough")), 20);
        await assertRejects(() => opening, Error, "enough");
        await drain(b);
        b.close();
      }
    });

    test("refuses what is no TLS", async () => {
      for (
        const text of ["GET / HTTP/1.1\r\nHost: vm1\r\n\r\n", "\0".repeat(500), "QEVM\0\0\0\x03"]
      ) {
        const [a, b] = await tcpPair();
        using credentials = await load(role);
        await b.write(new TextEncoder().encode(text));
        await b.closeWrite();
        const error = await assertRejects(() => engine.open(a, { credentials }), EngineError);
        assertEquals(error.code, "TLS_HANDSHAKE");
        assert(error.message.startsWith("TLS handshake failed: "), error.message);
        await drain(b);
        b.close();
      }
    });

    test("calls a plain peer by GnuTLS's words", async () => {
      const [a, b] = await tcpPair();
      using credentials = await load(role);
      await b.write(new TextEncoder().encode("SSH-2.0-OpenSSH_9.2p1\r\n"));
      await assertRejects(
        () => engine.open(a, { credentials }),
        EngineError,
        "TLS handshake failed: An unexpected TLS packet was received.",
      );
      b.close();
    });

    test("says that the peer went away", async () => {
      for (const [kind, open] of Object.entries(PAIRS)) {
        const [a, b] = await open();
        using credentials = await load(role);
        const opening = engine.open(a, { credentials });
        await new Promise((resolve) => setTimeout(resolve, 5));
        await b.closeWrite();
        const error = await assertRejects(() => opening, EngineError);
        assertEquals(error.message, TERMINATED, kind);
        b.close();
      }
    });

    test("refuses a peer of the same role", async () => {
      const [a, b] = await tcpPair();
      using credentials = await load(role);
      const timeout = role === "server" ? 100 : 5_000;
      const both = await Promise.allSettled([
        engine.open(a, { credentials, timeout }),
        engine.open(b, { credentials, timeout }),
      ]);
      for (const one of both) {
        assert(one.status === "rejected");
        assertInstanceOf(one.reason, EngineError);
      }
    });

    test("refuses credentials that are disposed, and closes the channel", async () => {
      const [a, b] = pair();
      const credentials = await load(role);
      credentials[Symbol.dispose]();
      const error = await assertRejects(() => engine.open(a, { credentials }), EngineError);
      assertEquals(error.code, "TLS_CREDENTIALS");
      assertEquals(await b.read(new Uint8Array(1)), null);
    });

    test("refuses another engine's credentials, and closes the channel", async () => {
      const [a, b] = pair();
      const credentials = { endpoint: role, kind: "x509", [Symbol.dispose]() {} } as const;
      const error = await assertRejects(() => engine.open(a, { credentials }), EngineError);
      assertEquals(error.code, "TLS_CREDENTIALS");
      assertEquals(await b.read(new Uint8Array(1)), null);
    });

    test("survives damaged records", async () => {
      using credentials = await load(role);
      using other = await load(role === "server" ? "client" : "server");
      const place = fc.integer({ min: 0, max: 1_500 });
      const mask = fc.integer({ min: 1, max: 255 });
      const property = fc.asyncProperty(place, mask, async (place, mask) => {
        const [a, b] = pair();
        let left = place;
        const damaged: ByteChannel = {
          ...b,
          async write(bytes) {
            const copy = bytes.slice();
            if (left >= 0 && left < copy.length) copy[left]! ^= mask;
            left -= copy.length;
            await b.write(copy);
          },
        };
        const both = await Promise.allSettled([
          engine.open(a, { credentials, timeout: 100 }),
          engine.open(damaged, { credentials: other, timeout: 100 }),
        ]);
        for (const one of both) {
          if (one.status === "fulfilled") one.value.close();
          else assertInstanceOf(one.reason, EngineError);
        }
      });
      const numRuns = soakCount(1_000);
      await fc.assert(property, { numRuns, endOnFailure: true });
      soakRow(`open() as a ${role} with damaged records: ${engine.name}`, numRuns, "no crash");
    });
  }

  Deno.test(`close() ends a pending read and the peer's: ${engine.name}`, async () => {
    for (const open of Object.values(PAIRS)) {
      const [server, client] = await session(await open());
      const pending = server.read(new Uint8Array(9));
      const theirs = client.read(new Uint8Array(9));
      server.close();
      server.close();
      await settledEmpty(pending);
      await settledEmpty(server.read(new Uint8Array(9)));
      assertEquals(await theirs, null);
      assertEquals(client.closedCleanly, false);
      client.close();
    }
  });

  Deno.test(`close() rejects a pending write and later ones: ${engine.name}`, async () => {
    const [server, client] = await session(pair());
    const writing = (async () => {
      for (;;) await server.write(new Uint8Array(100_000));
    })();
    await readExactly(client, 1);
    server.close();
    await assertRejects(() => writing, EngineError);
    await assertRejects(() => server.write(Uint8Array.of(1)), EngineError);
    client.close();
  });

  Deno.test(`a session refuses to write after closeWrite(): ${engine.name}`, async () => {
    const [server, client] = await session(pair());
    await server.closeWrite();
    await server.closeWrite();
    await assertRejects(() => server.write(Uint8Array.of(1)), EngineError);
    await client.write(Uint8Array.of(7));
    assertEquals(await readExactly(server, 1), Uint8Array.of(7));
    server.close();
    client.close();
  });

  Deno.test(`a session rejects reads when a record was tampered with: ${engine.name}`, async () => {
    const [a, b] = pair();
    let tamper = false;
    const tampering: ByteChannel = {
      ...b,
      write(bytes) {
        const copy = bytes.slice();
        if (tamper) copy[copy.length - 1]! ^= 1;
        return b.write(copy);
      },
    };
    const [server, client] = await session([a, tampering]);
    await server.write(Uint8Array.of(1));
    assertEquals(await readExactly(client, 1), Uint8Array.of(1));
    tamper = true;
    await server.write(Uint8Array.of(2));
    const error = await assertRejects(() => client.read(new Uint8Array(9)), EngineError);
    assertEquals(error.code, "TLS_READ");
    server.close();
    client.close();
  });

  Deno.test(`a session passes on why its channel broke, bytes before it first: ${engine.name}`, async () => {
    const [a, b] = pair();
    const gate = Promise.withResolvers<void>();
    const breaking: ByteChannel = {
      ...a,
      read: (into) =>
        Promise.race([a.read(into), gate.promise.then(() => -1)]).then((count) => {
          if (count === -1) throw new Error("Connection reset by peer (os error 104)");
          return count;
        }),
    };
    const [server, client] = await session([breaking, b]);
    await server.write(Uint8Array.of(1, 2));
    assertEquals(await readExactly(client, 1), Uint8Array.of(1));
    const rest = readExactly(client, 1);
    gate.resolve();
    assertEquals(await rest, Uint8Array.of(2));
    const error = await assertRejects(() => client.read(new Uint8Array(9)), EngineError);
    assertEquals(error.code, "TLS_READ");
    assert(error.message.toLowerCase().includes("connection reset by peer"), error.message);
    server.close();
    client.close();
  });

  Deno.test(`a session rejects writes when its channel does: ${engine.name}`, async () => {
    const [a, b] = pair();
    let broken = false;
    const breaking: ByteChannel = {
      ...a,
      write: (bytes) => broken ? Promise.reject(new Error("Broken pipe")) : a.write(bytes),
    };
    const [server, client] = await session([breaking, b]);
    broken = true;
    const error = await assertRejects(() => client.write(Uint8Array.of(1)), EngineError);
    assertEquals(error.code, "TLS_WRITE");
    assert(error.message.toLowerCase().includes("broken pipe"), error.message);
    server.close();
    client.close();
  });

  Deno.test(`a session rejects reads when the peer resets the connection: ${engine.name}`, async () => {
    const [server, client] = await session(await tcpPair());
    await client.write(new Uint8Array(100_000));
    // Bytes that nobody has read make the kernel answer with RST.
    server.close();
    await assertRejects(async () => {
      for (;;) await client.write(new Uint8Array(100_000));
    }, EngineError);
    client.close();
  });

  Deno.test(`a session works one byte at a time under load: ${engine.name}`, async () => {
    const [a, b] = pair();
    const [server, client] = await session([oneByte(a), oneByte(b)]);
    const bytes = crypto.getRandomValues(new Uint8Array(3_000));
    await server.write(bytes);
    for (const byte of bytes) {
      const one = new Uint8Array(1);
      assertEquals(await client.read(one), 1);
      assertEquals(one[0], byte);
    }
    server.close();
    client.close();
  });

  Deno.test(`credentials() refuses a key that is another certificate's: ${engine.name}`, async () => {
    for (const role of ROLES) {
      const spec = await specOf(role, ca, holders[role]);
      assert(spec.kind === "x509");
      const { key } = await identityOf(holders[role === "server" ? "client" : "server"]);
      const identities = spec.identities.map((identity) => ({ ...identity, key }));
      const error = await thrown(() => engine.credentials({ ...spec, identities }));
      assertEquals([error.code, error.facts.option], ["TLS_CREDENTIALS", "identity"]);
    }
  });

  Deno.test(`credentials() refuses damaged certificates and keys: ${engine.name}`, async () => {
    const spec = await specOf("server", ca, holders.server);
    assert(spec.kind === "x509");
    const [identity] = spec.identities;
    const junk = new TextEncoder().encode("junk");
    for (const damage of [{ certificate: junk }, { key: junk }]) {
      const error = await thrown(() =>
        engine.credentials({ ...spec, identities: [{ ...identity!, ...damage }] })
      );
      assertEquals([error.code, error.facts.option], ["TLS_CREDENTIALS", "identity"]);
    }
  });

  Deno.test(`credentials() takes encrypted keys with their passphrase alone: ${engine.name}`, async () => {
    const spec = await specOf("server", ca, holders.server);
    assert(spec.kind === "x509");
    const [identity] = spec.identities;
    using plain = await engine.importKey(new TextDecoder().decode(identity!.key));
    const key = new TextEncoder().encode(await plain.exportPem("secret"));
    const load = (password?: string) =>
      engine.credentials({
        ...spec,
        identities: [{ ...identity!, key, ...(password === undefined ? {} : { password }) }],
      });
    using credentials = load("secret");
    using client = await (async () => engine.credentials(await specOf("client", ca)))();
    const [a, b] = pair();
    const ends = await Promise.all([
      engine.open(b, { credentials }),
      engine.open(a, { credentials: client }),
    ]);
    for (const end of ends) end.close();
    for (const password of ["wrong", undefined]) {
      const error = await thrown(() => load(password));
      assertEquals([error.code, error.facts.option], ["TLS_CREDENTIALS", "identity"]);
    }
  });
}

/** Reads what a refused peer may still get, an alert perhaps, to the end or the reset. */
async function drain(channel: ByteChannel): Promise<void> {
  const buffer = new Uint8Array(1024);
  try {
    while (await channel.read(buffer) !== null);
  } catch { /* a reset is an end, too */ }
}

async function settledEmpty(read: Promise<number | null>): Promise<void> {
  const result = await read.catch((error) => {
    assertInstanceOf(error, EngineError);
    return null;
  });
  assertEquals(result, null);
}

async function thrown(fn: () => unknown): Promise<EngineError> {
  return await assertRejects(() => Promise.try(fn), EngineError);
}
