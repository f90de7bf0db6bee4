/** What tests of the GnuTLS engine share: the engine, sessions on it, certificates of any kind. */

import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import type {
  ByteChannel,
  CredentialSpec,
  Endpoint,
  Engine,
  IdentityPem,
  SessionOptions,
  TlsSession,
} from "../../engine/mod.ts";
import { pair } from "../support/channels.ts";
import { enginesHere } from "../support/engines.ts";

const found = (await enginesHere()).find(({ name }) => name === "gnutls");

/** Registers a test of the engine; it is skipped where the library is missing, which is said. */
export function gnutlsTest(
  name: string,
  fn: (engine: Required<Engine>, t: Deno.TestContext) => void | Promise<void>,
): void {
  Deno.test({
    name: `${name}: gnutls`,
    ignore: found === undefined,
    fn: (t) => fn(found as Required<Engine>, t),
  });
}

/** How a certificate differs from a usual one. */
export interface CertificateOptions {
  /** Subject as `@peculiar/x509` reads it; `CN=NAME` by default. */
  readonly subject?: string;
  readonly issuer?: Issued;
  readonly ca?: boolean;
  /** Hours from now. */
  readonly valid?: readonly [from: number, to: number];
  readonly algorithm?: EcKeyGenParams | RsaHashedKeyGenParams | Algorithm;
  readonly extensions?: readonly x509.Extension[];
}

/** A certificate with its key. */
export interface Issued {
  readonly certificate: x509.X509Certificate;
  readonly keys: CryptoKeyPair;
}

const P256 = { name: "ECDSA", namedCurve: "P-256" };
const HOUR = 3_600_000;
let serial = 0x1000;

/** Makes a certificate with a library that the engine does not use. */
export async function issue(name: string, options: CertificateOptions = {}): Promise<Issued> {
  const keys = await crypto.subtle.generateKey(options.algorithm ?? P256, true, [
    "sign",
    "verify",
  ]) as CryptoKeyPair;
  const subject = options.subject ?? `CN=${name}`;
  const [from, to] = options.valid ?? [-1, 24];
  const signer = options.issuer?.keys ?? keys;
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: (serial++).toString(16),
    subject,
    issuer: options.issuer?.certificate.subject ?? subject,
    notBefore: new Date(Date.now() + from * HOUR),
    notAfter: new Date(Date.now() + to * HOUR),
    publicKey: keys.publicKey,
    signingKey: signer.privateKey,
    signingAlgorithm: { name: signer.privateKey.algorithm.name, hash: "SHA-256" },
    extensions: [
      new x509.BasicConstraintsExtension(options.ca ?? false, undefined, true),
      ...(options.ca ? [new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true)] : []),
      ...(options.extensions ?? []),
    ],
  });
  return { certificate, keys };
}

/** Makes a CA. */
export function issueCa(name: string, options: CertificateOptions = {}): Promise<Issued> {
  return issue(name, { ...options, ca: true });
}

/** A subjectAltName of DNS names and addresses. */
export function altNames(names: readonly string[]): x509.Extension {
  return new x509.SubjectAlternativeNameExtension(
    names.map((value) => ({ type: /^[\d.]+$|:/.test(value) ? "ip" : "dns", value } as const)),
  );
}

/** A CRL in PEM. */
export async function revoke(
  issuer: Issued,
  revoked: readonly Issued[],
  valid: readonly [from: number, to: number] = [-1, 24],
): Promise<Uint8Array> {
  const crl = await x509.X509CrlGenerator.create({
    issuer: issuer.certificate.subject,
    thisUpdate: new Date(Date.now() + valid[0] * HOUR),
    nextUpdate: new Date(Date.now() + valid[1] * HOUR),
    signingKey: issuer.keys.privateKey,
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
    entries: revoked.map(({ certificate }) => ({
      serialNumber: certificate.serialNumber,
      revocationDate: new Date(Date.now() - HOUR),
    })),
  });
  return encode([x509.PemConverter.encode(crl.rawData, "X509 CRL")]);
}

/** Certificates in PEM, one file. */
export function pemOf(...issued: readonly Issued[]): Uint8Array {
  return encode(issued.map(({ certificate }) => certificate.toString("pem")));
}

/** A chain, leaf first, and the leaf's key. */
export async function identity(leaf: Issued, ...more: readonly Issued[]): Promise<IdentityPem> {
  const pkcs8 = await crypto.subtle.exportKey("pkcs8", leaf.keys.privateKey);
  const key = encode([x509.PemConverter.encode(pkcs8, "PRIVATE KEY")]);
  return { certificate: pemOf(leaf, ...more), key };
}

function encode(pems: readonly string[]): Uint8Array {
  return new TextEncoder().encode(pems.map((pem) => `${pem}\n`).join(""));
}

/** x509 credentials that trust one CA. */
export function x509Spec(
  endpoint: Endpoint,
  trust: Uint8Array,
  identities: readonly IdentityPem[] = [],
  more: { readonly crl?: Uint8Array; readonly priority?: string } = {},
): CredentialSpec {
  return { kind: "x509", endpoint, trust, identities, ...more };
}

/** A CA and both ends' credentials below it. */
export interface Pki {
  readonly ca: Issued;
  readonly server: Issued;
  readonly client: Issued;
  spec(endpoint: Endpoint, priority?: string): Promise<CredentialSpec>;
}

/** Makes a CA with a server and a client. */
export async function makePki(): Promise<Pki> {
  const ca = await issueCa("a CA");
  const server = await issue("server", { issuer: ca, extensions: [altNames(["vm.example.org"])] });
  const client = await issue("client", { issuer: ca, subject: "C=UK, CN=client" });
  return {
    ca,
    server,
    client,
    spec: async (endpoint, priority) =>
      x509Spec(
        endpoint,
        pemOf(ca),
        [await identity(endpoint === "server" ? server : client)],
        priority === undefined ? {} : { priority },
      ),
  };
}

/** The two ends of one session. */
export interface Ends extends Disposable {
  readonly server: TlsSession;
  readonly client: TlsSession;
}

/** Opens both ends on a pair of channels, in memory unless another is given. */
export async function openEnds(
  engine: Engine,
  server: CredentialSpec,
  client: CredentialSpec,
  options: {
    readonly channels?: readonly [ByteChannel, ByteChannel];
    readonly server?: Omit<SessionOptions, "credentials">;
    readonly client?: Omit<SessionOptions, "credentials">;
  } = {},
): Promise<Ends> {
  using serverCredentials = engine.credentials(server);
  using clientCredentials = engine.credentials(client);
  const [a, b] = options.channels ?? pair();
  const [serverEnd, clientEnd] = await Promise.all([
    engine.open(b, { credentials: serverCredentials, ...options.server }),
    engine.open(a, { credentials: clientCredentials, ...options.client }),
  ]);
  return {
    server: serverEnd,
    client: clientEnd,
    [Symbol.dispose]() {
      serverEnd.close();
      clientEnd.close();
    },
  };
}
