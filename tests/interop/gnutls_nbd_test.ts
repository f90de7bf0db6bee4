// The GnuTLS engine against QEMU's own TLS, over NBD: a QEMU client and a QEMU server.

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { connect, listen } from "../../channel/mod.ts";
import { chooseEngine, type CredentialSpec, type TlsSession } from "../../engine/mod.ts";
import { start } from "../chardev/process.ts";
import {
  altNames,
  identity,
  issue,
  issueCa,
  type Issued,
  pemOf,
  revoke,
  x509Spec,
} from "../engine/_gnutls.ts";
import { run } from "../support/command.ts";
import { programTest } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { acceptStartTls, dialStartTls, listExports, serveDisk } from "./nbd.ts";

const PSK = { qemu: Uint8Array.fromHex("0123456789abcdef0123456789abcdef") };

interface World {
  readonly ca: Issued;
  readonly alien: Issued;
  readonly server: Issued;
  readonly client: Issued;
  /** A leaf below the CA. */
  leaf(valid?: readonly [number, number]): Promise<Issued>;
}

async function makeWorld(): Promise<World> {
  const ca = await issueCa("a CA");
  return {
    ca,
    alien: await issueCa("another CA"),
    server: await issue("server", { issuer: ca, extensions: [altNames(["vm.example.org"])] }),
    client: await issue("client", { issuer: ca }),
    leaf: (valid) =>
      issue("leaf", {
        issuer: ca,
        extensions: [altNames(["vm.example.org"])],
        ...(valid === undefined ? {} : { valid }),
      }),
  };
}

/** Writes what a QEMU of the role reads. */
async function writeCredentials(
  dir: string,
  role: "server" | "client",
  trust: Issued,
  own?: Issued,
  crl?: Uint8Array,
): Promise<void> {
  Deno.writeFileSync(`${dir}/ca-cert.pem`, pemOf(trust));
  if (crl !== undefined) Deno.writeFileSync(`${dir}/ca-crl.pem`, crl);
  if (own === undefined) return;
  const { certificate, key } = await identity(own);
  Deno.writeFileSync(`${dir}/${role}-cert.pem`, certificate);
  Deno.writeFileSync(`${dir}/${role}-key.pem`, key);
}

/** What QEMU, as the TLS client of our server, says at the end, and our view of it. */
async function qemuClient(
  socket: string,
  object: string,
  spec: CredentialSpec,
  hostname: string,
  use: (session: TlsSession) => void,
): Promise<{ said: string; failure: string | undefined }> {
  const engine = await chooseEngine("gnutls");
  using credentials = engine.credentials(spec);
  await using listener = await listen({ kind: "unix", path: socket });
  const program = run("qemu-img", [
    ...["info", "--object", `${object},id=t,endpoint=client`],
    ...["--image-opts", `driver=nbd,path=${socket},tls-creds=t,tls-hostname=${hostname}`],
  ]);
  let failure: string | undefined;
  try {
    const channel = await listener.accept();
    await acceptStartTls(channel);
    await using session = await engine.open(channel, { credentials });
    use(session);
    await serveDisk(session);
  } catch (error) {
    failure = error instanceof Error ? error.message : String(error);
  }
  const { stdout, stderr } = await program;
  return { said: stdout + stderr, failure };
}

const CLEAN = /^virtual size: 1 MiB/m;

for (
  const [version, priority] of [["TLS1.3", "NORMAL"], ["TLS1.2", "NORMAL:-VERS-TLS1.3"]] as const
) {
  programTest(`a server serves a QEMU client, ${version}: gnutls`, ["qemu-img"], async () => {
    using folder = temporaryDirectory();
    const { ca, server, client } = await makeWorld();
    await writeCredentials(folder.path, "client", ca, client);
    const { said, failure } = await qemuClient(
      `${folder.path}/nbd`,
      `tls-creds-x509,dir=${folder.path}`,
      x509Spec("server", pemOf(ca), [await identity(server)], { priority }),
      "vm.example.org",
      (session) => {
        assertEquals(session.facts.version, version);
        assertEquals(session.facts.peerDn, "CN=client");
        assertEquals(session.verifyPeer()?.invalid, false);
      },
    );
    assertMatch(said, CLEAN);
    assertEquals(failure, undefined);
  });

  programTest(`a server serves a QEMU client by pre-shared key, ${version}: gnutls`, [
    "qemu-img",
  ], async () => {
    using folder = temporaryDirectory();
    Deno.writeTextFileSync(`${folder.path}/keys.psk`, `qemu:${PSK.qemu.toHex()}\n`);
    const psk = (keys: Readonly<Record<string, Uint8Array>>) =>
      qemuClient(
        `${folder.path}/nbd`,
        `tls-creds-psk,dir=${folder.path}`,
        { kind: "psk", endpoint: "server", keys, priority },
        "vm.example.org",
        (session) => assertEquals(session.facts.pskIdentity, "qemu"),
      );
    const served = await psk({ ...PSK, other: new Uint8Array(16) });
    assertMatch(served.said, CLEAN);
    assertEquals(served.failure, undefined);
    for (const keys of [{ qemu: new Uint8Array(16) }, { other: PSK.qemu }]) {
      const refused = await psk(keys);
      assertStringIncludes(refused.said, "TLS handshake failed: ");
      assertMatch(refused.failure!, /^TLS handshake failed: /);
    }
  });
}

programTest("a QEMU client says of our server what it says of its own: gnutls", [
  "qemu-img",
], async () => {
  const { ca, alien, server, client, leaf } = await makeWorld();
  const rows: [what: string, trust: Issued, own: Issued, hostname: string, said: string][] = [
    ["another CA", alien, server, "vm.example.org", "The certificate hasn't got a known issuer"],
    ["expired", ca, await leaf([-48, -24]), "vm.example.org", "The certificate is not trusted"],
    [
      "not yet active",
      ca,
      await leaf([24, 48]),
      "vm.example.org",
      "The certificate is not trusted",
    ],
    ["other name", ca, server, "other.org", "Certificate does not match the hostname other.org"],
  ];
  for (const [what, trust, own, hostname, text] of rows) {
    using folder = temporaryDirectory();
    await writeCredentials(folder.path, "client", trust, client);
    const { said, failure } = await qemuClient(
      `${folder.path}/nbd`,
      `tls-creds-x509,sanity-check=off,dir=${folder.path}`,
      x509Spec("server", pemOf(ca), [await identity(own)]),
      hostname,
      () => {},
    );
    assertStringIncludes(said, text, what);
    assertEquals(failure, "the end came after 0 of 16 bytes", what);
  }
});

programTest("a server and a QEMU client without a common version part as two QEMUs: gnutls", [
  "qemu-img",
], async () => {
  using folder = temporaryDirectory();
  const { ca, server, client } = await makeWorld();
  await writeCredentials(folder.path, "client", ca, client);
  const { said, failure } = await qemuClient(
    `${folder.path}/nbd`,
    `tls-creds-x509,priority=NORMAL:-VERS-TLS1.3,dir=${folder.path}`,
    x509Spec("server", pemOf(ca), [await identity(server)], {
      priority: "NORMAL:-VERS-ALL:+VERS-TLS1.3",
    }),
    "vm.example.org",
    () => {},
  );
  assertEquals(failure, "TLS handshake failed: No supported cipher suites have been found.");
  assertStringIncludes(
    said,
    "TLS handshake failed: The TLS connection was non-properly terminated.",
  );
});

programTest("a server tells which QEMU client it should refuse: gnutls", ["qemu-img"], async () => {
  const { ca, alien, server, client } = await makeWorld();
  const stranger = await issue("stranger", { issuer: alien });
  const crl = await revoke(ca, [client]);
  const rows = [
    ["none", undefined, {}, "No certificate was found.", false],
    ["another CA's", stranger, {}, "No certificate was found.", false],
    ["revoked", client, { crl }, undefined, true],
  ] as const;
  for (const [what, own, more, error, revoked] of rows) {
    using folder = temporaryDirectory();
    await writeCredentials(folder.path, "client", ca, own);
    await qemuClient(
      `${folder.path}/nbd`,
      `tls-creds-x509,sanity-check=off,dir=${folder.path}`,
      x509Spec("server", pemOf(ca), [await identity(server)], more),
      "vm.example.org",
      (session) => {
        const status = session.verifyPeer()!;
        assertEquals([what, status.error, status.revoked], [what, error, revoked]);
      },
    );
  }
});

/** Lists the exports of a qemu-nbd as its TLS client; gives them and what qemu-nbd said. */
async function qemuServer(
  folder: string,
  object: string,
  spec: CredentialSpec,
): Promise<{ exports: string[] | string; said: string }> {
  const socket = `${folder}/nbd`;
  await using server = start("qemu-nbd", [
    ...["--object", `${object},id=t,endpoint=server`, "--tls-creds", "t", "-k", socket],
    ...["-x", "disk", "--persistent", "--image-opts", "driver=null-co,size=1M"],
  ]);
  const engine = await chooseEngine("gnutls");
  using credentials = engine.credentials(spec);
  let channel = await connect({ kind: "unix", path: socket }).catch(() => undefined);
  while (channel === undefined) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    channel = await connect({ kind: "unix", path: socket }).catch(() => undefined);
  }
  let exports: string[] | string;
  try {
    await dialStartTls(channel);
    await using session = await engine.open(channel, { credentials });
    exports = await listExports(session);
  } catch (error) {
    exports = error instanceof Error ? error.message : String(error);
    await server.untilErr(/failed/);
  } finally {
    channel.close();
  }
  return { exports, said: server.stderr() };
}

for (
  const [version, priority] of [["TLS1.3", "NORMAL"], ["TLS1.2", "NORMAL:-VERS-TLS1.3"]] as const
) {
  programTest(`a client is served by a QEMU server, ${version}: gnutls`, ["qemu-nbd"], async () => {
    using folder = temporaryDirectory();
    const { ca, server, client } = await makeWorld();
    await writeCredentials(folder.path, "server", ca, server);
    const { exports } = await qemuServer(
      folder.path,
      `tls-creds-x509,dir=${folder.path}`,
      x509Spec("client", pemOf(ca), [await identity(client)], { priority }),
    );
    assertEquals(exports, ["disk"]);
  });

  programTest(`a client is served by a QEMU server by pre-shared key, ${version}: gnutls`, [
    "qemu-nbd",
  ], async () => {
    using folder = temporaryDirectory();
    Deno.writeTextFileSync(`${folder.path}/keys.psk`, `qemu:${PSK.qemu.toHex()}\n`);
    const { exports } = await qemuServer(
      folder.path,
      `tls-creds-psk,dir=${folder.path}`,
      { kind: "psk", endpoint: "client", keys: PSK, priority },
    );
    assertEquals(exports, ["disk"]);
  });
}

programTest("a QEMU server says of our client what it says of its own: gnutls", [
  "qemu-nbd",
], async () => {
  const { ca, alien, server, client, leaf } = await makeWorld();
  const stranger = await issue("stranger", { issuer: alien });
  const crl = await revoke(ca, [client]);
  const rows: [what: string, own: Issued | undefined, crl: Uint8Array | undefined, said: string][] =
    [
      ["none", undefined, undefined, "Verify failed: No certificate was found."],
      ["another CA's", stranger, undefined, "Verify failed: No certificate was found."],
      ["expired", await leaf([-48, -24]), undefined, "The certificate is not trusted"],
      ["revoked", client, crl, "The certificate has been revoked"],
    ];
  for (const [what, own, list, text] of rows) {
    using folder = temporaryDirectory();
    await writeCredentials(folder.path, "server", ca, server, list);
    const { exports, said } = await qemuServer(
      folder.path,
      `tls-creds-x509,sanity-check=off,dir=${folder.path}`,
      x509Spec("client", pemOf(ca), own === undefined ? [] : [await identity(own)]),
    );
    // Whether what we sent was read before QEMU closed is a matter of chance.
    assertMatch(
      String(exports),
      /the end came after 0 of 20 bytes|reset by peer|Broken pipe/,
      what,
    );
    assertStringIncludes(said, `option negotiation failed: ${text}`, what);
  }
});
