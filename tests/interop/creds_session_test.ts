// Every session of QEMU's own test, and what was measured beside it, between us and real peers.

import { assertEquals, assertStringIncludes } from "@std/assert";
import { connect, listen, startTls } from "../../channel/mod.ts";
import { ObjectRegistry } from "../../creds/mod.ts";
import { type ByteChannel, chooseEngine, type Endpoint, type Engine } from "../../engine/mod.ts";
import { type Running, start } from "../chardev/process.ts";
import { run } from "../support/command.ts";
import { programTest } from "../support/programs.ts";
import {
  NO_CERTIFICATE,
  SESSION_CASES,
  type SessionCase,
  writeSides,
} from "../support/session_cases.ts";
import { SOAK } from "../support/soak.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { acceptStartTls, dialStartTls, listExports, serveDisk } from "./nbd.ts";

const VERSIONS = { "TLS 1.3": "NORMAL", "TLS 1.2": "NORMAL:-VERS-TLS1.3" } as const;

/** A row on disk, and how to speak of its objects. */
interface Stage extends Disposable {
  readonly dir: string;
  readonly row: SessionCase;
  readonly hostname: string | undefined;
  /** The `-object` of a side. */
  object(endpoint: Endpoint, id: string): string;
  /** Our own object of a side; `lay` of the others for it. */
  ours(endpoint: Endpoint, engine: Engine): Promise<ObjectRegistry>;
}

async function stage(row: SessionCase, version: keyof typeof VERSIONS): Promise<Stage> {
  const temp = temporaryDirectory();
  await writeSides(temp.path, row);
  Deno.writeTextFileSync(`${temp.path}/server/dh-params.pem`, await dhParams());
  const object = (endpoint: Endpoint, id: string): string => {
    const isServer = endpoint === "server";
    const verifies = (isServer ? row.serverVerifies : row.clientVerifies) ?? true;
    const own = row.priority?.[isServer ? 0 : 1] ?? "NORMAL";
    const priority = own + VERSIONS[version].slice("NORMAL".length);
    return `tls-creds-x509,id=${id},dir=${temp.path}/${endpoint},endpoint=${endpoint},` +
      `verify-peer=${verifies ? "on" : "off"},sanity-check=off,priority=${priority}`;
  };
  return {
    dir: temp.path,
    row,
    hostname: "hostname" in row ? row.hostname : "qemu.org",
    object,
    async ours(endpoint, engine) {
      const objects = new ObjectRegistry({ engine });
      await objects.add(object(endpoint, "t"));
      if (endpoint === "server" && row.authz !== undefined) await objects.add(row.authz);
      return objects;
    },
    [Symbol.dispose]: () => temp[Symbol.dispose](),
  };
}

let dh: Promise<string> | undefined;

/** Without them each qemu-nbd computes a group of its own, which takes a while. */
function dhParams(): Promise<string> {
  return dh ??= run("certtool", ["--get-dh-params", "--sec-param=medium"])
    .then(({ stdout }) => stdout);
}

/** Takes TLS on a channel as one of our sides; gives what it says against its peer. */
async function meet(
  { ours, hostname, row }: Stage,
  endpoint: Endpoint,
  channel: ByteChannel,
  use: (session: ByteChannel) => Promise<void>,
): Promise<string> {
  const engine = await chooseEngine("gnutls");
  using objects = await ours(endpoint, engine);
  const creds = objects.tlsCreds("t", endpoint);
  let session: ByteChannel;
  try {
    session = await startTls(channel, {
      creds,
      timeout: 20_000,
      ...(endpoint === "client" && hostname !== undefined ? { hostname } : {}),
      ...(endpoint === "server" && row.authz !== undefined
        ? { authorize: objects.authorization("az") }
        : {}),
    });
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  // What becomes of the session when the peer refuses us is not our verdict.
  await use(session).catch(() => {});
  session.close();
  return "";
}

/** A text of a program, without what it has before it. */
function assertSays(said: string, text: string, what: string): void {
  if (text === "") assertEquals(/certificate|TLS/i.test(said), false, `${what}: ${said}`);
  else assertStringIncludes(said, text, what);
}

async function qemuClient(row: SessionCase, version: keyof typeof VERSIONS): Promise<void> {
  using own = await stage(row, version);
  const socket = `${own.dir}/nbd`;
  await using listener = await listen({ kind: "unix", path: socket });
  const name = own.hostname === undefined ? "" : `,tls-hostname=${own.hostname}`;
  const client = run("qemu-img", [
    ...["info", "--object", own.object("client", "c"), "--image-opts"],
    `driver=nbd,path=${socket},tls-creds=c${name}`,
  ]);
  const channel = await listener.accept(AbortSignal.timeout(DIAL_TIMEOUT));
  await acceptStartTls(channel);
  const said = await meet(own, "server", channel, serveDisk);
  channel.close();
  const { stderr } = await client;
  const [server, other] = row.says;
  assertEquals(said, row.isWithheld ? NO_CERTIFICATE : server, "our server");
  // Whoever is refused without a reason of its own sees the end only.
  if (other !== "" || server === "") assertSays(stderr, other, "qemu-img");
  else assertStringIncludes(stderr, "TLS channel: ", "qemu-img");
}

async function qemuServer(row: SessionCase, version: keyof typeof VERSIONS): Promise<void> {
  using own = await stage(row, version);
  const socket = `${own.dir}/nbd`;
  const objects = [own.object("server", "s"), ...(row.authz === undefined ? [] : [row.authz])];
  await using server = start("qemu-nbd", [
    ...objects.flatMap((object) => ["--object", object]),
    ...["--tls-creds", "s", "-k", socket, "-x", "e", "--persistent"],
    ...(row.authz === undefined ? [] : ["--tls-authz", "az"]),
    ...["--image-opts", "driver=null-co,size=1M"],
  ]);
  const channel = await dialSoon(socket, server);
  await dialStartTls(channel);
  const said = await meet(own, "client", channel, async (session) => {
    await listExports(session);
  });
  channel.close();
  const [expected, mine] = row.says;
  assertEquals(said, mine, "our client");
  const text = row.isWithheld ? NO_CERTIFICATE : expected;
  if (text !== "") await server.untilErr(new RegExp(escape(text)));
  else if (mine === "") assertSays(server.stderr(), "", "qemu-nbd");
}

async function dialSoon(path: string, server: Running): Promise<ByteChannel> {
  for (const begin = Date.now();;) {
    const channel = await connect({ kind: "unix", path }).catch(() => undefined);
    if (channel !== undefined) return channel;
    if (Date.now() - begin > 20_000) throw new Error(`no server: ${server.stderr()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const escape = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");

type Tool = "gnutls" | "openssl";

/** OpenSSL would refuse to use keys that GnuTLS takes. */
const ANY_STRENGTH = ["-cipher", "DEFAULT:@SECLEVEL=0"];

/** Longest time in ms that a client may take to dial. */
const DIAL_TIMEOUT = 30_000;

async function toolClient(
  tool: Tool,
  row: SessionCase,
  version: keyof typeof VERSIONS,
): Promise<void> {
  using own = await stage(row, version);
  await using listener = await listen({ kind: "tcp", host: "127.0.0.1", port: 0 });
  if (listener.address.kind !== "tcp") throw new Error("no port");
  const { port } = listener.address;
  const dir = `${own.dir}/client`;
  const [cert, key] = [`${dir}/client-cert.pem`, `${dir}/client-key.pem`];
  await using _ = tool === "gnutls"
    ? start("gnutls-cli", [
      ...["--no-ca-verification", "--x509cafile", `${dir}/ca-cert.pem`, "-p", String(port)],
      ...(row.client === false ? [] : ["--x509certfile", cert, "--x509keyfile", key]),
      "127.0.0.1",
    ])
    : start("openssl", [
      ...["s_client", "-quiet", "-CAfile", `${dir}/ca-cert.pem`, "-connect", `127.0.0.1:${port}`],
      ...ANY_STRENGTH,
      ...(row.client === false ? [] : ["-cert", cert, "-key", key]),
    ]);
  const said = await meet(
    own,
    "server",
    await listener.accept(AbortSignal.timeout(DIAL_TIMEOUT)),
    async () => {},
  );
  // Both send what they have, whomever the server asks for.
  assertEquals(said, row.says[0]);
}

async function toolServer(
  tool: Tool,
  row: SessionCase,
  version: keyof typeof VERSIONS,
): Promise<void> {
  using own = await stage(row, version);
  const dir = `${own.dir}/server`;
  const files = [`${dir}/ca-cert.pem`, `${dir}/server-cert.pem`, `${dir}/server-key.pem`] as const;
  const { server, port } = await (tool === "gnutls" ? gnutlsServer(files) : opensslServer(files));
  await using _ = server;
  const channel = await connect({ kind: "tcp", host: "127.0.0.1", port });
  assertEquals(await meet(own, "client", channel, async () => {}), row.says[1]);
}

type Files = readonly [trust: string, cert: string, key: string];

async function opensslServer(
  [trust, cert, key]: Files,
): Promise<{ server: Running; port: number }> {
  const server = start("openssl", [
    ...["s_server", "-accept", "127.0.0.1:0", "-CAfile", trust, "-verify", "1"],
    ...["-cert", cert, "-cert_chain", cert, "-key", key, ...ANY_STRENGTH],
  ]);
  await server.untilOut("ACCEPT");
  return { server, port: Number(/ACCEPT \S+:(\d+)/.exec(server.stdout())?.[1]) };
}

async function gnutlsServer([trust, cert, key]: Files): Promise<{ server: Running; port: number }> {
  for (;;) {
    // It cannot tell which free port it was given, so it gets one that is likely free.
    const port = 20_000 + crypto.getRandomValues(new Uint16Array(1))[0]! % 40_000;
    const server = start("gnutls-serv", [
      ...["--echo", "-p", String(port), "--x509cafile", trust],
      ...["--x509certfile", cert, "--x509keyfile", key],
    ]);
    try {
      await server.untilErr(/done/);
      return { server, port };
    } catch {
      await server[Symbol.asyncDispose]();
    }
  }
}

for (const version of Object.keys(VERSIONS) as (keyof typeof VERSIONS)[]) {
  const each = async (
    t: Deno.TestContext,
    isFit: (row: SessionCase, i: number) => boolean,
    work: (row: SessionCase) => Promise<void>,
  ) => {
    for (const [i, [name, row]] of Object.entries(SESSION_CASES).entries()) {
      if (isFit(row, i)) await t.step(name, () => work(row));
    }
  };
  // Outside of a soak each version has every second row with the tools, QEMU has all in both.
  const isTurn = (i: number) => SOAK || i % 2 === Number(version === "TLS 1.2");
  programTest(`our server and a QEMU client say what QEMU says of each other, ${version}`, [
    "qemu-img",
    "certtool",
  ], (t) => each(t, () => true, (row) => qemuClient(row, version)));

  programTest(`our client and a QEMU server say what QEMU says of each other, ${version}`, [
    "qemu-nbd",
    "certtool",
  ], (t) => each(t, () => true, (row) => qemuServer(row, version)));

  for (
    const [tool, client, server] of [
      ["gnutls", "gnutls-cli", "gnutls-serv"],
      ["openssl", "openssl", "openssl"],
    ] as const
  ) {
    programTest(
      `our server says of ${client} what QEMU would, ${version}`,
      [client, "certtool"],
      (t) => {
        // They sign with whatever key they are given, and the handshake says so.
        const isFit = (row: SessionCase, i: number) =>
          isTurn(i) && (row.client === false || !row.client?.keyUsage);
        return each(t, isFit, (row) => toolClient(tool, row, version));
      },
    );

    programTest(
      `our client says of ${server} what QEMU would, ${version}`,
      [server, "certtool"],
      (t) =>
        each(
          t,
          ({ isHandshake }, i) => isTurn(i) && !isHandshake,
          (row) => toolServer(tool, row, version),
        ),
    );
  }
}
