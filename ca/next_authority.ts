/** The certificates of a roll-over: that of the next CA, and the old CA's word for it. */

import { derChildren, derSequence, readDerWhole, Tag } from "../base/mod.ts";
import type { Certificate } from "../creds/mod.ts";
import type { SigningKey } from "../engine/mod.ts";
import { randomSerial, signCertificate } from "./certificate.ts";
import {
  authorityKeyIdentifier,
  encodeExtension,
  keyIdentifier,
  subjectKeyIdentifier,
} from "./extensions.ts";
import type { IssuerIdentity } from "./issuer.ts";
import { encodeName } from "./name.ts";
import { authorityValidity, type Validity } from "./validity.ts";

/** A certificate of a CA that was made. */
export interface MadeAuthority extends Validity {
  /** Big-endian magnitude. */
  readonly serial: Uint8Array;
  /** The certificate, DER. */
  readonly certificate: Uint8Array;
  /** Name, DER. */
  readonly subject: Uint8Array;
  readonly keyId: Uint8Array;
}

/** Who signs a CA's certificate: another CA. */
export interface Signer extends IssuerIdentity {
  readonly key: SigningKey;
}

const COMMON_NAME = "2.5.4.3";
const ORGANIZATIONAL_UNIT = "2.5.4.11";

/**
 * The name of the CA that follows another: the same, with the number of its generation as a further
 * OU. It must differ, as of two lists of one issuer GnuTLS takes the newer alone; and its CN must
 * not, as hosts have it in their subjects and `virt-pki-validate` compares it.
 *
 * @param taken Names (DER) that it must not have.
 * @param name Another CN.
 */
export function nextName(
  old: Certificate,
  taken: readonly Uint8Array[],
  name?: string,
): Uint8Array {
  const rdns = derChildren(readDerWhole(old.subject.raw, Tag.SEQUENCE)).map(({ raw }, i) => ({
    raw,
    attributes: old.subject.rdns[i]!,
  }));
  const generationOf = ({ attributes: [only, ...more] }: typeof rdns[number]) =>
    only?.oid === ORGANIZATIONAL_UNIT && more.length === 0
      ? /^G(\d{1,6})$/.exec(only.text)?.[1]
      : undefined;
  const isName = ({ attributes }: typeof rdns[number]) =>
    attributes.some(({ oid }) => oid === COMMON_NAME);
  const kept = rdns.filter((rdn) => generationOf(rdn) === undefined)
    .map((rdn) => ({ ...rdn, isName: isName(rdn) }));
  const at = kept.findIndex((rdn) => rdn.isName);
  const before = kept.slice(0, at < 0 ? kept.length : at).map(({ raw }) => raw);
  const rest = at < 0 ? [] : kept.slice(at).map(({ raw }) => raw);
  const after = name === undefined ? rest : [rdnOf("CN", name), ...rest.slice(1)];
  const isTaken = (subject: Uint8Array) => taken.some((one) => one.toHex() === subject.toHex());
  const plain = derSequence(...before, ...after);
  if (name !== undefined && !isTaken(plain)) return plain;
  const last = rdns.map(generationOf).find((one) => one !== undefined);
  for (let generation = Number(last ?? 1) + 1;; generation++) {
    const subject = derSequence(...before, rdnOf("OU", `G${generation}`), ...after);
    if (!isTaken(subject)) return subject;
  }
}

function rdnOf(type: "CN" | "OU", value: string): Uint8Array {
  return derChildren(readDerWhole(encodeName([[type, value]])))[0]!.raw;
}

const SUBJECT_KEY = "2.5.29.14";
const AUTHORITY_KEY = "2.5.29.35";

/** Makes the certificate of the CA that follows another, with the same extensions. */
export async function makeNext(
  old: Certificate,
  key: SigningKey,
  options: {
    readonly subject: Uint8Array;
    readonly now: Date;
    readonly days: number;
    /** The root of an issuing CA; its own key by default. */
    readonly signer?: Signer | undefined;
  },
): Promise<MadeAuthority> {
  const { subject, now, days, signer } = options;
  const validity = within(authorityValidity(now, days), signer);
  const keyId = await keyIdentifier(key.publicKey);
  return await makeAuthority(
    { model: old, publicKey: key.publicKey, keyId, subject, validity },
    signer ?? { subject, key, keyId: undefined },
  );
}

/**
 * Makes the old CA's certificate for the next CA's key: whoever trusts the old one alone takes with
 * it what the next one issued.
 */
export async function makeCross(next: Certificate, old: Signer): Promise<MadeAuthority> {
  const { subject, spki: publicKey } = next;
  const keyId = next.subjectKeyId?.id ?? await keyIdentifier(publicKey);
  const validity = within(next, old);
  return await makeAuthority(
    { model: next, publicKey, keyId, subject: subject.raw, validity },
    old,
  );
}

async function makeAuthority(
  { model, publicKey, keyId, subject, validity }: {
    readonly model: Certificate;
    readonly publicKey: Uint8Array;
    readonly keyId: Uint8Array;
    readonly subject: Uint8Array;
    readonly validity: Validity;
  },
  signer: Pick<Signer, "subject" | "key" | "keyId">,
): Promise<MadeAuthority> {
  const serial = randomSerial();
  const certificate = await signCertificate({
    serial,
    issuer: signer.subject,
    subject,
    ...validity,
    publicKey,
    extensions: [
      ...model.extensions.filter(({ oid }) => oid !== SUBJECT_KEY && oid !== AUTHORITY_KEY)
        .map(({ oid, value, critical }) => encodeExtension(oid, value, critical)),
      subjectKeyIdentifier(keyId),
      ...(signer.keyId === undefined ? [] : [authorityKeyIdentifier(signer.keyId)]),
    ],
  }, signer.key);
  return { serial, certificate, subject, keyId, ...validity };
}

/** Nothing is valid for longer than who signs it. */
export function within({ notBefore, notAfter }: Validity, signer: Validity | undefined): Validity {
  if (signer === undefined) return { notBefore, notAfter };
  return {
    notBefore: notBefore < signer.notBefore ? signer.notBefore : notBefore,
    notAfter: notAfter > signer.notAfter ? signer.notAfter : notAfter,
  };
}
