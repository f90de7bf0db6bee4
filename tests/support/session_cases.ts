/** Sessions of QEMU's own test and what it was measured to do beside them, for any two peers. */

import {
  type CertificateSpec,
  makeCertificate,
  makeCrl,
  PURPOSE,
  type TestCertificate,
  writeCredentials,
} from "./certificates.ts";

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

/** Authorities: two that know nothing of each other, and a root with two below it and one below. */
export type Authority = "ca" | "alt" | "root" | "1a" | "1b" | "2a";

const BUNDLE: readonly Authority[] = ["root", "1a", "1b", "2a"];

/** What each side has, and what each side says of the other. */
export interface SessionCase {
  /** Authorities in ca-cert.pem of each side. */
  readonly trust?: readonly [server: readonly Authority[], client: readonly Authority[]];
  readonly server?: Partial<CertificateSpec>;
  /** `false` for no client certificate. */
  readonly client?: Partial<CertificateSpec> | false;
  readonly serverIssuer?: Authority;
  readonly clientIssuer?: Authority;
  readonly hostname?: string | undefined;
  readonly authz?: string;
  readonly serverVerifies?: boolean;
  readonly clientVerifies?: boolean;
  /** Serials in the server's CRL. */
  readonly revoked?: readonly string[];
  /** The server's certificate is below these, which its file has behind it. */
  readonly sendsChain?: boolean;
  /** Priority strings; only GnuTLS reads them. */
  readonly priority?: readonly [server: string, client: string];
  /** Validity of the server's list in hours from now. */
  readonly listHours?: readonly [from: number, to: number];
  /** Whether GnuTLS's client keeps its certificate back, for the server did not ask for such. */
  readonly isWithheld?: true;
  /** Whether the handshake itself fails, in the words of `says`. */
  readonly isHandshake?: true;
  /** What each side says at the end; nothing where all is well. */
  readonly says: readonly [server: string, client: string];
}

/** What GnuTLS says of a peer that sent no certificate. */
export const NO_CERTIFICATE = "Verify failed: No certificate was found.";
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
export const SESSION_CASES: Readonly<Record<string, SessionCase>> = {
  basicca: { says: ["", ""] },
  differentca: {
    trust: [["ca"], ["alt"]],
    clientIssuer: "alt",
    isWithheld: true,
    says: [NO_ISSUER, NO_ISSUER],
  },
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
    trust: [["ca"], ["alt"]],
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
  "revoked client by a list that is old": {
    revoked: ["77"],
    listHours: [-48, -24],
    client: { serial: "77" },
    says: ["The certificate has been revoked", ""],
  },
  "a list that is old": { revoked: ["78"], listHours: [-48, -24], says: ["", ""] },
  cachain: {
    trust: [BUNDLE, BUNDLE],
    serverIssuer: "2a",
    clientIssuer: "1b",
    says: ["", ""],
  },
  "chain sent along": {
    trust: [["root", "ca"], ["root"]],
    serverIssuer: "2a",
    sendsChain: true,
    says: ["", ""],
  },
  "intermediate as anchor": {
    trust: [["ca"], ["2a"]],
    serverIssuer: "2a",
    says: ["", ""],
  },
  "server that may sign certificates only": {
    server: { keyUsage: { critical: true, usages: ["keyCertSign"] } },
    isHandshake: true,
    says: [
      "TLS handshake failed: No supported cipher suites have been found.",
      "TLS handshake failed: The TLS connection was non-properly terminated.",
    ],
  },
  "client that may sign certificates only": {
    client: { keyUsage: { critical: true, usages: ["keyCertSign"] } },
    isWithheld: true,
    says: [NO_CERTIFICATE, ""],
  },
  "keys of 1024 bits": {
    server: { keyType: "rsa-1024" },
    client: { keyType: "rsa-1024" },
    priority: ["NORMAL", "NORMAL"],
    says: ["", ""],
  },
  "client that demands strength": {
    server: { keyType: "rsa" },
    client: { keyType: "rsa" },
    priority: ["NORMAL", "NORMAL:%PROFILE_HIGH"],
    says: ["", "The certificate uses an insecure algorithm"],
  },
  "somebody else revoked": { revoked: ["78"], client: { serial: "77" }, says: ["", ""] },
};

/** Whether GnuTLS is needed: it keeps back what the server did not ask for, and reads priorities. */
export function needsGnutls({ priority, isHandshake, client }: SessionCase): boolean {
  return priority !== undefined || isHandshake === true ||
    client !== false && client?.keyUsage !== undefined;
}

/** Writes the credentials of both sides into `DIR/server` and `DIR/client`. */
export async function writeSides(dir: string, row: SessionCase): Promise<void> {
  const authorities = await makeAuthorities();
  const pemsOf = (names: readonly Authority[]) =>
    names.map((name) => authorities[name].pem).join("");
  const [serverTrust, clientTrust] = row.trust ?? [["ca"], ["ca"]];
  const { serverIssuer = "ca", clientIssuer = "ca" } = row;
  const server = await makeCertificate({
    subject: "C=UK, CN=qemu.org",
    issuer: authorities[serverIssuer],
    ...LEAF,
    purposes: SERVER,
    ...row.server,
  });
  const list = row.listHours === undefined ? {} : { hours: row.listHours };
  writeCredentials(`${dir}/server`, "server", {
    ca: pemsOf(serverTrust),
    cert: server.pem + (row.sendsChain ? pemsOf(["2a", "1a"]) : ""),
    key: server.keyPem,
    ...(row.revoked ? { crl: await makeCrl(authorities.ca, row.revoked, list) } : {}),
  });
  writeCredentials(`${dir}/client`, "client", { ca: pemsOf(clientTrust) });
  if (row.client === false) return;
  const { pem, keyPem } = await makeCertificate({
    subject: "C=UK, CN=qemu",
    issuer: authorities[clientIssuer],
    ...LEAF,
    purposes: CLIENT,
    ...row.client,
  });
  writeCredentials(`${dir}/client`, "client", { cert: pem, key: keyPem });
}

async function makeAuthorities(): Promise<Readonly<Record<Authority, TestCertificate>>> {
  const make = (name: string, keyNumber: number, issuer?: TestCertificate) =>
    makeCertificate({
      subject: `C=UK, CN=qemu ${name}`,
      ...A,
      keyNumber,
      ...(issuer === undefined ? {} : { issuer }),
    });
  const root = await make("root", 3);
  const a = await make("level 1a", 4, root);
  return {
    ca: await make("CA", 1),
    alt: await make("CA 1", 2),
    root,
    "1a": a,
    "1b": await make("level 1b", 5, root),
    "2a": await make("level 2a", 6, a),
  };
}
