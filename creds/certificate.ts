/** X.509 certificates (RFC 5280) as plain data, decoded from hostile bytes. */

import { BaseError, derChildren, type DerElement, readDerWhole, readOid } from "../base/mod.ts";
import { readTime, Tag } from "../base/mod.ts";
import { CERTIFICATE_FAULTS } from "./_faults.ts";
import { type Name, parseName } from "./dn.ts";
import { type Extensions, parseExtensions } from "./extensions.ts";

/** An AlgorithmIdentifier. */
export interface Algorithm {
  readonly oid: string;
  /** The whole of it, DER. */
  readonly raw: Uint8Array;
}

/** A certificate; every byte array is a view on `raw`. */
export interface Certificate extends Extensions {
  /** The whole certificate, DER. */
  readonly raw: Uint8Array;
  /** TBSCertificate, the bytes that are signed. */
  readonly tbs: Uint8Array;
  readonly version: 1 | 2 | 3;
  /** Contents of the serial's INTEGER, as they are. */
  readonly serial: Uint8Array;
  readonly issuer: Name;
  readonly subject: Name;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
  readonly publicKey: PublicKeyInfo;
  readonly signatureAlgorithm: Algorithm;
  readonly signature: Uint8Array;
}

/** What a SubjectPublicKeyInfo says. */
export interface PublicKeyInfo {
  /** The algorithm, dotted decimal. */
  readonly oid: string;
  /** The named curve of an EC key. */
  readonly curve?: string;
  /** Bits of an RSA modulus. */
  readonly bits?: number;
}

const MAX_CERTIFICATE = 1024 * 1024;

/**
 * Decodes a certificate. An extension that cannot be decoded is named in `malformed`; one that
 * GnuTLS would refuse the whole certificate for throws.
 *
 * @throws {BaseError} `DER` if the bytes are no certificate.
 */
export function parseCertificate(der: Uint8Array): Certificate {
  if (der.length > MAX_CERTIFICATE) throw fault("a certificate of more than 1 MiB");
  const outer = readDerWhole(der, Tag.SEQUENCE);
  const [tbs, algorithm, bits, ...rest] = derChildren(outer);
  if (tbs?.tag !== Tag.SEQUENCE || algorithm === undefined || bits === undefined || rest.length) {
    throw fault("a certificate that has not three parts");
  }
  const fields = derChildren(tbs);
  const version = fields[0]?.tag === 0xa0 ? readVersion(fields.shift()!) : 1;
  const [serial, inner, issuer, validity, subject, spki] = fields;
  if (
    serial?.tag !== Tag.INTEGER || serial.content.length === 0 || inner === undefined ||
    issuer === undefined || validity === undefined || subject === undefined || spki === undefined
  ) throw fault("a certificate without all of its fields");
  const signatureAlgorithm = parseAlgorithm(algorithm);
  if (!sameAlgorithm(signatureAlgorithm, parseAlgorithm(inner))) {
    throw fault(CERTIFICATE_FAULTS.algorithms);
  }
  const [notBefore, notAfter] = readValidity(validity);
  return {
    raw: outer.raw,
    tbs: tbs.raw,
    version,
    serial: serial.content,
    issuer: parseName(issuer),
    subject: parseName(subject),
    notBefore,
    notAfter,
    spki: spki.raw,
    publicKey: parsePublicKey(spki),
    signatureAlgorithm,
    signature: readBits(bits),
    ...parseExtensions(readTail(fields.slice(6), version)),
  };
}

/** Decodes an AlgorithmIdentifier. */
export function parseAlgorithm(element: DerElement): Algorithm {
  const [oid, ...parameters] = element.tag === Tag.SEQUENCE ? derChildren(element) : [];
  if (oid?.tag !== Tag.OBJECT_IDENTIFIER || parameters.length > 1) {
    throw fault("an algorithm that cannot be read");
  }
  return { oid: readOid(oid.content), raw: element.raw };
}

/** Decodes a BIT STRING of whole octets. */
export function readBits(element: DerElement): Uint8Array {
  if (element.tag !== Tag.BIT_STRING || element.content[0] !== 0) {
    throw fault("a bit string that cannot be read");
  }
  return element.content.subarray(1);
}

/** Parameters may be NULL in one place and absent in the other, which means the same. */
function sameAlgorithm(a: Algorithm, b: Algorithm): boolean {
  const plain = ({ raw }: Algorithm) => raw.toHex().slice(4).replace(/0500$/, "");
  return a.oid === b.oid && plain(a) === plain(b);
}

function readVersion(element: DerElement): 1 | 2 | 3 {
  const value = readDerWhole(element.content, Tag.INTEGER).content;
  if (value.length !== 1 || value[0]! > 2) throw fault(CERTIFICATE_FAULTS.version);
  return value[0]! + 1 as 1 | 2 | 3;
}

function readValidity(element: DerElement): [Date, Date] {
  const [from, to, ...rest] = element.tag === Tag.SEQUENCE ? derChildren(element) : [];
  if (from === undefined || to === undefined || rest.length > 0) {
    throw fault("a validity that is not two times");
  }
  try {
    return [readTime(from), readTime(to)];
  } catch {
    throw fault(CERTIFICATE_FAULTS.time);
  }
}

/** What follows the key: unique identifiers and extensions, each at most once and in order. */
function readTail(tail: readonly DerElement[], version: number): DerElement | undefined {
  let last = 0;
  let extensions: DerElement | undefined;
  for (const element of tail) {
    const tag = element.tag & 0x1f;
    if ((element.tag & 0xc0) !== 0x80 || tag > 3 || tag <= last) {
      throw fault("an unknown field behind the key");
    }
    last = tag;
    if (element.tag === 0xa3) extensions = readDerWhole(element.content, Tag.SEQUENCE);
    else if (version === 1) throw fault(CERTIFICATE_FAULTS.unexpected);
  }
  if (extensions !== undefined && version < 3) throw fault(CERTIFICATE_FAULTS.unexpected);
  return extensions;
}

const RSA = ["1.2.840.113549.1.1.1", "1.2.840.113549.1.1.10"];
const EC = "1.2.840.10045.2.1";

/** Decodes a SubjectPublicKeyInfo. */
export function parsePublicKey(spki: DerElement): PublicKeyInfo {
  const [algorithm, key] = spki.tag === Tag.SEQUENCE ? derChildren(spki) : [];
  if (algorithm === undefined || key === undefined) throw fault("a public key that cannot be read");
  const { oid } = parseAlgorithm(algorithm);
  const bytes = readBits(key);
  if (oid === EC) {
    const curve = derChildren(algorithm)[1];
    return curve?.tag === Tag.OBJECT_IDENTIFIER ? { oid, curve: readOid(curve.content) } : { oid };
  }
  return RSA.includes(oid) ? { oid, ...rsaBits(bytes) } : { oid };
}

/** A key that is no key is the verifier's business, not a reason to refuse the certificate. */
function rsaBits(key: Uint8Array): { readonly bits?: number } {
  try {
    const modulus = derChildren(readDerWhole(key, Tag.SEQUENCE))[0]?.content ?? new Uint8Array();
    const start = modulus.findIndex((octet) => octet !== 0);
    if (start < 0) return {};
    return { bits: (modulus.length - start) * 8 - Math.clz32(modulus[start]!) + 24 };
  } catch {
    return {};
  }
}

function fault(cause: string): BaseError {
  return new BaseError("DER", { cause });
}
