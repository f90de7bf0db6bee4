// What only this engine's sessions can do: keys without certificates, tickets when asked, facts.

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { type ByteChannel, type CredentialSpec, EngineError } from "../../engine/mod.ts";
import { registeredName } from "../../engine/gnutls/facts.ts";
import { pair, readExactly, readToEnd } from "../support/channels.ts";
import { gnutlsTest, makePki, openEnds, pemOf, x509Spec } from "./_gnutls.ts";

const KEYS = {
  qemu: crypto.getRandomValues(new Uint8Array(32)),
  other: crypto.getRandomValues(new Uint8Array(16)),
  "Ünï cödé": crypto.getRandomValues(new Uint8Array(64)),
};
const KEYS_OF_QEMU = { qemu: KEYS.qemu };
const VERSIONS = { "TLS1.3": "NORMAL", "TLS1.2": "NORMAL:-VERS-TLS1.3" } as const;

function psk(
  endpoint: CredentialSpec["endpoint"],
  keys: Readonly<Record<string, Uint8Array>>,
  priority?: string,
): CredentialSpec {
  return { kind: "psk", endpoint, keys, ...(priority === undefined ? {} : { priority }) };
}

for (const [version, priority] of Object.entries(VERSIONS)) {
  gnutlsTest(`open() with pre-shared keys tells who the client is, ${version}`, async (engine) => {
    for (const [user, key] of Object.entries(KEYS)) {
      using ends = await openEnds(
        engine,
        psk("server", KEYS, priority),
        psk("client", { [user]: key }, priority),
      );
      for (const { facts } of [ends.server, ends.client]) {
        assertEquals(facts.version, version);
        assertEquals(facts.pskIdentity, user);
        assertEquals(facts.peerChain, []);
        assertEquals(facts.peerDn, undefined);
      }
      await ends.client.write(Uint8Array.of(1, 2));
      assertEquals(await readExactly(ends.server, 2), Uint8Array.of(1, 2));
    }
  });

  gnutlsTest(
    `open() refuses a wrong pre-shared key as an unknown user, ${version}`,
    async (engine) => {
      const said: string[] = [];
      for (const keys of [{ qemu: KEYS.other }, { nobody: KEYS.other }]) {
        using server = engine.credentials(psk("server", KEYS, priority));
        using client = engine.credentials(psk("client", keys, priority));
        const [a, b] = pair();
        const opening = engine.open(a, { credentials: client });
        opening.catch(() => {});
        const error = await assertRejects(
          () => engine.open(b, { credentials: server }),
          EngineError,
        );
        assertEquals(error.code, "TLS_HANDSHAKE");
        await assertRejects(() => opening, EngineError);
        said.push(error.message);
      }
      assertEquals(said[0], said[1]);
    },
  );
}

gnutlsTest("open() without any authentication is TLS 1.2", async (engine) => {
  using ends = await openEnds(
    engine,
    { kind: "anon", endpoint: "server" },
    { kind: "anon", endpoint: "client" },
  );
  assertEquals(ends.client.facts.version, "TLS1.2");
  assertStringIncludes(ends.client.facts.cipher, "TLS_DH_anon_WITH_");
  await ends.server.write(Uint8Array.of(7));
  assertEquals(await readExactly(ends.client, 1), Uint8Array.of(7));
});

gnutlsTest("open() takes no anonymous client where there are certificates", async (engine) => {
  const { spec } = await makePki();
  using server = engine.credentials(await spec("server"));
  using client = engine.credentials({ kind: "anon", endpoint: "client" });
  const [a, b] = pair();
  const opening = engine.open(a, { credentials: client });
  opening.catch(() => {});
  await assertRejects(
    () => engine.open(b, { credentials: server }),
    EngineError,
    "TLS handshake failed: No supported cipher suites have been found.",
  );
  await assertRejects(() => opening, EngineError);
});

for (const [version, priority] of Object.entries(VERSIONS)) {
  gnutlsTest(`facts say what was negotiated, ${version}`, async (engine) => {
    const { spec } = await makePki();
    const only = `${priority}:-GROUP-ALL:+GROUP-X25519:-CIPHER-ALL:+AES-128-GCM`;
    using ends = await openEnds(engine, await spec("server", only), await spec("client"));
    assertEquals(ends.client.facts, {
      version: version as "TLS1.2" | "TLS1.3",
      cipher: version === "TLS1.3"
        ? "TLS_AES_128_GCM_SHA256"
        : "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
      group: "X25519",
      signature: version === "TLS1.3" ? "ECDSA-SECP256R1-SHA256" : "ECDSA-SHA256",
      peerChain: ends.client.facts.peerChain,
      peerDn: "CN=server",
      clientCertificateRequested: true,
    });
    assertEquals(ends.client.facts.peerChain.length, 1);
    assertEquals(ends.server.facts.peerDn, "C=UK,CN=client");
    assertEquals(ends.server.facts.clientCertificateRequested, undefined);
  });
}

gnutlsTest("open() has ChaCha20 where a priority string asks for it alone", async (engine) => {
  const { spec } = await makePki();
  // As QEMU's: ChaCha20 before AES-128, which is all that a pre-shared key leaves of AES.
  const [normal, first] = ["NORMAL", "NORMAL:-CIPHER-ALL:+CHACHA20-POLY1305:+CIPHER-ALL"];
  const rows: readonly [CredentialSpec, CredentialSpec, cipher: string][] = [
    [psk("server", KEYS), psk("client", KEYS_OF_QEMU), "AES_128_GCM"],
    [psk("server", KEYS), psk("client", KEYS_OF_QEMU, normal), "AES_128_GCM"],
    [psk("server", KEYS, normal), psk("client", KEYS_OF_QEMU), "AES_128_GCM"],
    [psk("server", KEYS, normal), psk("client", KEYS_OF_QEMU, normal), "CHACHA20"],
    [psk("server", KEYS), psk("client", KEYS_OF_QEMU, first), "AES_128_GCM"],
    [await spec("server"), await spec("client"), "AES_256_GCM"],
    [await spec("server"), await spec("client", first), "AES_256_GCM"],
    [await spec("server", normal), await spec("client", first), "CHACHA20"],
    [await spec("server", first), await spec("client"), "AES_256_GCM"],
    [
      { kind: "anon", endpoint: "server" },
      { kind: "anon", endpoint: "client", priority: first },
      "AES_256_GCM",
    ],
  ];
  for (const [server, client, cipher] of rows) {
    using ends = await openEnds(engine, server, client);
    for (const { facts } of [ends.server, ends.client]) {
      const what = `${server.kind}: ${server.priority} and ${client.priority}`;
      assertStringIncludes(facts.cipher, cipher, what);
    }
  }
});

gnutlsTest("open() refuses a server name that cannot be sent", async (engine) => {
  const { spec } = await makePki();
  using credentials = engine.credentials(await spec("client"));
  const [a, b] = pair();
  const error = await assertRejects(
    () => engine.open(a, { credentials, serverName: "x".repeat(300) }),
    EngineError,
  );
  assertEquals(error.code, "TLS_HANDSHAKE");
  assertEquals(await b.read(new Uint8Array(1)), null);
});

Deno.test("registeredName() gives IANA's name where the library has only its own", () => {
  // Each was seen in a session of a library that has both.
  const rows = {
    "AES_256_GCM_SHA384": "TLS_AES_256_GCM_SHA384",
    "CHACHA20_POLY1305_SHA256": "TLS_CHACHA20_POLY1305_SHA256",
    "ECDHE_ECDSA_CHACHA20_POLY1305": "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "ECDHE_ECDSA_AES_128_CCM_8": "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8",
    "ECDHE_RSA_AES_256_GCM_SHA384": "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "DHE_RSA_AES_128_CBC_SHA1": "TLS_DHE_RSA_WITH_AES_128_CBC_SHA",
    "RSA_AES_128_CBC_SHA256": "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "ECDHE_PSK_AES_256_CBC_SHA384": "TLS_ECDHE_PSK_WITH_AES_256_CBC_SHA384",
    "DHE_PSK_AES_128_GCM_SHA256": "TLS_DHE_PSK_WITH_AES_128_GCM_SHA256",
    "RSA_PSK_AES_128_GCM_SHA256": "TLS_RSA_PSK_WITH_AES_128_GCM_SHA256",
    "PSK_AES_256_CBC_SHA1": "TLS_PSK_WITH_AES_256_CBC_SHA",
    "DH_ANON_AES_256_CBC_SHA256": "TLS_DH_anon_WITH_AES_256_CBC_SHA256",
    "ECDH_ANON_AES_256_CBC_SHA1": "TLS_ECDH_anon_WITH_AES_256_CBC_SHA",
  };
  for (const [name, registered] of Object.entries(rows)) {
    assertEquals(registeredName(name), registered);
  }
});

gnutlsTest("facts outlive the session; its judgement does not", async (engine) => {
  const { ca, spec } = await makePki();
  const ends = await openEnds(engine, await spec("server"), x509Spec("client", pemOf(ca)));
  ends[Symbol.dispose]();
  assertEquals(ends.client.facts.peerDn, "CN=server");
  const error = await assertRejects(async () => {
    await Promise.resolve();
    ends.client.verifyPeer();
  }, EngineError);
  assertEquals(error.code, "TLS_CLOSED");
});

/** Counts the bytes that a channel is given. */
function counted(channel: ByteChannel): { channel: ByteChannel; sent: () => number } {
  let sent = 0;
  return {
    sent: () => sent,
    channel: {
      ...channel,
      write(bytes) {
        sent += bytes.length;
        return channel.write(bytes);
      },
    },
  };
}

gnutlsTest("a server sends session tickets only when asked to", async (engine) => {
  const { spec } = await makePki();
  const flights: number[] = [];
  for (const tickets of [false, true]) {
    const [a, b] = pair();
    const { channel, sent } = counted(b);
    using ends = await openEnds(engine, await spec("server"), await spec("client"), {
      channels: [a, channel],
      server: { tickets },
      // A client that could use them, so that they are not left out for its sake.
      client: { tickets: true },
    });
    flights.push(sent());
    await ends.server.write(Uint8Array.of(1));
    assertEquals(await readExactly(ends.client, 1), Uint8Array.of(1));
    await ends.server.closeWrite();
    assertEquals((await readToEnd(ends.client)).length, 0);
    assertEquals(ends.client.closedCleanly, true);
  }
  assert(flights[1]! > flights[0]! + 100, `${flights}`);
});

gnutlsTest("read() fills small buffers while the collector is at work", async (engine) => {
  const { spec } = await makePki();
  using ends = await openEnds(engine, await spec("server"), await spec("client"));
  const sent = crypto.getRandomValues(new Uint8Array(30_000));
  const writing = ends.client.write(sent);
  let garbage: unknown[] = [];
  const got: number[] = [];
  while (got.length < sent.length) {
    // Small arrays lie on the collected heap at first.
    const small = new Uint8Array(1 + got.length % 60);
    const count = await ends.server.read(small);
    got.push(...small.subarray(0, count!));
    garbage.push(Array.from({ length: 2000 }, () => ({})));
    if (garbage.length > 50) garbage = [];
  }
  await writing;
  assertEquals(Uint8Array.from(got), sent);
});

gnutlsTest("write() takes parts of shared and of larger buffers", async (engine) => {
  const { spec } = await makePki();
  using ends = await openEnds(engine, await spec("server"), await spec("client"));
  const shared = new Uint8Array(new SharedArrayBuffer(64)).fill(5);
  const whole = new Uint8Array(100).map((_, i) => i);
  await ends.client.write(shared.subarray(3, 7));
  await ends.client.write(whole.subarray(40, 44));
  await ends.client.write(new Uint8Array());
  await ends.client.write(Uint8Array.of(9));
  assertEquals(
    await readExactly(ends.server, 9),
    Uint8Array.of(5, 5, 5, 5, 40, 41, 42, 43, 9),
  );
  assertEquals(await ends.server.read(new Uint8Array()), 0);
});
