// Our TLS channels, over every engine, with openssl and gnutls-cli at the other end.

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { connect, listen, type Listener, startTls } from "../../channel/mod.ts";
import { CredsError, ObjectRegistry } from "../../creds/mod.ts";
import type { Endpoint, Engine, KeyType } from "../../engine/mod.ts";
import { type Running, start } from "../chardev/process.ts";
import { readExactly } from "../support/channels.ts";
import { enginesHere } from "../support/engines.ts";
import { makePki, type Pki } from "../support/pki.ts";
import { programTest } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";

const engines = await enginesHere();
const LOOPBACK = { kind: "tcp", host: "127.0.0.1", port: 0 } as const;
const VERSIONS = ["TLS1.2", "TLS1.3"] as const;
const KEYS: readonly KeyType[] = ["ec-p256", "rsa-2048", "ed25519"];
type Version = typeof VERSIONS[number];

/** A line of text that no program takes for a command of its own. */
const LINE = `x${"0123456789abcdef".repeat(600)}\n`;

async function credsOf(engine: Engine, endpoint: Endpoint, dir: string): Promise<ObjectRegistry> {
  const registry = new ObjectRegistry({ engine });
  await registry.add(`tls-creds-x509,id=tls0,dir=${dir},endpoint=${endpoint}`);
  return registry;
}

async function pkiOf(dir: string, engine: Engine, keyType: KeyType): Promise<Pki> {
  return await makePki(`${dir}/${engine.name}-${keyType}`, {
    engine,
    hosts: [{ name: "localhost", ip: ["127.0.0.1"], keyType }],
  });
}

/** How each program is a client. */
const CLIENTS: Readonly<
  Record<string, (dir: string, port: number, version: Version, identity: boolean) => string[]>
> = {
  "openssl": (dir, port, version, identity) => [
    ...["s_client", "-quiet", "-verify_return_error", "-verify_hostname", "localhost"],
    ...["-connect", `127.0.0.1:${port}`, "-CAfile", `${dir}/ca-cert.pem`],
    version === "TLS1.2" ? "-tls1_2" : "-tls1_3",
    ...identity ? ["-cert", `${dir}/client-cert.pem`, "-key", `${dir}/client-key.pem`] : [],
  ],
  "gnutls-cli": (dir, port, version, identity) => [
    ...["-p", String(port), "--x509cafile", `${dir}/ca-cert.pem`, "--logfile=/dev/null"],
    ...[`--priority=NORMAL:-VERS-ALL:+VERS-${version}`, "localhost"],
    ...identity
      ? ["--x509certfile", `${dir}/client-cert.pem`, "--x509keyfile", `${dir}/client-key.pem`]
      : [],
  ],
};

function portOf(listener: Listener): number {
  assert(listener.address.kind === "tcp");
  return listener.address.port;
}

for (const engine of engines) {
  for (const [program, args] of Object.entries(CLIENTS)) {
    for (const version of VERSIONS) {
      programTest(`startTls() as a server serves ${program} over ${version}: ${engine.name}`, [
        program,
      ], async () => {
        using temp = temporaryDirectory();
        for (const keyType of KEYS) {
          const dir = (await pkiOf(temp.path, engine, keyType)).host("localhost");
          using objects = await credsOf(engine, "server", dir);
          await using listener = await listen(LOOPBACK);
          await using client = start(program, args(dir, portOf(listener), version, true));
          const raw = await listener.accept();
          await using channel = await startTls(raw, { creds: objects.tlsCreds("tls0", "server") });
          assertEquals(channel.facts.version, version);
          await client.type(LINE);
          const bytes = await readExactly(channel, LINE.length);
          assertEquals(new TextDecoder().decode(bytes), LINE);
          await channel.write(bytes);
          await client.untilOut(LINE);
          await channel.closeWrite();
          await client.exit;
        }
      });

      programTest(
        `startTls() as a server refuses ${program} without a certificate over ${version}: ${engine.name}`,
        [program],
        async () => {
          using temp = temporaryDirectory();
          const dir = (await pkiOf(temp.path, engine, "ec-p256")).host("localhost");
          using objects = await credsOf(engine, "server", dir);
          const creds = objects.tlsCreds("tls0", "server");
          await using listener = await listen(LOOPBACK);
          await using stranger = start(program, args(dir, portOf(listener), version, false));
          const raw = await listener.accept();
          const error = await assertRejects(() => startTls(raw, { creds }), CredsError);
          assertEquals(error.message, "Verify failed: No certificate was found.");
          await stranger.exit;
          await using client = start(program, args(dir, portOf(listener), version, true));
          await using channel = await startTls(await listener.accept(), { creds });
          await channel.write(new TextEncoder().encode(LINE));
          await client.untilOut(LINE);
        },
      );
    }
  }

  for (const version of VERSIONS) {
    programTest(`startTls() as a client reaches openssl s_server over ${version}: ${engine.name}`, [
      "openssl",
    ], async () => {
      using temp = temporaryDirectory();
      // GnuTLS keeps an Ed25519 certificate back in TLS 1.2 where the server lists its authorities.
      const kept = engine.name === "gnutls" && version === "TLS1.2" ? "ed25519" : undefined;
      for (const keyType of KEYS.filter((type) => type !== kept)) {
        const dir = (await pkiOf(temp.path, engine, keyType)).host("localhost");
        await using server = serveOpenssl(dir, version);
        using objects = await credsOf(engine, "client", dir);
        const creds = objects.tlsCreds("tls0", "client");
        const raw = await reach(server);
        await using channel = await startTls(raw, { creds, hostname: "localhost" });
        assertEquals(channel.facts.version, version);
        await channel.write(new TextEncoder().encode(LINE));
        await server.untilOut(LINE);
        await server.type(LINE);
        const bytes = await readExactly(channel, LINE.length);
        assertEquals(new TextDecoder().decode(bytes), LINE);
        await channel.closeWrite();
        await server.exit;
      }
    });
  }

  programTest(`startTls() as a client refuses openssl s_server of another name: ${engine.name}`, [
    "openssl",
  ], async () => {
    using temp = temporaryDirectory();
    const dir = (await pkiOf(temp.path, engine, "ec-p256")).host("localhost");
    await using server = serveOpenssl(dir, "TLS1.3");
    using objects = await credsOf(engine, "client", dir);
    const creds = objects.tlsCreds("tls0", "client");
    const raw = await reach(server);
    const error = await assertRejects(
      () => startTls(raw, { creds, hostname: "vm1.example.org" }),
      CredsError,
    );
    assertEquals(error.message, "Certificate does not match the hostname vm1.example.org");
  });

  programTest(`startTls() as a client hears openssl s_server refuse it: ${engine.name}`, [
    "openssl",
  ], async () => {
    using temp = temporaryDirectory();
    const [dir, strangers] = [
      (await pkiOf(temp.path, engine, "ec-p256")).host("localhost"),
      (await pkiOf(`${temp.path}`, engine, "ed25519")).host("localhost"),
    ];
    for (const version of VERSIONS) {
      await using server = serveOpenssl(dir, version);
      using objects = new ObjectRegistry({ engine });
      await objects.add(
        `tls-creds-x509,id=tls0,dir=${strangers},endpoint=client,verify-peer=off`,
      );
      const creds = objects.tlsCreds("tls0", "client");
      const raw = await reach(server);
      // With TLS 1.3 a client is through before the server has looked at its certificate.
      const error = await assertRejects(async () => {
        await using channel = await startTls(raw, { creds });
        await readExactly(channel, 1);
      });
      assert(error instanceof Error);
      assertMatch(error.message, /TLS|the end came/);
      await server.exit;
    }
  });
}

function serveOpenssl(dir: string, version: Version): Running {
  return start("openssl", [
    ...["s_server", "-accept", "127.0.0.1:0", "-naccept", "1", "-Verify", "3"],
    ...["-verify_return_error", "-CAfile", `${dir}/ca-cert.pem`],
    ...["-cert", `${dir}/server-cert.pem`, "-key", `${dir}/server-key.pem`],
    version === "TLS1.2" ? "-tls1_2" : "-tls1_3",
  ]);
}

/** Dials the port that the server says it has taken. */
async function reach(server: Running): ReturnType<typeof connect> {
  await server.untilOut("ACCEPT 127.0.0.1:");
  const port = Number(/ACCEPT 127\.0\.0\.1:(\d+)\n/.exec(server.stdout())?.[1]);
  return await connect({ ...LOOPBACK, port });
}
