// The GnuTLS engine against the programs of GnuTLS and of OpenSSL, in both roles.

import { assert, assertEquals, assertRejects } from "@std/assert";
import { connect, listen } from "../../channel/mod.ts";
import {
  chooseEngine,
  type CredentialSpec,
  EngineError,
  type TlsSession,
} from "../../engine/mod.ts";
import { type Running, start } from "../chardev/process.ts";
import { identity, issue, issueCa, pemOf, x509Spec } from "../engine/_gnutls.ts";
import { readToEnd } from "../support/channels.ts";
import { findProgram, programTest } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";

const RSA = {
  name: "RSASSA-PKCS1-v1_5",
  modulusLength: 2048,
  publicExponent: Uint8Array.of(1, 0, 1),
  hash: "SHA-256",
};
const KINDS = {
  rsa: RSA,
  ec: { name: "ECDSA", namedCurve: "P-256" },
  ed25519: { name: "Ed25519" },
} as const;
const VERSIONS = { "TLS1.3": "NORMAL", "TLS1.2": "NORMAL:-VERS-TLS1.3" } as const;
const PSK = { qemu: Uint8Array.fromHex("0123456789abcdef0123456789abcdef") };

/** Files of a server and a client, and credentials of either for this engine. */
interface Files extends Disposable {
  readonly dir: string;
  spec(endpoint: "server" | "client", priority: string, identified?: boolean): CredentialSpec;
}

async function files(kind: keyof typeof KINDS): Promise<Files> {
  const folder = temporaryDirectory();
  const ca = await issueCa("a CA");
  const identities = {
    server: await identity(await issue("localhost", { issuer: ca, algorithm: KINDS[kind] })),
    client: await identity(await issue("client", { issuer: ca, algorithm: KINDS[kind] })),
  };
  const write = (name: string, bytes: Uint8Array) =>
    Deno.writeFileSync(`${folder.path}/${name}`, bytes);
  write("ca-cert.pem", pemOf(ca));
  for (const [role, { certificate, key }] of Object.entries(identities)) {
    write(`${role}-cert.pem`, certificate);
    write(`${role}-key.pem`, key);
  }
  write("keys.psk", new TextEncoder().encode(`qemu:${PSK.qemu.toHex()}\n`));
  return {
    dir: folder.path,
    spec: (endpoint, priority, identified = true) =>
      x509Spec(endpoint, pemOf(ca), identified ? [identities[endpoint]] : [], { priority }),
    [Symbol.dispose]: () => folder[Symbol.dispose](),
  };
}

const CLIENTS = {
  "gnutls-cli": (dir: string, port: number, identified: boolean) => [
    ...["--x509cafile", `${dir}/ca-cert.pem`, "--verify-hostname", "localhost"],
    ...["-p", String(port), "127.0.0.1"],
    ...identified
      ? ["--x509certfile", `${dir}/client-cert.pem`, "--x509keyfile", `${dir}/client-key.pem`]
      : [],
  ],
  "openssl": (dir: string, port: number, identified: boolean) => [
    ...["s_client", "-quiet", "-verify_return_error", "-CAfile", `${dir}/ca-cert.pem`],
    ...["-connect", `127.0.0.1:${port}`],
    ...identified ? ["-cert", `${dir}/client-cert.pem`, "-key", `${dir}/client-key.pem`] : [],
  ],
} as const;

/** Takes one connection as a TLS server and hands over the session. */
async function served(
  spec: CredentialSpec,
  dial: (port: number) => Running,
  use: (session: TlsSession, peer: Running) => Promise<void>,
): Promise<void> {
  const engine = await chooseEngine("gnutls");
  using credentials = engine.credentials(spec);
  await using listener = await listen({ kind: "tcp", host: "127.0.0.1", port: 0 });
  const { address } = listener;
  assert(address.kind === "tcp");
  await using peer = dial(address.port);
  await using session = await engine.open(await listener.accept(), { credentials });
  await use(session, peer);
}

/** Reads until a text has come. */
async function readUntil(session: TlsSession, text: string): Promise<void> {
  let got = "";
  const buffer = new Uint8Array(1000);
  while (!got.includes(text)) {
    const count = await session.read(buffer);
    if (count === null) throw new Error(`the end came after ${JSON.stringify(got)}`);
    got += new TextDecoder().decode(buffer.subarray(0, count));
  }
}

function send(session: TlsSession, text: string): Promise<void> {
  return session.write(new TextEncoder().encode(text));
}

for (const [program, args] of Object.entries(CLIENTS)) {
  for (const kind of Object.keys(KINDS) as (keyof typeof KINDS)[]) {
    for (const [version, priority] of Object.entries(VERSIONS)) {
      programTest(
        `a server serves ${program}, ${kind}, ${version}: gnutls`,
        [program],
        async () => {
          using own = await files(kind);
          for (const identified of [true, false]) {
            await served(
              own.spec("server", priority),
              (port) => start(program, args(own.dir, port, identified)),
              async (session, peer) => {
                assertEquals(session.facts.version, version);
                assertEquals(session.facts.peerDn, identified ? "CN=client" : undefined);
                const { error, ...status } = session.verifyPeer()!;
                assertEquals(error, identified ? undefined : "No certificate was found.");
                assert(Object.values(status).every((flag) => !flag));
                await peer.type("to the server\n");
                await readUntil(session, "to the server\n");
                await send(session, "to the client\n");
                await peer.untilOut("to the client\n");
                // s_client -quiet says goodbye when the server does, gnutls-cli at its input's end.
                if (program === "openssl") await session.closeWrite();
                await peer.end();
                assertEquals((await readToEnd(session)).length, 0);
                assertEquals(session.closedCleanly, true);
              },
            );
          }
        },
      );
    }
  }
}

/** Runs a program's TLS server on some port that is free. */
async function serving(
  program: "gnutls-serv" | "openssl",
  dir: string,
  more: readonly string[] = [],
): Promise<{ server: Running; port: number }> {
  if (program === "openssl") {
    const server = start("openssl", [
      ...["s_server", "-accept", "127.0.0.1:0", "-CAfile", `${dir}/ca-cert.pem`],
      ...["-cert", `${dir}/server-cert.pem`, "-key", `${dir}/server-key.pem`, ...more],
    ]);
    await server.untilOut("ACCEPT");
    const port = /ACCEPT \S+:(\d+)/.exec(server.stdout())?.[1];
    return { server, port: Number(port) };
  }
  for (;;) {
    // It cannot tell which free port it was given, so it gets one that is likely free.
    const port = 20_000 + crypto.getRandomValues(new Uint16Array(1))[0]! % 40_000;
    const server = start("gnutls-serv", [
      ...["--echo", "-p", String(port), "--x509cafile", `${dir}/ca-cert.pem`],
      ...["--x509certfile", `${dir}/server-cert.pem`, "--x509keyfile", `${dir}/server-key.pem`],
      ...more,
    ]);
    try {
      await server.untilErr(/done/);
      return { server, port };
    } catch {
      await server[Symbol.asyncDispose]();
    }
  }
}

async function dial(port: number, spec: CredentialSpec): Promise<TlsSession> {
  const engine = await chooseEngine("gnutls");
  using credentials = engine.credentials(spec);
  const channel = await connect({ kind: "tcp", host: "127.0.0.1", port });
  return await engine.open(channel, { credentials });
}

for (const kind of Object.keys(KINDS) as (keyof typeof KINDS)[]) {
  for (const [version, priority] of Object.entries(VERSIONS)) {
    // GnuTLS offers no Ed25519 certificate of a client in TLS 1.2, so a QEMU does not either.
    const identified = kind !== "ed25519" || version !== "TLS1.2";

    programTest(`a client is served by gnutls-serv, ${kind}, ${version}: gnutls`, [
      "gnutls-serv",
    ], async () => {
      using own = await files(kind);
      const { server, port } = await serving(
        "gnutls-serv",
        own.dir,
        identified ? ["--require-client-cert"] : [],
      );
      await using _server = server;
      await using session = await dial(port, own.spec("client", priority));
      assertEquals(session.facts.version, version);
      assertEquals(session.facts.clientCertificateRequested, true);
      assertEquals(session.verifyPeer()?.invalid, false);
      await send(session, "an echo\n");
      await readUntil(session, "an echo\n");
      await session.closeWrite();
      assertEquals((await readToEnd(session)).length, 0);
      assertEquals(session.closedCleanly, true);
    });

    programTest(`a client is served by openssl, ${kind}, ${version}: gnutls`, [
      "openssl",
    ], async () => {
      using own = await files(kind);
      const { server, port } = await serving(
        "openssl",
        own.dir,
        [identified ? "-Verify" : "-verify", "1", "-rev"],
      );
      await using _server = server;
      await using session = await dial(port, own.spec("client", priority));
      assertEquals(session.facts.version, version);
      assertEquals(session.facts.clientCertificateRequested, true);
      assertEquals(session.verifyPeer()?.invalid, false);
      await send(session, "abc\n");
      await readUntil(session, "cba\n");
      await session.closeWrite();
      assertEquals((await readToEnd(session)).length, 0);
    });
  }
}

programTest("a client learns that no certificate was asked for: gnutls", ["openssl"], async () => {
  using own = await files("ec");
  const { server, port } = await serving("openssl", own.dir);
  await using _server = server;
  for (const priority of Object.values(VERSIONS)) {
    await using session = await dial(port, own.spec("client", priority));
    assertEquals(session.facts.clientCertificateRequested, false);
  }
});

for (const [version, priority] of Object.entries(VERSIONS)) {
  programTest(`a server serves gnutls-cli and openssl by pre-shared key, ${version}: gnutls`, [
    "gnutls-cli",
    "openssl",
  ], async () => {
    const key = PSK.qemu.toHex();
    // OpenSSL offers a plain key for TLS 1.3 with this suite alone.
    const suites = [
      "-ciphersuites",
      "TLS_AES_128_GCM_SHA256",
      "-cipher",
      "ECDHE-PSK-CHACHA20-POLY1305",
    ];
    const programs: Record<string, (port: number) => readonly string[]> = {
      "gnutls-cli": (port) => [
        ...["--pskusername", "qemu", "--pskkey", key, "-p", String(port), "127.0.0.1"],
        ...["--priority", `${priority}:+ECDHE-PSK:+DHE-PSK:+PSK`],
      ],
      "openssl": (port) => [
        ...["s_client", "-quiet", "-psk_identity", "qemu", "-psk", key, ...suites],
        ...["-connect", `127.0.0.1:${port}`],
      ],
    };
    // gnutls-cli 3.7.9 dies of a null pointer when it describes a TLS 1.2 session of this kind.
    if (version === "TLS1.2") delete programs["gnutls-cli"];
    for (const [program, args] of Object.entries(programs)) {
      await served(
        { kind: "psk", endpoint: "server", keys: PSK, priority },
        (port) => start(program, args(port)),
        async (session, peer) => {
          assertEquals(session.facts.version, version);
          assertEquals(session.facts.pskIdentity, "qemu");
          await peer.type("psk\n");
          await readUntil(session, "psk\n");
        },
      );
    }
  });

  programTest(`a client is served by gnutls-serv by pre-shared key, ${version}: gnutls`, [
    "gnutls-serv",
  ], async () => {
    using own = await files("ec");
    const { server, port } = await serving("gnutls-serv", own.dir, [
      ...["--pskpasswd", `${own.dir}/keys.psk`],
      ...["--priority", "NORMAL:+ECDHE-PSK:+DHE-PSK:+PSK"],
    ]);
    await using _server = server;
    await using session = await dial(port, {
      kind: "psk",
      endpoint: "client",
      keys: PSK,
      priority,
    });
    assertEquals(session.facts.version, version);
    await send(session, "an echo\n");
    await readUntil(session, "an echo\n");
  });
}

/** Types a line until it has arrived: OpenSSL drops what it reads together with a command. */
async function typeUntil(peer: Running, text: string, arrived: Promise<void>): Promise<void> {
  let waiting = true;
  const stop = arrived.finally(() => waiting = false);
  for (let pause = 100; waiting; pause *= 2) {
    await Promise.race([stop, new Promise((resolve) => setTimeout(resolve, pause))]);
    if (waiting) await peer.type(text);
  }
  await stop;
}

/** s_client takes commands where it is not quiet: a letter at the start of a line. */
function commanded(dir: string, port: number): readonly string[] {
  return [
    ...["s_client", "-CAfile", `${dir}/ca-cert.pem`, "-connect", `127.0.0.1:${port}`],
    ...["-cert", `${dir}/client-cert.pem`, "-key", `${dir}/client-key.pem`],
  ];
}

for (
  const [command, what, priority] of [
    ["k\n", "updates its key", VERSIONS["TLS1.3"]],
    ["K\n", "asks for a key update", VERSIONS["TLS1.3"]],
    ["R\n", "renegotiates", VERSIONS["TLS1.2"]],
  ] as const
) {
  programTest(`a server goes on when its client ${what}: gnutls`, ["openssl"], async () => {
    using own = await files("ec");
    await served(
      own.spec("server", priority),
      (port) => start("openssl", commanded(own.dir, port)),
      async (session, peer) => {
        await peer.untilOut("---\n");
        for (let turn = 1; turn <= 3; turn++) {
          await peer.type(`before ${turn}\n`);
          await readUntil(session, `before ${turn}\n`);
          await peer.type(command);
          await typeUntil(peer, `after ${turn}\n`, readUntil(session, `after ${turn}\n`));
          await send(session, `answer ${turn}\n`);
          await peer.untilOut(`answer ${turn}\n`);
        }
      },
    );
  });
}

programTest(
  "a server ends a client that renegotiates without end: gnutls",
  ["openssl"],
  async () => {
    using own = await files("ec");
    await served(
      own.spec("server", VERSIONS["TLS1.2"]),
      (port) => start("openssl", commanded(own.dir, port)),
      async (session, peer) => {
        await peer.untilOut("---\n");
        const renegotiate = async (turn: number) => {
          await peer.type("R\n");
          await typeUntil(peer, `turn ${turn}\n`, readUntil(session, `turn ${turn}\n`));
        };
        for (let turn = 1; turn <= 16; turn++) await renegotiate(turn);
        await assertRejects(
          () => renegotiate(17),
          EngineError,
          "Cannot read from TLS channel: Rehandshake was requested by the peer.",
        );
      },
    );
  },
);

for (
  const [command, what, priority] of [
    ["k\n", "updates its key", VERSIONS["TLS1.3"]],
    ["K\n", "asks for a key update", VERSIONS["TLS1.3"]],
    ["r\n", "asks for a renegotiation", VERSIONS["TLS1.2"]],
    ["R\n", "asks for one and for a certificate", VERSIONS["TLS1.2"]],
  ] as const
) {
  programTest(`a client goes on when its server ${what}: gnutls`, ["openssl"], async () => {
    using own = await files("ec");
    const { server, port } = await serving("openssl", own.dir, ["-verify", "1"]);
    await using _server = server;
    await using session = await dial(port, own.spec("client", priority));
    await send(session, "hello\n");
    await server.untilOut("hello\n");
    for (let turn = 1; turn <= 3; turn++) {
      await server.type(command);
      const reading = readUntil(session, `after ${turn}\n`);
      await typeUntil(server, `after ${turn}\n`, reading);
      await send(session, `answer ${turn}\n`);
      await server.untilOut(`answer ${turn}\n`);
    }
  });
}

programTest("a server outlives TLS scanners: gnutls", ["openssl"], async () => {
  using own = await files("ec");
  const offers = ["-tls1", "-tls1_1", "-tls1_2", "-tls1_3"];
  assert(findProgram("openssl"));
  const engine = await chooseEngine("gnutls");
  using credentials = engine.credentials(own.spec("server", "NORMAL:-VERS-TLS1.0:-VERS-TLS1.1"));
  await using listener = await listen({ kind: "tcp", host: "127.0.0.1", port: 0 });
  const { address } = listener;
  assert(address.kind === "tcp");
  const outcomes: boolean[] = [];
  for (const offer of offers) {
    await using peer = start("openssl", [
      ...["s_client", "-quiet", offer, "-cipher", "DEFAULT@SECLEVEL=0"],
      ...["-connect", `127.0.0.1:${address.port}`],
    ]);
    const opened = await engine.open(await listener.accept(), { credentials })
      .then((session) => (session.close(), true), () => false);
    outcomes.push(opened);
    await peer.end();
  }
  assertEquals(outcomes, [false, false, true, true]);
});
