import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { CredsError, ObjectRegistry, verifySession } from "../../creds/mod.ts";
import type { ByteChannel, Engine, TlsSession } from "../../engine/mod.ts";
import {
  type CertificateSpec,
  makeCertificate,
  makeCrl,
  PURPOSE,
} from "../support/certificates.ts";
import { type TestCertificate, writeCredentials } from "../support/certificates.ts";
import { pair } from "../support/channels.ts";
import { enginesHere } from "../support/engines.ts";
import { temporaryDirectory } from "../support/temp.ts";

const engines = await enginesHere();

const A = {
  basicConstraints: { critical: true, ca: true },
  keyUsage: { critical: true, usages: ["keyCertSign", "cRLSign"] },
  keyNumber: 1,
} as const;
const LEAF = {
  basicConstraints: { critical: true, ca: false },
  keyUsage: { critical: true, usages: ["digitalSignature"] },
} as const;
const SERVER = { critical: true, oids: [PURPOSE.server] } as const;
const CLIENT = { critical: true, oids: [PURPOSE.client] } as const;
const IPS = ["192.168.122.1", "fec0::dead:beaf"];

/** What each side has, and what each side says of the other. */
interface Session {
  /** Authorities in ca-cert.pem of each side. */
  readonly trust?: readonly [server: string, client: string];
  readonly server?: Partial<CertificateSpec>;
  /** `false` for no client certificate. */
  readonly client?: Partial<CertificateSpec> | false;
  readonly clientIssuer?: "alt";
  readonly hostname?: string | undefined;
  readonly authz?: string;
  readonly serverVerifies?: boolean;
  readonly clientVerifies?: boolean;
  /** Serials in the server's CRL. */
  readonly revoked?: readonly string[];
  /** Sanity checks of both sides; off in QEMU's own test. */
  readonly says: readonly [server: string, client: string];
}

const NO_CERTIFICATE = "Verify failed: No certificate was found.";
const NO_ISSUER = "The certificate hasn't got a known issuer";
const NOT_TRUSTED = "The certificate is not trusted";
const ALT1 = { dns: ["www.qemu.org", "qemu.org"], ip: IPS };
const ALT2 = { dns: ["www.qemu.org", "wiki.qemu.org"], ip: IPS };
const mismatch = (name: string) => `Certificate does not match the hostname ${name}`;
const globs = (...patterns: readonly string[]) =>
  JSON.stringify({
    "qom-type": "authz-list",
    id: "az",
    rules: patterns.map((match) => ({ match, policy: "allow", format: "glob" })),
  });
const DENIED = "TLS x509 authz check for C=UK,CN=qemu is denied";

/** The cases of QEMU's own session test, then what it was measured to do beside them. */
const ROWS: Readonly<Record<string, Session>> = {
  basicca: { says: ["", ""] },
  differentca: { trust: ["ca", "alt"], clientIssuer: "alt", says: [NO_ISSUER, NO_ISSUER] },
  altname1: { server: ALT1, says: ["", ""] },
  altname2: { server: ALT1, hostname: "www.qemu.org", says: ["", ""] },
  altname3: { server: ALT1, hostname: "wiki.qemu.org", says: ["", mismatch("wiki.qemu.org")] },
  altname4: { server: ALT1, hostname: "192.168.122.1", says: ["", ""] },
  altname5: { server: ALT1, hostname: "fec0::dead:beaf", says: ["", ""] },
  altname6: { server: ALT2, says: ["", mismatch("qemu.org")] },
  altname7: { server: ALT2, hostname: "www.qemu.org", says: ["", ""] },
  altname8: { server: ALT2, hostname: "wiki.qemu.org", says: ["", ""] },
  wildcard1: { authz: globs("C=UK,CN=dogfood"), says: [DENIED, ""] },
  wildcard2: { authz: globs("C=UK,CN=qemu"), says: ["", ""] },
  wildcard3: { authz: globs("C=UK,CN=dogfood", "C=UK,CN=qemu"), says: ["", ""] },
  wildcard4: { authz: globs("C=UK,CN=qemustuff"), says: [DENIED, ""] },
  wildcard5: { authz: globs("C=UK,CN=qemu*"), says: ["", ""] },
  wildcard6: { authz: globs("C=UK,CN=*emu*"), says: ["", ""] },
  "authz-simple": { authz: "authz-simple,id=az,identity=C=UK,,CN=qemu", says: ["", ""] },
  "another identity": { authz: "authz-simple,id=az,identity=CN=qemu,,C=UK", says: [DENIED, ""] },
  "no authorization object": {
    authz: "authz-simple,id=other,identity=x",
    says: ["Cannot find QAuthZ object ID az", ""],
  },
  "authorization by a secret": {
    authz: "secret,id=az,data=x",
    says: ["Object 'az' is not a QAuthZ subclass", ""],
  },
  "no client certificate": { client: false, says: [NO_CERTIFICATE, ""] },
  "no client certificate, nobody looks": {
    client: false,
    serverVerifies: false,
    authz: globs("nobody"),
    says: ["", ""],
  },
  "client that does not look": {
    trust: ["ca", "alt"],
    clientVerifies: false,
    hostname: "elsewhere",
    says: ["", ""],
  },
  "no host name": { hostname: undefined, says: ["", "No hostname for certificate validation"] },
  "expired server": { server: { hours: [-2, -1] }, says: ["", NOT_TRUSTED] },
  "expired client": { client: { hours: [-2, -1] }, says: [NOT_TRUSTED, ""] },
  "server of tomorrow": { server: { hours: [24, 48] }, says: ["", NOT_TRUSTED] },
  "server for clients only": { server: { purposes: CLIENT, dns: ["qemu.org"] }, says: ["", ""] },
  "client for servers only": { client: { purposes: SERVER }, says: ["", ""] },
  "revoked client": {
    revoked: ["77"],
    client: { serial: "77" },
    says: ["The certificate has been revoked", ""],
  },
  "somebody else revoked": { revoked: ["78"], client: { serial: "77" }, says: ["", ""] },
};

for (const [name, row] of Object.entries(ROWS)) {
  for (const engine of engines) {
    Deno.test(`verifySession() says on ${engine.name} what QEMU says: ${name}`, async () => {
      const says = await meet(engine, row);
      // GnuTLS's client offers no certificate that the server's authorities did not issue.
      const [server, client] = row.says;
      const own = row.clientIssuer && engine.name === "gnutls" ? NO_CERTIFICATE : server;
      assertEquals(says, [own, client]);
    });
  }
}

/** Makes the credentials, shakes hands, and asks both sides. */
async function meet(engine: Engine, row: Session): Promise<[string, string]> {
  using dir = temporaryDirectory();
  const ca = await makeCertificate({ subject: "C=UK, CN=qemu CA", ...A });
  const alt = await makeCertificate({ subject: "C=UK, CN=qemu CA 1", ...A, keyNumber: 2 });
  const authorities: Readonly<Record<string, TestCertificate>> = { ca, alt };
  const [serverTrust, clientTrust] = (row.trust ?? ["ca", "ca"]).map((which) =>
    authorities[which]!.pem
  );
  const server = await makeCertificate({
    subject: "C=UK, CN=qemu.org",
    issuer: ca,
    ...LEAF,
    purposes: SERVER,
    ...row.server,
  });
  writeCredentials(`${dir.path}/server`, "server", {
    ca: serverTrust!,
    cert: server.pem,
    key: server.keyPem,
    ...(row.revoked ? { crl: await makeCrl(ca, row.revoked) } : {}),
  });
  writeCredentials(`${dir.path}/client`, "client", { ca: clientTrust! });
  if (row.client !== false) {
    const issuer = row.clientIssuer ? alt : ca;
    const spec = { subject: "C=UK, CN=qemu", issuer, ...LEAF, purposes: CLIENT, ...row.client };
    const { pem, keyPem } = await makeCertificate(spec);
    writeCredentials(`${dir.path}/client`, "client", { cert: pem, key: keyPem });
  }
  using objects = new ObjectRegistry({ engine });
  const onOff = (flag = true) => flag ? "on" : "off";
  const add = (endpoint: "server" | "client", verifies?: boolean) =>
    objects.add(
      `tls-creds-x509,id=${endpoint},dir=${dir.path}/${endpoint},endpoint=${endpoint},` +
        `verify-peer=${onOff(verifies)},sanity-check=off`,
    );
  await add("server", row.serverVerifies);
  await add("client", row.clientVerifies);
  if (row.authz !== undefined) await objects.add(row.authz);
  const [a, b] = pair();
  const [serverSession, clientSession] = await Promise.all([
    engine.open(a, { credentials: objects.tlsCreds("server", "server").credentials }),
    engine.open(b, { credentials: objects.tlsCreds("client", "client").credentials }),
  ]);
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
  const { der } = await makeCertificate({ subject: "CN=host-a", ...ALT1 });
  for (const engine of engines) {
    using dir = temporaryDirectory();
    const ca = await makeCertificate({ subject: "CN=ca", ...A });
    writeCredentials(dir.path, "client", { ca: ca.pem });
    using objects = new ObjectRegistry({ engine });
    await objects.add(`tls-creds-x509,id=c,dir=${dir.path}`);
    const creds = objects.tlsCreds("c", "client");
    const session = trusted(der);
    const hints = hintsOf(() => verifySession(creds, session, { hostname: "192.0.2.9" }));
    assert(hints[0]!.includes("www.qemu.org, qemu.org, 192.168.122.1"), hints[0]);
    assert(hints[1]!.includes("--ip 192.0.2.9"), hints[1]);
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
