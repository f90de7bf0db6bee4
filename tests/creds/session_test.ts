import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { CredsError, ObjectRegistry, verifySession } from "../../creds/mod.ts";
import type { ByteChannel, Engine, TlsSession } from "../../engine/mod.ts";
import { makeCertificate, writeCredentials } from "../support/certificates.ts";
import { pair } from "../support/channels.ts";
import { enginesHere } from "../support/engines.ts";
import {
  needsGnutls,
  NO_CERTIFICATE,
  SESSION_CASES,
  type SessionCase,
  writeSides,
} from "../support/session_cases.ts";
import { temporaryDirectory } from "../support/temp.ts";

const engines = await enginesHere();

for (const [name, row] of Object.entries(SESSION_CASES)) {
  for (const engine of engines) {
    if (needsGnutls(row) && engine.name !== "gnutls") continue;
    Deno.test(`verifySession() says on ${engine.name} what QEMU says: ${name}`, async () => {
      const says = await meet(engine, row);
      // GnuTLS's client offers no certificate that the server's authorities did not issue.
      const [server, client] = row.says;
      const own = row.isWithheld && engine.name === "gnutls" ? NO_CERTIFICATE : server;
      assertEquals(says, [own, client]);
    });
  }
}

/** Makes the credentials, shakes hands, and asks both sides. */
async function meet(engine: Engine, row: SessionCase): Promise<[string, string]> {
  using dir = temporaryDirectory();
  await writeSides(dir.path, row);
  using objects = new ObjectRegistry({ engine });
  const onOff = (flag = true) => flag ? "on" : "off";
  const add = (endpoint: "server" | "client", verifies?: boolean, priority?: string) =>
    objects.add(
      `tls-creds-x509,id=${endpoint},dir=${dir.path}/${endpoint},endpoint=${endpoint},` +
        `verify-peer=${onOff(verifies)},sanity-check=off` +
        (priority === undefined ? "" : `,priority=${priority}`),
    );
  await add("server", row.serverVerifies, row.priority?.[0]);
  await add("client", row.clientVerifies, row.priority?.[1]);
  if (row.authz !== undefined) await objects.add(row.authz);
  const [a, b] = pair();
  const [serverEnd, clientEnd] = await Promise.allSettled([
    engine.open(a, { credentials: objects.tlsCreds("server", "server").credentials }),
    engine.open(b, { credentials: objects.tlsCreds("client", "client").credentials }),
  ]);
  if (serverEnd.status === "rejected" || clientEnd.status === "rejected") {
    return [serverEnd, clientEnd].map((end) =>
      end.status === "rejected" ? end.reason.message : ""
    ) as [string, string];
  }
  const [serverSession, clientSession] = [serverEnd.value, clientEnd.value];
  await using _server = serverSession;
  await using _client = clientSession;
  await exchange(serverSession, clientSession);
  const hostname = "hostname" in row ? row.hostname : "qemu.org";
  return [
    said(() =>
      verifySession(objects.tlsCreds("server", "server"), serverSession, {
        ...(row.authz === undefined ? {} : { authorize: objects.authorization("az") }),
      })
    ),
    said(() =>
      verifySession(objects.tlsCreds("client", "client"), clientSession, {
        ...(hostname === undefined ? {} : { hostname }),
      })
    ),
  ];
}

/** A byte each way: only then both sides know that the handshake is complete. */
async function exchange(a: TlsSession, b: TlsSession): Promise<void> {
  const send = (channel: ByteChannel) => channel.write(Uint8Array.of(1));
  const receive = (channel: ByteChannel) => channel.read(new Uint8Array(1));
  await Promise.all([send(a), send(b), receive(a), receive(b)]);
}

function said(verify: () => void): string {
  try {
    verify();
    return "";
  } catch (error) {
    assertInstanceOf(error, CredsError);
    return error.message;
  }
}

Deno.test("verifySession() says which names the certificate has and how to get the right one", async () => {
  const { der } = await makeCertificate({
    subject: "CN=host-a",
    dns: ["www.qemu.org", "qemu.org"],
    ip: ["192.168.122.1"],
  });
  for (const engine of engines) {
    using dir = temporaryDirectory();
    const basicConstraints = { critical: true, ca: true };
    const ca = await makeCertificate({ subject: "CN=ca", basicConstraints });
    writeCredentials(dir.path, "client", { ca: ca.pem });
    using objects = new ObjectRegistry({ engine });
    await objects.add(`tls-creds-x509,id=c,dir=${dir.path}`);
    const creds = objects.tlsCreds("c", "client");
    const session = trusted(der);
    const hints = hintsOf(() => verifySession(creds, session, { hostname: "192.0.2.9" }));
    assert(hints[0]!.includes("www.qemu.org, qemu.org, 192.168.122.1"), hints[0]);
    // The other host comes first, and no name is lost where it is the right one.
    const issue = "deno task ca issue host-a --dns www.qemu.org --dns qemu.org " +
      "--ip 192.168.122.1 --ip 192.0.2.9";
    assert(hints[0]!.startsWith("it may be another host"), hints[0]);
    assert(hints[2]!.endsWith(`: ${issue}`), hints[2]);
  }
});

/** A session whose chain the engine found good. */
function trusted(leaf: Uint8Array): TlsSession {
  const good = {
    invalid: false,
    signerNotFound: false,
    revoked: false,
    insecureAlgorithm: false,
    expired: false,
    notActivated: false,
  };
  const unused = () => Promise.reject(new Error("nothing is sent"));
  return {
    peer: "test",
    facts: { version: "TLS1.3", cipher: "TLS_AES_256_GCM_SHA384", peerChain: [leaf] },
    closedCleanly: undefined,
    verifyPeer: () => good,
    read: unused,
    write: unused,
    closeWrite: unused,
    close: () => {},
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function hintsOf(work: () => void): readonly string[] {
  try {
    work();
  } catch (error) {
    assertInstanceOf(error, CredsError);
    return error.hints;
  }
  return [];
}
