// TLS on a channel with the peer verified, as every service uses it, over every engine.

import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { VirtcredsError } from "../../base/mod.ts";
import { connect, listen, startTls, type TlsChannel, type TlsOptions } from "../../channel/mod.ts";
import { CredsError, ObjectRegistry } from "../../creds/mod.ts";
import type { Endpoint, Engine } from "../../engine/mod.ts";
import { type ChannelPair, pair, PAIRS, readExactly, tcpPair } from "../support/channels.ts";
import { enginesHere } from "../support/engines.ts";
import { daysFromNow, makePki, type Pki } from "../support/pki.ts";
import { temporaryDirectory } from "../support/temp.ts";

const engines = await enginesHere();

interface Setting {
  readonly engine: Engine;
  readonly pki: Pki;
  readonly other: Pki;
}

/** An authority with a good host and an expired one, and another authority. */
async function withPki(work: (setting: Setting) => Promise<void>): Promise<void> {
  using temp = temporaryDirectory();
  for (const engine of engines) {
    const dir = `${temp.path}/${engine.name}`;
    Deno.mkdirSync(dir);
    const pki = await makePki(`${dir}/pki`, {
      engine,
      hosts: [
        { name: "localhost", ip: ["127.0.0.1"] },
        { name: "late", clock: daysFromNow(-3), days: 1 },
      ],
      clock: daysFromNow(-4),
    });
    const other = await makePki(`${dir}/other`, { engine, hosts: [{ name: "localhost" }] });
    await work({ engine, pki, other });
  }
}

/** Objects for one end, each of them with `id=tls0`. */
async function objects(
  engine: Engine,
  endpoint: Endpoint,
  dir: string,
  more = "",
): Promise<ObjectRegistry> {
  const registry = new ObjectRegistry({ engine });
  await registry.add(`tls-creds-x509,id=tls0,dir=${dir},endpoint=${endpoint}${more}`);
  return registry;
}

type More = Partial<Omit<TlsOptions, "creds">>;

/** Starts TLS on both ends of a pair and gives what became of each. */
async function shake(
  [a, b]: ChannelPair,
  server: ObjectRegistry,
  client: ObjectRegistry,
  more: { readonly server?: More; readonly client?: More } = {},
): Promise<readonly [TlsChannel | unknown, TlsChannel | unknown]> {
  const settle = (work: Promise<TlsChannel>): Promise<TlsChannel | unknown> =>
    work.then((channel) => channel, (error) => error);
  return await Promise.all([
    settle(startTls(b, { creds: server.tlsCreds("tls0", "server"), ...more.server })),
    settle(
      startTls(a, {
        creds: client.tlsCreds("tls0", "client"),
        hostname: "localhost",
        ...more.client,
      }),
    ),
  ]);
}

function good(end: TlsChannel | unknown): TlsChannel {
  if (end instanceof Error) throw end;
  return end as TlsChannel;
}

function bad(end: TlsChannel | unknown): VirtcredsError {
  assertInstanceOf(end, VirtcredsError);
  return end;
}

Deno.test("startTls() verifies both ends, in either TLS role on either end of the connection", async () => {
  await withPki(async ({ engine, pki }) => {
    using server = await objects(engine, "server", pki.host("localhost"));
    using client = await objects(engine, "client", pki.host("localhost"));
    for (const open of Object.values(PAIRS)) {
      for (const reversed of [false, true]) {
        const [a, b] = await open();
        const ends = await shake(reversed ? [b, a] : [a, b], server, client);
        const [serverEnd, clientEnd] = ends.map(good) as [TlsChannel, TlsChannel];
        await serverEnd.write(Uint8Array.of(1));
        assertEquals(await readExactly(clientEnd, 1), Uint8Array.of(1));
        await clientEnd.closeWrite();
        assertEquals(await serverEnd.read(new Uint8Array(1)), null);
        assertEquals(serverEnd.closedCleanly, true);
        serverEnd.close();
        clientEnd.close();
      }
    }
  });
});

/** Who refuses what, in QEMU's words; the other end hears of it on its next read. */
interface Refusal {
  readonly what: string;
  readonly server?: (setting: Setting) => string;
  readonly client?: (setting: Setting) => string;
  readonly serverOptions?: string;
  readonly clientOptions?: string;
  readonly hostname?: string | null;
  readonly authorize?: string;
  readonly by: Endpoint;
  /** The texts that are right: where GnuTLS's client keeps a certificate back, two. */
  readonly says: readonly string[];
}

const REFUSALS: readonly Refusal[] = [
  {
    what: "a wrong host name",
    hostname: "vm1.example.org",
    by: "client",
    says: ["Certificate does not match the hostname vm1.example.org"],
  },
  {
    what: "an address that the certificate lacks",
    hostname: "127.0.0.2",
    by: "client",
    says: ["Certificate does not match the hostname 127.0.0.2"],
  },
  {
    what: "no host name to compare with",
    hostname: null,
    by: "client",
    says: ["No hostname for certificate validation"],
  },
  {
    what: "a server of another authority",
    server: ({ other }) => other.host("localhost"),
    serverOptions: ",verify-peer=off",
    by: "client",
    says: ["The certificate hasn't got a known issuer"],
  },
  {
    what: "a client of another authority",
    client: ({ other }) => other.host("localhost"),
    clientOptions: ",verify-peer=off",
    by: "server",
    says: [
      "The certificate hasn't got a known issuer",
      "Verify failed: No certificate was found.",
    ],
  },
  {
    what: "an expired server",
    server: ({ pki }) => pki.host("late"),
    serverOptions: ",sanity-check=off",
    hostname: "late",
    by: "client",
    says: ["The certificate is not trusted"],
  },
  {
    what: "an expired client",
    client: ({ pki }) => pki.host("late"),
    clientOptions: ",sanity-check=off",
    by: "server",
    says: ["The certificate is not trusted"],
  },
  {
    what: "a client whom tls-authz does not name",
    authorize: "CN=somebody",
    by: "server",
    says: ["TLS x509 authz check for O=virtcreds CA,CN=localhost is denied"],
  },
];

for (const row of REFUSALS) {
  Deno.test(`startTls() as a ${row.by} refuses ${row.what}`, async () => {
    await withPki(async (setting) => {
      const { engine, pki } = setting;
      const dir = pki.host("localhost");
      using server = await objects(
        engine,
        "server",
        row.server?.(setting) ?? dir,
        row.serverOptions,
      );
      using client = await objects(
        engine,
        "client",
        row.client?.(setting) ?? dir,
        row.clientOptions,
      );
      if (row.authorize) {
        await server.add(`authz-simple,id=az0,identity=${row.authorize.replaceAll(",", ",,")}`);
      }
      const { hostname, ...rest } = {
        hostname: row.hostname === undefined ? "localhost" : row.hostname,
        timeout: 5_000,
      };
      const [a, b] = await tcpPair();
      const clientWork = startTls(a, {
        creds: client.tlsCreds("tls0", "client"),
        ...rest,
        ...(hostname === null ? {} : { hostname }),
      });
      const serverWork = startTls(b, {
        creds: server.tlsCreds("tls0", "server"),
        ...rest,
        ...(row.authorize ? { authorize: server.authorization("az0") } : {}),
      });
      const [refuser, refused, refusersRaw] = row.by === "server"
        ? [serverWork, clientWork, b] as const
        : [clientWork, serverWork, a] as const;
      const error = await assertRejects(() => refuser, CredsError);
      assert(row.says.includes(error.message), `${engine.name}: ${error.message}`);
      await assertRejects(() => refusersRaw.write(Uint8Array.of(1)), Error, "closed");
      // QEMU's peers, too, only hear of it when they read.
      const end = await refused.catch(() => undefined);
      assertEquals(await end?.read(new Uint8Array(1)).catch(() => null) ?? null, null);
      end?.close();
    });
  });
}

Deno.test("startTls() looks at nobody where verify-peer is off, as QEMU does", async () => {
  await withPki(async ({ engine, pki, other }) => {
    using server = await objects(engine, "server", pki.host("localhost"), ",verify-peer=off");
    using client = await objects(engine, "client", other.host("localhost"), ",verify-peer=off");
    await server.add("authz-simple,id=az0,identity=CN=somebody");
    const ends = await shake(pair(), server, client, {
      server: { authorize: server.authorization("az0") },
      client: { hostname: "elsewhere" },
    });
    for (const end of ends) good(end).close();
  });
});

Deno.test("startTls() closes the channel whatever went wrong", async () => {
  await withPki(async ({ engine, pki }) => {
    using server = await objects(engine, "server", pki.host("localhost"));
    const creds = server.tlsCreds("tls0", "server");
    const [silent, end] = await tcpPair();
    await assertRejects(() => startTls(end, { creds, timeout: 30 }), VirtcredsError, "0.03 s");
    assertEquals(await silent.read(new Uint8Array(9)).catch(() => null), null);
    silent.close();
    const [, aborted] = pair();
    const signal = AbortSignal.abort(new Error("enough"));
    await assertRejects(() => startTls(aborted, { creds, signal }), Error, "enough");
    await assertRejects(() => aborted.write(Uint8Array.of(1)), Error, "closed");
  });
});

Deno.test("startTls() serves the next client after each refused one", async () => {
  await withPki(async ({ engine, pki, other }) => {
    using server = await objects(engine, "server", pki.host("localhost"));
    using client = await objects(engine, "client", pki.host("localhost"));
    using stranger = await objects(engine, "client", other.host("localhost"), ",verify-peer=off");
    const creds = server.tlsCreds("tls0", "server");
    await using listener = await listen({ kind: "tcp", host: "127.0.0.1", port: 0 });
    const outcomes: string[] = [];
    const serving = (async () => {
      for (let turn = 0; turn < 6; turn++) {
        const raw = await listener.accept();
        const end = await startTls(raw, { creds, timeout: 5_000 }).catch((error) => error);
        outcomes.push(end instanceof Error ? "refused" : "served");
        if (!(end instanceof Error)) end.close();
      }
    })();
    for (let turn = 0; turn < 6; turn++) {
      const raw = await connect(listener.address);
      if (turn % 3 === 1) {
        await raw.write(new TextEncoder().encode("GET / HTTP/1.0\r\n\r\n"));
        while (await raw.read(new Uint8Array(99)).catch(() => null) !== null);
        raw.close();
        continue;
      }
      const who = turn % 3 === 0 ? client : stranger;
      const creds = who.tlsCreds("tls0", "client");
      const end = await startTls(raw, { creds, hostname: "localhost" }).catch(() => undefined);
      await end?.read(new Uint8Array(1)).catch(() => null);
      end?.close();
    }
    await serving;
    assertEquals(outcomes, ["served", "refused", "refused", "served", "refused", "refused"]);
  });
});

Deno.test("startTls() between the engines verifies and refuses alike", async () => {
  using temp = temporaryDirectory();
  const pki = await makePki(`${temp.path}/pki`, { hosts: [{ name: "localhost" }] });
  for (const serverEngine of engines) {
    for (const clientEngine of engines) {
      using server = await objects(serverEngine, "server", pki.host("localhost"));
      using client = await objects(clientEngine, "client", pki.host("localhost"));
      for (const end of await shake(pair(), server, client)) good(end).close();
      const [, wrong] = await shake(pair(), server, client, { client: { hostname: "vm2" } });
      assertEquals(bad(wrong).message, "Certificate does not match the hostname vm2");
    }
  }
});
