// What credentials the library takes, and what it says of those that it does not.

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { encodePem } from "../../base/mod.ts";
import { type CredentialSpec, type Engine, EngineError } from "../../engine/mod.ts";
import { pair, readExactly } from "../support/channels.ts";
import {
  gnutlsTest,
  identity,
  issue,
  issueCa,
  makePki,
  openEnds,
  pemOf,
  revoke,
  x509Spec,
} from "./_gnutls.ts";

const text = (value: string) => new TextEncoder().encode(value);

function refused(engine: Engine, spec: CredentialSpec): EngineError["facts"] {
  const error = assertThrows(() => engine.credentials(spec), EngineError);
  assertEquals(error.code, "TLS_CREDENTIALS");
  return error.facts;
}

gnutlsTest(
  "credentials() says which part of them is bad, in the library's words",
  async (engine) => {
    const { ca, server, client } = await makePki();
    const trust = pemOf(ca);
    const good = await identity(server);
    const other = await identity(client);
    const rows: [CredentialSpec, EngineError["facts"]][] = [
      [x509Spec("server", text(encodePem("CERTIFICATE", new Uint8Array(3))), []), {
        option: "trust",
        cause: "ASN1 parser: Error in TAG.",
      }],
      [x509Spec("server", trust, [good, { ...good, key: other.key }]), {
        option: "identity",
        value: "1",
        cause: "The certificate and the given key do not match.",
      }],
      [x509Spec("server", trust, [{ ...good, certificate: text("junk") }]), {
        option: "identity",
        value: "0",
        cause: "Base64 decoding error.",
      }],
      [x509Spec("server", trust, [good], { crl: text("junk") }), {
        option: "crl",
        cause: "Base64 decoding error.",
      }],
      [{ kind: "psk", endpoint: "client", keys: { qemu: Uint8Array.of(0xaa, 0xbb) } }, {
        option: "psk",
        value: "qemu",
        cause: "The request is invalid.",
      }],
    ];
    for (const [spec, facts] of rows) assertEquals(refused(engine, spec), facts);
  },
);

gnutlsTest("credentials() of a PSK client takes exactly one user", (engine) => {
  for (const keys of [{}, { a: new Uint8Array(16), b: new Uint8Array(16) }]) {
    assertEquals(refused(engine, { kind: "psk", endpoint: "client", keys }).option, "psk");
  }
});

for (const kind of ["x509", "psk", "anon"] as const) {
  gnutlsTest(
    `credentials() refuses a bad priority string with its place, ${kind}`,
    async (engine) => {
      const { ca } = await makePki();
      const keys = { qemu: new Uint8Array(16) };
      const base = kind === "x509"
        ? { kind, trust: pemOf(ca), identities: [] }
        : kind === "psk"
        ? { kind, keys }
        : { kind };
      const facts = refused(engine, { ...base, endpoint: "client", priority: "NORMAL:+FOO" });
      assertEquals(facts.option, "priority");
      assertEquals(facts.value, "NORMAL:+FOO");
      assertEquals(facts.offset, 7);
      assertEquals(
        facts.cause,
        "priority string 'NORMAL:+FOO': The request is invalid. (at character 8)",
      );
    },
  );
}

gnutlsTest("checkPriority() reads strings as facts about GnuTLS have them", (engine) => {
  const bad = "The request is invalid.";
  const rows: [string, { position: number; error: string } | undefined][] = [
    ["NORMAL", undefined],
    ["normal", undefined],
    ["SECURE256:+SECURE128", undefined],
    ["NORMAL:-VERS-ALL:+VERS-TLS1.3", undefined],
    ["NORMAL:+VERS-SSL3.0", undefined],
    ["NORMAL:%SERVER_PRECEDENCE", undefined],
    ["NORMAL:+FOO", { position: 7, error: bad }],
    ["NORMAL:-VERS-ALL:+VERS-TLS1.3:%FOO", { position: 30, error: bad }],
    ["NORMAL\0:+FOO", { position: 6, error: bad }],
    ["FOO", { position: 0, error: bad }],
    ["", { position: 0, error: bad }],
    ["@NOBODY-HAS-THIS", { position: 0, error: bad }],
    ["NONE", { position: 0, error: "No or insufficient priorities were set." }],
  ];
  for (const [priority, wrong] of rows) {
    assertEquals(
      [priority, engine.checkPriority(priority)],
      [priority, wrong === undefined ? { ok: true } : { ok: false, ...wrong }],
    );
  }
});

gnutlsTest(
  "credentials() with several identities offers the one that the peer can use",
  async (engine) => {
    const ca = await issueCa("a CA");
    const rsa = {
      name: "RSASSA-PKCS1-v1_5",
      modulusLength: 2048,
      publicExponent: Uint8Array.of(1, 0, 1),
      hash: "SHA-256",
    };
    const identities = [
      await identity(await issue("ec", { issuer: ca })),
      await identity(await issue("rsa", { issuer: ca, algorithm: rsa })),
    ];
    const trust = pemOf(ca);
    for (
      const [signatures, name] of [["ECDSA-SHA256", "ec"], [
        "RSA-SHA256:+SIGN-RSA-PSS-RSAE-SHA256",
        "rsa",
      ]]
    ) {
      const priority = `NORMAL:-VERS-TLS1.3:-SIGN-ALL:+SIGN-${signatures}`;
      using ends = await openEnds(
        engine,
        x509Spec("server", trust, identities),
        x509Spec("client", trust, [], { priority }),
      );
      assertEquals(ends.client.facts.peerDn, `CN=${name}`);
    }
  },
);

gnutlsTest("credentials() trust every CA of the file", async (engine) => {
  const cas = await Promise.all(["one", "two", "three"].map((name) => issueCa(name)));
  const trust = pemOf(...cas);
  for (const issuer of cas) {
    const server = await identity(await issue("server", { issuer }));
    using ends = await openEnds(
      engine,
      x509Spec("server", trust, [server]),
      x509Spec("client", trust),
    );
    assertEquals(ends.client.verifyPeer()?.invalid, false);
  }
});

gnutlsTest("credentials() take several CRLs", async (engine) => {
  const { ca, server, client } = await makePki();
  const another = await issueCa("another CA");
  const crl = new Uint8Array([...await revoke(another, []), ...await revoke(ca, [client])]);
  using ends = await openEnds(
    engine,
    x509Spec("server", pemOf(ca, another), [await identity(server)], { crl }),
    x509Spec("client", pemOf(ca), [await identity(client)]),
  );
  assertEquals(ends.server.verifyPeer()?.revoked, true);
});

gnutlsTest("credentials outlive their owner for the sessions that use them", async (engine) => {
  const { spec } = await makePki();
  const credentials = engine.credentials(await spec("server"));
  const [a, b] = pair();
  using clientCredentials = engine.credentials(await spec("client"));
  const opening = Promise.all([
    engine.open(b, { credentials }),
    engine.open(a, { credentials: clientCredentials }),
  ]);
  credentials[Symbol.dispose]();
  credentials[Symbol.dispose]();
  const [server, client] = await opening;
  await client.write(Uint8Array.of(1));
  assertEquals(await readExactly(server, 1), Uint8Array.of(1));
  assertEquals(server.verifyPeer()?.invalid, false);
  server.close();
  client.close();
  const error = await assertRejects(() => engine.open(pair()[0], { credentials }), EngineError);
  assertEquals(error.code, "TLS_CREDENTIALS");
});

gnutlsTest("open() refuses credentials that are not this engine's", async (engine) => {
  const credentials = { endpoint: "client", kind: "x509", [Symbol.dispose]() {} } as const;
  const [a, b] = pair();
  const error = await assertRejects(() => engine.open(a, { credentials }), EngineError);
  assertEquals(error.code, "TLS_CREDENTIALS");
  assertEquals(await b.read(new Uint8Array(1)), null);
});
