/** Certificates for tests of TLS, made by a library that no engine uses. */

import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import type { CredentialSpec, IdentityPem, KeyType } from "../../engine/mod.ts";

const ALGORITHMS: Readonly<Record<KeyType, EcKeyGenParams | RsaHashedKeyGenParams | Algorithm>> = {
  "ec-p256": { name: "ECDSA", namedCurve: "P-256" },
  "ec-p384": { name: "ECDSA", namedCurve: "P-384" },
  "rsa-2048": rsa(2048),
  "rsa-3072": rsa(3072),
  "rsa-4096": rsa(4096),
  "ed25519": { name: "Ed25519" },
};

function rsa(modulusLength: number): RsaHashedKeyGenParams {
  const publicExponent = Uint8Array.of(1, 0, 1);
  return { name: "RSASSA-PKCS1-v1_5", modulusLength, publicExponent, hash: "SHA-256" };
}

/** Somebody with a certificate and its key. */
export interface Holder {
  readonly certificate: x509.X509Certificate;
  readonly keys: CryptoKeyPair;
  readonly issuer?: Holder;
}

/** Makes a CA, below another one if that is given. */
export function makeCa(name: string, issuer?: Holder): Promise<Holder> {
  return make(name, "ec-p256", issuer, [
    new x509.BasicConstraintsExtension(true, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
  ]);
}

/** Makes a certificate for both ends of TLS. */
export function makeLeaf(name: string, issuer: Holder, type: KeyType = "ec-p256"): Promise<Holder> {
  return make(name, type, issuer, [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.SubjectAlternativeNameExtension([{ type: "dns", value: name }]),
  ]);
}

async function make(
  name: string,
  type: KeyType,
  issuer: Holder | undefined,
  extensions: x509.Extension[],
): Promise<Holder> {
  const keys = await crypto.subtle.generateKey(ALGORITHMS[type], true, [
    "sign",
    "verify",
  ]) as CryptoKeyPair;
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: crypto.randomUUID().replaceAll("-", "").slice(1),
    subject: `CN=${name}`,
    issuer: issuer?.certificate.subject ?? `CN=${name}`,
    notBefore: new Date(Date.now() - 3_600_000),
    notAfter: new Date(Date.now() + 86_400_000),
    publicKey: keys.publicKey,
    signingKey: (issuer ?? { keys }).keys.privateKey,
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
    extensions,
  });
  return { certificate, keys, ...(issuer === undefined ? {} : { issuer }) };
}

/** The certificates from a holder up to, not with, the root. */
export function chainOf(holder: Holder): x509.X509Certificate[] {
  const { issuer } = holder;
  return issuer?.issuer === undefined
    ? [holder.certificate]
    : [holder.certificate, ...chainOf(issuer)];
}

/** A holder's chain and key in PEM. */
export async function identityOf(holder: Holder): Promise<IdentityPem> {
  const key = await crypto.subtle.exportKey("pkcs8", holder.keys.privateKey);
  return {
    certificate: encode(chainOf(holder).map((certificate) => certificate.toString("pem"))),
    key: encode([x509.PemConverter.encode(key, "PRIVATE KEY")]),
  };
}

/** Credentials of a holder who trusts a CA. */
export async function specOf(
  endpoint: CredentialSpec["endpoint"],
  trust: Holder,
  holder?: Holder,
  priority?: string,
): Promise<CredentialSpec> {
  return {
    kind: "x509",
    endpoint,
    trust: encode([trust.certificate.toString("pem")]),
    identities: holder === undefined ? [] : [await identityOf(holder)],
    ...(priority === undefined ? {} : { priority }),
  };
}

function encode(pems: readonly string[]): Uint8Array {
  return new TextEncoder().encode(pems.map((pem) => `${pem}\n`).join(""));
}
