/**
 * Certificates of any shape, made with a library of its own: an oracle for our writer, and the
 * odd ones that no authority would make.
 */

import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import type { Endpoint } from "../../engine/mod.ts";

/** Kinds of key that tests use. */
export type TestKeyType = "ec" | "ec-p384" | "rsa" | "rsa-1024" | "ed25519";

/** How a certificate is to be; what is left out, it does not have. */
export interface CertificateSpec {
  /** RDNs in encoding order, such as `C=UK,CN=qemu`; a list makes an RDN of several attributes. */
  readonly subject: string;
  /** Self-signed when absent. */
  readonly issuer?: TestCertificate;
  readonly keyType?: TestKeyType;
  /** Which key of its kind, from a pool that a process keeps; 0 by default. */
  readonly keyNumber?: number;
  /** Validity in hours from now; from a minute ago, for clocks that disagree, to a day by default. */
  readonly hours?: readonly [from: number, to: number];
  readonly basicConstraints?: Critical & { readonly ca: boolean; readonly pathLength?: number };
  readonly keyUsage?: Critical & { readonly usages: readonly (keyof typeof USAGES)[] };
  readonly purposes?: Critical & { readonly oids: readonly string[] };
  readonly dns?: readonly string[];
  readonly ip?: readonly string[];
  readonly uri?: readonly string[];
  readonly serial?: string;
  readonly identifiers?: boolean;
  readonly hash?: "SHA-1" | "SHA-256" | "SHA-384";
  /** Further extensions as they are. */
  readonly extensions?:
    readonly (Critical & { readonly oid: string; readonly value: Uint8Array })[];
}

interface Critical {
  readonly critical: boolean;
}

/** A certificate with its key. */
export interface TestCertificate {
  readonly der: Uint8Array;
  readonly pem: string;
  readonly keyPem: string;
  readonly keys: CryptoKeyPair;
  readonly subject: string;
}

const USAGES = {
  digitalSignature: x509.KeyUsageFlags.digitalSignature,
  keyEncipherment: x509.KeyUsageFlags.keyEncipherment,
  keyCertSign: x509.KeyUsageFlags.keyCertSign,
  cRLSign: x509.KeyUsageFlags.cRLSign,
} as const;

/** Purposes by the words of the case tables. */
export const PURPOSE = {
  server: "1.3.6.1.5.5.7.3.1",
  client: "1.3.6.1.5.5.7.3.2",
  codeSigning: "1.3.6.1.5.5.7.3.3",
  any: "2.5.29.37.0",
} as const;

/** Makes a certificate. */
export async function makeCertificate(spec: CertificateSpec): Promise<TestCertificate> {
  const { keys, pem: keyPem } = await testKey(spec.keyType ?? "ec", spec.keyNumber ?? 0);
  const [from, to] = spec.hours ?? [-1 / 60, 24];
  const now = Math.floor(Date.now() / 1000) * 1000;
  const signer = spec.issuer?.keys ?? keys;
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: spec.serial ?? "0102030400",
    subject: spec.subject,
    issuer: spec.issuer?.subject ?? spec.subject,
    notBefore: new Date(now + from * 3_600_000),
    notAfter: new Date(now + to * 3_600_000),
    signingAlgorithm: signingAlgorithm(signer, spec.hash ?? "SHA-256"),
    publicKey: keys.publicKey,
    signingKey: signer.privateKey,
    extensions: await extensionsOf(spec, keys, signer),
  });
  return {
    der: new Uint8Array(certificate.rawData),
    pem: `${certificate.toString("pem")}\n`,
    keyPem,
    keys,
    subject: spec.subject,
  };
}

/** Makes a CRL of an authority; PEM. */
export async function makeCrl(
  issuer: TestCertificate,
  serials: readonly string[],
  options: {
    readonly hours?: readonly [from: number, to: number];
    readonly signer?: TestCertificate;
  } = {},
): Promise<string> {
  const [from, to] = options.hours ?? [-1, 24];
  const signer = (options.signer ?? issuer).keys;
  const crl = await x509.X509CrlGenerator.create({
    issuer: issuer.subject,
    thisUpdate: new Date(Date.now() + from * 3_600_000),
    nextUpdate: new Date(Date.now() + to * 3_600_000),
    entries: serials.map((serialNumber) => ({ serialNumber, revocationDate: new Date() })),
    signingAlgorithm: signingAlgorithm(signer, "SHA-256"),
    signingKey: signer.privateKey,
  });
  return x509.PemConverter.encode(crl.rawData, "X509 CRL") + "\n";
}

/** The files of an endpoint; what is undefined is not written. */
export interface CredentialFiles {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly crl?: string;
}

/** Writes the files of an endpoint into a directory. */
export function writeCredentials(dir: string, endpoint: Endpoint, files: CredentialFiles): void {
  const names = {
    ca: "ca-cert.pem",
    crl: "ca-crl.pem",
    cert: `${endpoint}-cert.pem`,
    key: `${endpoint}-key.pem`,
  } as const;
  Deno.mkdirSync(dir, { recursive: true });
  for (const part of ["ca", "crl", "cert", "key"] as const) {
    const text = files[part];
    if (text !== undefined) Deno.writeTextFileSync(`${dir}/${names[part]}`, text, { mode: 0o600 });
  }
}

/** A key pair and its PKCS#8 PEM. */
export interface TestKey {
  readonly keys: CryptoKeyPair;
  readonly pem: string;
}

const pool = new Map<string, Promise<TestKey>>();

/** A key of the pool; making RSA keys takes long. */
export function testKey(type: TestKeyType, number = 0): Promise<TestKey> {
  const name = `${type} ${number}`;
  let key = pool.get(name);
  if (key === undefined) pool.set(name, key = makeKey(type));
  return key;
}

async function makeKey(type: TestKeyType): Promise<TestKey> {
  const keys = await crypto.subtle.generateKey(KEY_ALGORITHMS[type], true, ["sign", "verify"]);
  const pkcs8 = await crypto.subtle.exportKey("pkcs8", (keys as CryptoKeyPair).privateKey);
  return {
    keys: keys as CryptoKeyPair,
    pem: x509.PemConverter.encode(pkcs8, "PRIVATE KEY") + "\n",
  };
}

const KEY_ALGORITHMS: Readonly<Record<TestKeyType, EcKeyGenParams | RsaHashedKeyGenParams>> = {
  "ec": { name: "ECDSA", namedCurve: "P-256" },
  "ec-p384": { name: "ECDSA", namedCurve: "P-384" },
  "rsa": {
    name: "RSASSA-PKCS1-v1_5",
    hash: "SHA-256",
    modulusLength: 2048,
    publicExponent: Uint8Array.of(1, 0, 1),
  },
  "rsa-1024": {
    name: "RSASSA-PKCS1-v1_5",
    hash: "SHA-256",
    modulusLength: 1024,
    publicExponent: Uint8Array.of(1, 0, 1),
  },
  "ed25519": { name: "Ed25519" } as EcKeyGenParams,
};

function signingAlgorithm({ privateKey }: CryptoKeyPair, hash: string) {
  const { name } = privateKey.algorithm;
  return name === "ECDSA" ? { name, hash } : { name };
}

async function extensionsOf(
  spec: CertificateSpec,
  keys: CryptoKeyPair,
  signer: CryptoKeyPair,
): Promise<x509.Extension[]> {
  const { basicConstraints, keyUsage, purposes } = spec;
  const extensions: x509.Extension[] = [];
  if (basicConstraints !== undefined) {
    const { ca, pathLength, critical } = basicConstraints;
    extensions.push(new x509.BasicConstraintsExtension(ca, pathLength, critical));
  }
  if (keyUsage !== undefined) {
    const flags = keyUsage.usages.reduce((all, usage) => all | USAGES[usage], 0);
    extensions.push(new x509.KeyUsagesExtension(flags, keyUsage.critical));
  }
  if (purposes !== undefined) {
    extensions.push(new x509.ExtendedKeyUsageExtension([...purposes.oids], purposes.critical));
  }
  const names: x509.JsonGeneralName[] = [
    ...(spec.dns ?? []).map((value) => ({ type: "dns" as const, value })),
    ...(spec.ip ?? []).map((value) => ({ type: "ip" as const, value })),
    ...(spec.uri ?? []).map((value) => ({ type: "url" as const, value })),
  ];
  if (names.length > 0) extensions.push(new x509.SubjectAlternativeNameExtension(names));
  if (spec.identifiers) {
    extensions.push(await x509.SubjectKeyIdentifierExtension.create(keys.publicKey));
    extensions.push(await x509.AuthorityKeyIdentifierExtension.create(signer.publicKey));
  }
  for (const { oid, critical, value } of spec.extensions ?? []) {
    extensions.push(new x509.Extension(oid, critical, value as Uint8Array<ArrayBuffer>));
  }
  return extensions;
}
