// What the library says of a peer: the session outcomes measured on QEMU 7.2.

import { assertEquals, assertRejects } from "@std/assert";
import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { type CredentialSpec, EngineError, type PeerStatus } from "../../engine/mod.ts";
import { pair } from "../support/channels.ts";
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

const RSA = {
  name: "RSASSA-PKCS1-v1_5",
  modulusLength: 2048,
  publicExponent: Uint8Array.of(1, 0, 1),
  hash: "SHA-256",
};
const SOUND: PeerStatus = {
  invalid: false,
  signerNotFound: false,
  revoked: false,
  insecureAlgorithm: false,
  expired: false,
  notActivated: false,
};
const NO_CERTIFICATE: PeerStatus = { ...SOUND, error: "No certificate was found." };

interface Row {
  readonly case: string;
  readonly server: CredentialSpec;
  readonly client: CredentialSpec;
  /** What the server makes of the client, and the client of the server. */
  readonly expect: readonly [byServer: PeerStatus, byClient: PeerStatus];
}

async function rows(): Promise<Row[]> {
  const { ca, server, client } = await makePki();
  const alien = await issueCa("another CA");
  const trust = pemOf(ca);
  const [s, c] = [await identity(server), await identity(client)];
  const goodServer = x509Spec("server", trust, [s]);
  const goodClient = x509Spec("client", trust, [c]);
  const by = async (options: Parameters<typeof issue>[1]) =>
    await identity(await issue("x", { issuer: ca, ...options }));
  const expired = await by({ valid: [-48, -24] });
  const future = await by({ valid: [24, 48] });
  const usage = (flags: x509.KeyUsageFlags) => [new x509.KeyUsagesExtension(flags, true)];
  const purpose = (oid: string) => [new x509.ExtendedKeyUsageExtension([oid], true)];
  const clientOnly = await by({ extensions: purpose("1.3.6.1.5.5.7.3.2") });
  const serverOnly = await by({ extensions: purpose("1.3.6.1.5.5.7.3.1") });
  const certSign = await by({ extensions: usage(x509.KeyUsageFlags.keyCertSign) });
  const inner = await issueCa("inner", { issuer: ca });
  const leaf = await issue("leaf", { issuer: inner });
  const chain = await identity(leaf, inner);
  const middle = await issueCa("middle", { issuer: inner });
  const deep = await issue("deep", { issuer: middle });
  const bundle = pemOf(ca, inner, middle, alien);
  const weak = await by({ algorithm: { ...RSA, modulusLength: 1024 } });
  const plainCa = await issue("no CA", { issuer: ca });
  const belowPlain = await identity(await issue("below", { issuer: plainCa }), plainCa);
  const late = { ...SOUND, invalid: true, expired: true };
  const early = { ...SOUND, invalid: true, notActivated: true };
  const unknown = { ...SOUND, invalid: true, signerNotFound: true };
  const revoked = { ...SOUND, invalid: true, revoked: true };
  const crl = await revoke(ca, [client]);
  const stale = await revoke(ca, [], [-48, -24]);
  const x = (endpoint: "server" | "client", of: typeof s) => x509Spec(endpoint, trust, [of]);
  return [
    { case: "both sound", server: goodServer, client: goodClient, expect: [SOUND, SOUND] },
    {
      case: "a client without a certificate",
      server: goodServer,
      client: x509Spec("client", trust),
      expect: [NO_CERTIFICATE, SOUND],
    },
    {
      case: "a client of a CA that the server does not name",
      server: goodServer,
      client: x509Spec("client", trust, [await identity(await issue("y", { issuer: alien }))]),
      expect: [NO_CERTIFICATE, SOUND],
    },
    {
      case: "a server of an unknown CA",
      server: goodServer,
      client: x509Spec("client", pemOf(alien), [c]),
      expect: [SOUND, unknown],
    },
    {
      case: "an expired server",
      server: x("server", expired),
      client: goodClient,
      expect: [SOUND, late],
    },
    {
      case: "an expired client",
      server: goodServer,
      client: x("client", expired),
      expect: [late, SOUND],
    },
    {
      case: "a future server",
      server: x("server", future),
      client: goodClient,
      expect: [SOUND, early],
    },
    {
      case: "a future client",
      server: goodServer,
      client: x("client", future),
      expect: [early, SOUND],
    },
    {
      case: "a server whose purpose is client",
      server: x("server", clientOnly),
      client: goodClient,
      expect: [SOUND, SOUND],
    },
    {
      case: "a client whose purpose is server",
      server: goodServer,
      client: x("client", serverOnly),
      expect: [SOUND, SOUND],
    },
    {
      case: "a client whose key may sign certificates only",
      server: goodServer,
      client: x("client", certSign),
      expect: [NO_CERTIFICATE, SOUND],
    },
    {
      case: "a revoked client",
      server: x509Spec("server", trust, [s], { crl }),
      client: goodClient,
      expect: [revoked, SOUND],
    },
    {
      case: "a CRL past its next update",
      server: x509Spec("server", trust, [s], { crl: stale }),
      client: goodClient,
      expect: [SOUND, SOUND],
    },
    {
      case: "a server that sends its chain",
      server: x("server", chain),
      client: goodClient,
      expect: [SOUND, SOUND],
    },
    {
      case: "a server that leaves out its chain",
      server: x509Spec("server", trust, [await identity(leaf)]),
      client: goodClient,
      expect: [SOUND, unknown],
    },
    {
      case: "a client that trusts the intermediate alone",
      server: x509Spec("server", trust, [await identity(leaf)]),
      client: x509Spec("client", pemOf(inner), [c]),
      expect: [SOUND, SOUND],
    },
    {
      case: "a leaf of four levels, all of them trusted",
      server: x509Spec("server", bundle, [await identity(deep)]),
      client: x509Spec("client", bundle, [await identity(leaf)]),
      expect: [SOUND, SOUND],
    },
    {
      case: "RSA keys of 1024 bits",
      server: x("server", weak),
      client: x("client", weak),
      expect: [SOUND, SOUND],
    },
    {
      case: "an issuer that is no CA",
      server: x("server", belowPlain),
      client: goodClient,
      expect: [SOUND, { ...SOUND, invalid: true }],
    },
  ];
}

gnutlsTest("verifyPeer() judges as QEMU's sessions were measured to", async (engine, t) => {
  for (const row of await rows()) {
    for (const priority of ["NORMAL", "NORMAL:-VERS-TLS1.3"]) {
      await t.step(`${row.case}, ${priority}`, async () => {
        using ends = await openEnds(engine, { ...row.server, priority }, row.client);
        assertEquals([ends.server.verifyPeer(), ends.client.verifyPeer()], [...row.expect]);
      });
    }
  }
});

gnutlsTest("verifyPeer() demands of certificates what the priority string does", async (engine) => {
  const ca = await issueCa("a CA", { algorithm: RSA });
  const server = await identity(await issue("server", { issuer: ca, algorithm: RSA }));
  for (
    const [priority, insecureAlgorithm] of [["NORMAL", false], [
      "NORMAL:%PROFILE_HIGH",
      true,
    ]] as const
  ) {
    using ends = await openEnds(
      engine,
      x509Spec("server", pemOf(ca), [server]),
      x509Spec("client", pemOf(ca), [], { priority }),
    );
    assertEquals(ends.client.verifyPeer(), {
      ...SOUND,
      invalid: insecureAlgorithm,
      insecureAlgorithm,
    });
  }
});

for (
  const [what, server, client] of [
    ["a server's key may sign certificates only", "certSign", "NORMAL"],
    ["there is no common version", "NORMAL:-VERS-ALL:+VERS-TLS1.3", "NORMAL:-VERS-TLS1.3"],
  ] as const
) {
  gnutlsTest(`open() fails as QEMU does where ${what}`, async (engine) => {
    const { ca, server: usual } = await makePki();
    const limited = await issue("x", {
      issuer: ca,
      extensions: [new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true)],
    });
    const holder = server === "certSign" ? limited : usual;
    const priority = server === "certSign" ? "NORMAL" : server;
    using serverCredentials = engine.credentials(
      x509Spec("server", pemOf(ca), [await identity(holder)], { priority }),
    );
    using clientCredentials = engine.credentials(
      x509Spec("client", pemOf(ca), [], { priority: client }),
    );
    const [a, b] = pair();
    const opening = [
      engine.open(b, { credentials: serverCredentials }),
      engine.open(a, { credentials: clientCredentials }),
    ] as const;
    opening[1].catch(() => {});
    const byServer = await assertRejects(() => opening[0], EngineError);
    const byClient = await assertRejects(() => opening[1], EngineError);
    assertEquals(
      byServer.message,
      "TLS handshake failed: No supported cipher suites have been found.",
    );
    assertEquals(
      byClient.message,
      "TLS handshake failed: The TLS connection was non-properly terminated.",
    );
  });
}
