// What node:tls would ignore or let through, and the platform engine does not.

import "reflect-metadata";
import { connect as tlsConnect, createServer as createTlsServer, type TLSSocket } from "node:tls";
import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import * as x509 from "@peculiar/x509";
import fc from "fast-check";
import {
  derBitString,
  derChildren,
  derExplicit,
  derInteger,
  derSequence,
  encodePem,
  readDerWhole,
} from "../../base/mod.ts";
import { connect, listen } from "../../channel/mod.ts";
import { EngineError, type SigningKey } from "../../engine/mod.ts";
import { platformEngine as engine } from "../../engine/platform/mod.ts";
import { unprovenBecause } from "../../engine/platform/proof.ts";
import { pair } from "../support/channels.ts";
import { makeCa, makeLeaf, specOf } from "./_identities.ts";

const ca = await makeCa("a CA");
const server = await makeLeaf("server", ca);

function refused(fn: () => unknown): EngineError {
  const error = assertThrows(fn, EngineError);
  assertEquals(error.code, "ENGINE_UNSUPPORTED", error.message);
  return error;
}

for (
  const [priority, token] of [
    ["NORMAL:+AES-256-GCM", "+AES-256-GCM"],
    ["NORMAL:-SIGN-ALL:+SIGN-RSA-SHA256", "-SIGN-ALL"],
    ["NORMAL:-VERS-ALL:+VERS-TLS1.1", "+VERS-TLS1.1"],
    ["NORMAL:%NO_TICKETS", "%NO_TICKETS"],
    ["NORMAL:%SERVER_PRECEDENCE:-VERS-TLS1.3", "%SERVER_PRECEDENCE"],
    ["NORMAL:-VERS-TLS1.4", "-VERS-TLS1.4"],
    ["NORMAL:", ""],
    ["SECURE256", "SECURE256"],
    ["@SYSTEM", "@SYSTEM"],
    ["FOO", "FOO"],
    ["", ""],
  ] as const
) {
  Deno.test(`the platform engine refuses priority ${JSON.stringify(priority)}`, async () => {
    const spec = await specOf("server", ca, server, priority);
    const error = refused(() => engine.credentials(spec));
    assertEquals(
      error.message,
      `the platform engine cannot do priority token '${token}': it would be ignored`,
    );
  });
}

for (
  const [priority, versions] of [
    ["NORMAL", ["TLS1.2", "TLS1.3"]],
    ["NORMAL:-VERS-SSL3.0:-VERS-TLS1.0:-VERS-TLS1.1", ["TLS1.2", "TLS1.3"]],
    ["NORMAL:-VERS-TLS1.3", ["TLS1.2"]],
    ["NORMAL:!VERS-TLS1.3", ["TLS1.2"]],
    ["NORMAL:-VERS-TLS1.2", ["TLS1.3"]],
    ["NORMAL:-VERS-ALL:+VERS-TLS1.2", ["TLS1.2"]],
    ["NORMAL:-VERS-TLS-ALL:+VERS-TLS1.3", ["TLS1.3"]],
    ["NORMAL:-VERS-ALL:+VERS-ALL", ["TLS1.2", "TLS1.3"]],
  ] as const
) {
  Deno.test(`the platform engine honours priority ${JSON.stringify(priority)}`, async () => {
    using credentials = engine.credentials(await specOf("server", ca, server, priority));
    const spoken: string[] = [];
    for (const version of ["TLS1.2", "TLS1.3"] as const) {
      const only = `NORMAL:-VERS-ALL:+VERS-${version}`;
      using client = engine.credentials(await specOf("client", ca, undefined, only));
      const [a, b] = pair();
      const [serverEnd, clientEnd] = await Promise.allSettled([
        engine.open(b, { credentials }),
        engine.open(a, { credentials: client }),
      ]);
      if (clientEnd.status === "fulfilled") spoken.push(clientEnd.value.facts.version);
      for (const end of [serverEnd, clientEnd]) {
        if (end.status === "fulfilled") end.value.close();
      }
    }
    assertEquals(spoken, [...versions]);
  });
}

Deno.test("the platform engine refuses a priority that leaves no version", async () => {
  const spec = await specOf("server", ca, server, "NORMAL:-VERS-ALL");
  const error = assertThrows(() => engine.credentials(spec), EngineError);
  assertEquals([error.code, error.facts.option], ["TLS_CREDENTIALS", "priority"]);
});

Deno.test("the platform engine refuses PSK, anonymous and manifold credentials", async () => {
  for (const endpoint of ["server", "client"] as const) {
    const keys = { qemu: new Uint8Array(32) };
    const psk = refused(() => engine.credentials({ kind: "psk", endpoint, keys }));
    assertEquals(psk.message, "the platform engine cannot do PSK credentials");
    const anon = refused(() => engine.credentials({ kind: "anon", endpoint }));
    assertEquals(anon.message, "the platform engine cannot do anonymous credentials");
    assertMatch(anon.hints.join(), /--engine gnutls/);
    const spec = await specOf(endpoint, ca, server);
    assert(spec.kind === "x509");
    const identities = [...spec.identities, ...spec.identities];
    refused(() => engine.credentials({ ...spec, identities }));
  }
});

Deno.test("the platform engine refuses RSA keys that it cannot sign with", async () => {
  const algorithm = {
    name: "RSASSA-PKCS1-v1_5",
    modulusLength: 1024,
    publicExponent: Uint8Array.of(1, 0, 1),
    hash: "SHA-256",
  };
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: "CN=small",
    keys,
    signingAlgorithm: algorithm,
  });
  const spec = await specOf("server", ca, { certificate, keys, issuer: ca });
  const error = refused(() => engine.credentials(spec));
  assertEquals(error.message, "the platform engine cannot do TLS with RSA keys of 1024 bits");
});

Deno.test("the platform engine refuses a server without a certificate", async () => {
  const spec = await specOf("server", ca);
  const error = assertThrows(() => engine.credentials(spec), EngineError);
  assertEquals(error.code, "TLS_CREDENTIALS");
});

Deno.test("the platform engine refuses a server of TLS 1.3 alone to send no tickets", async () => {
  using credentials = engine.credentials(
    await specOf("server", ca, server, "NORMAL:-VERS-TLS1.2"),
  );
  const [a, b] = pair();
  const error = await assertRejects(
    () => engine.open(a, { credentials, noTickets: true }),
    EngineError,
  );
  assertEquals(error.code, "ENGINE_UNSUPPORTED");
  assertEquals(await b.read(new Uint8Array(1)), null);
});

/** A certificate of version 1, as `openssl x509 -req` without extensions used to make. */
async function versionOne(key: SigningKey): Promise<Uint8Array> {
  const model = new Uint8Array(server.certificate.rawData);
  const [tbs] = derChildren(readDerWhole(model));
  const [, serial, , issuer, validity, subject] = derChildren(tbs!).map(({ raw }) => raw);
  const [, algorithm] = derChildren(readDerWhole(model)).map(({ raw }) => raw);
  const old = derSequence(serial!, algorithm!, issuer!, validity!, subject!, key.publicKey);
  return derSequence(old, algorithm!, derBitString(await key.sign(old)));
}

for (const role of ["server", "client"] as const) {
  Deno.test(`the platform engine as a ${role} refuses a version 1 certificate, whose key node:tls does not ask for`, async () => {
    using owner = await engine.generateKey("ec-p256");
    using thief = await engine.generateKey("ec-p256");
    const forged = {
      cert: encodePem("CERTIFICATE", await versionOne(owner)),
      key: await thief.exportPem(),
    };
    using credentials = engine.credentials(await specOf(role, ca, server));
    const open = async () => {
      if (role === "server") {
        await using listener = await listen({ kind: "tcp", host: "127.0.0.1", port: 0 });
        assert(listener.address.kind === "tcp");
        const { port } = listener.address;
        const options = { ...forged, host: "127.0.0.1", port, rejectUnauthorized: false };
        using peer = disposable(tlsConnect(options));
        assert(peer.socket);
        return await engine.open(await listener.accept(), { credentials });
      }
      const server = createTlsServer(forged, (socket) => socket.on("error", () => {}));
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      try {
        const address = server.address();
        assert(typeof address === "object" && address !== null);
        const { port } = address;
        const channel = await connect({ kind: "tcp", host: "127.0.0.1", port });
        return await engine.open(channel, { credentials });
      } finally {
        server.close();
      }
    };
    const error = await assertRejects(open, EngineError);
    assertEquals(
      error.message,
      "TLS handshake failed: the peer's certificate proves nothing: it is of version 1, not 3",
    );
  });
}

function disposable(socket: TLSSocket): { readonly socket: TLSSocket } & Disposable {
  socket.on("error", () => {});
  return { socket, [Symbol.dispose]: () => void socket.destroy() };
}

Deno.test("unprovenBecause() lets well-formed certificates pass", async () => {
  for (const holder of [ca, server, await makeLeaf("ed", ca, "ed25519")]) {
    assertEquals(unprovenBecause(new Uint8Array(holder.certificate.rawData)), undefined);
  }
});

Deno.test("unprovenBecause() names what webpki does not read", async () => {
  using key = await engine.generateKey("ec-p256");
  const good = new Uint8Array(server.certificate.rawData);
  const [tbs, algorithm, signature] = derChildren(readDerWhole(good));
  const fields = derChildren(tbs!).map(({ raw }) => raw);
  const rebuilt = (...parts: Uint8Array[]) =>
    unprovenBecause(derSequence(derSequence(...parts), algorithm!.raw, signature!.raw));
  const [version, ...rest] = fields as [Uint8Array, ...Uint8Array[]];
  assertEquals(rebuilt(version, ...rest), undefined);
  assertEquals(unprovenBecause(await versionOne(key)), "it is of version 1, not 3");
  assertEquals(rebuilt(derExplicit(0, derInteger(1)), ...rest), "it is not of version 3");
  const unique = Uint8Array.of(0xa1, 2, 3, 0);
  const extensions = rest.at(-1)!;
  const core = rest.slice(0, -1);
  assertEquals(rebuilt(version, ...core), undefined);
  assertEquals(rebuilt(version, ...core, unique), "it has unique identifiers");
  assertEquals(rebuilt(version, ...core, unique, extensions), "it has unique identifiers");
  assertEquals(rebuilt(version, ...core, extensions, unique), "it has unique identifiers");
  const long = derExplicit(3, derSequence(new Uint8Array(70_000)));
  assertEquals(rebuilt(version, ...core, long), "it is too long");
  assertEquals(unprovenBecause(good.subarray(0, 100)), "it is malformed");
  assertEquals(unprovenBecause(new Uint8Array(0)), "it is malformed");
});

Deno.test("unprovenBecause() judges damaged certificates without throwing", () => {
  const good = new Uint8Array(server.certificate.rawData);
  const place = fc.integer({ min: 0, max: good.length - 1 });
  fc.assert(fc.property(fc.array(fc.tuple(place, fc.nat(255)), { minLength: 1 }), (changes) => {
    const bytes = good.slice();
    for (const [at, value] of changes) bytes[at] = value;
    const verdict = unprovenBecause(bytes);
    assert(verdict === undefined || verdict.length > 0);
  }));
});
