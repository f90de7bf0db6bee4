/** The extensions of a certificate (RFC 5280 4.2), those decoded that somebody looks at. */

import { BaseError, derChildren, type DerElement, readDer, readDerWhole } from "../base/mod.ts";
import { readOid, Tag } from "../base/mod.ts";
import { CERTIFICATE_FAULTS } from "./_faults.ts";
import { type Name, parseName } from "./dn.ts";

/** Object identifiers of extensions and extended key usages. */
export const OID = {
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  issuerAltName: "2.5.29.18",
  basicConstraints: "2.5.29.19",
  crlNumber: "2.5.29.20",
  reasonCode: "2.5.29.21",
  deltaCrlIndicator: "2.5.29.27",
  issuingDistributionPoint: "2.5.29.28",
  certificateIssuer: "2.5.29.29",
  nameConstraints: "2.5.29.30",
  crlDistributionPoints: "2.5.29.31",
  certificatePolicies: "2.5.29.32",
  anyPolicy: "2.5.29.32.0",
  policyMappings: "2.5.29.33",
  policyConstraints: "2.5.29.36",
  freshestCrl: "2.5.29.46",
  inhibitAnyPolicy: "2.5.29.54",
  authorityInfoAccess: "1.3.6.1.5.5.7.1.1",
  authorityKeyIdentifier: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
  anyExtendedKeyUsage: "2.5.29.37.0",
  serverAuth: "1.3.6.1.5.5.7.3.1",
  clientAuth: "1.3.6.1.5.5.7.3.2",
  commonName: "2.5.4.3",
} as const;

/** What a key may do, in the order of the bits (RFC 5280 4.2.1.3). */
export const KEY_USAGES = [
  "digitalSignature",
  "nonRepudiation",
  "keyEncipherment",
  "dataEncipherment",
  "keyAgreement",
  "keyCertSign",
  "cRLSign",
  "encipherOnly",
  "decipherOnly",
] as const;

/** One of {@linkcode KEY_USAGES}. */
export type KeyUsage = typeof KEY_USAGES[number];

/** An extension as it stands. */
export interface Extension {
  readonly oid: string;
  readonly critical: boolean;
  /** Contents of extnValue. */
  readonly value: Uint8Array;
}

/** The names of a subject alternative name, by kind and in order. */
export interface AlternativeNames {
  /** Characters are octets: what is not ASCII was not valid there. */
  readonly dns: readonly string[];
  /** 4 or 16 bytes each, where the issuer did it right. */
  readonly ip: readonly Uint8Array[];
  readonly email: readonly string[];
  readonly uri: readonly string[];
  readonly directory: readonly Name[];
  /** Types of otherName. */
  readonly other: readonly string[];
  readonly registeredId: readonly string[];
}

/** The extensions that are decoded; each is absent where the certificate has none. */
export interface Extensions {
  readonly extensions: readonly Extension[];
  readonly basicConstraints?: {
    readonly critical: boolean;
    readonly ca: boolean;
    readonly pathLength?: number;
  };
  readonly keyUsage?: { readonly critical: boolean; readonly usages: readonly KeyUsage[] };
  /** Purposes, dotted decimal. */
  readonly extendedKeyUsage?: { readonly critical: boolean; readonly purposes: readonly string[] };
  readonly subjectAltName?: { readonly critical: boolean } & AlternativeNames;
  readonly subjectKeyId?: { readonly critical: boolean; readonly id: Uint8Array };
  readonly authorityKeyId?: {
    readonly critical: boolean;
    readonly id?: Uint8Array;
    readonly serial?: Uint8Array;
  };
  /** Known extensions whose contents cannot be decoded, dotted decimal. */
  readonly malformed: readonly string[];
}

/** Decodes `Extensions`; none for a certificate that has no such field. */
export function parseExtensions(sequence: DerElement | undefined): Extensions {
  const extensions = sequence === undefined ? [] : derChildren(sequence).map(parseExtension);
  const byOid = new Map(extensions.map((extension) => [extension.oid, extension]));
  if (byOid.size !== extensions.length) throw bad(CERTIFICATE_FAULTS.duplicate);
  const malformed: string[] = [];
  const decode = <T>(oid: string, decoder: (value: Uint8Array) => T) => {
    const extension = byOid.get(oid);
    if (extension === undefined) return undefined;
    try {
      return { critical: extension.critical, ...decoder(extension.value) };
    } catch {
      malformed.push(oid);
      return undefined;
    }
  };
  const decoded = {
    basicConstraints: decode(OID.basicConstraints, readBasicConstraints),
    keyUsage: decode(OID.keyUsage, readKeyUsage),
    extendedKeyUsage: decode(OID.extendedKeyUsage, readPurposes),
    subjectAltName: decode(OID.subjectAltName, readAlternativeNames),
    subjectKeyId: decode(OID.subjectKeyIdentifier, readSubjectKeyId),
    authorityKeyId: decode(OID.authorityKeyIdentifier, readAuthorityKeyId),
  };
  if (malformed.includes(OID.subjectAltName)) throw bad(CERTIFICATE_FAULTS.subjectAltName);
  return { extensions, malformed, ...present(decoded) };
}

/** Decodes `Extension`. */
export function parseExtension(element: DerElement): Extension {
  const [oid, ...rest] = element.tag === Tag.SEQUENCE ? derChildren(element) : [];
  const flag = rest[0]?.tag === Tag.BOOLEAN ? rest.shift() : undefined;
  const [value, ...more] = rest;
  if (oid?.tag !== Tag.OBJECT_IDENTIFIER || value?.tag !== Tag.OCTET_STRING || more.length > 0) {
    throw bad("an extension that cannot be read");
  }
  const critical = flag !== undefined && readBoolean(flag);
  return { oid: readOid(oid.content), critical, value: value.content };
}

function readBasicConstraints(value: Uint8Array) {
  const fields = derChildren(readDerWhole(value, Tag.SEQUENCE));
  const ca = fields[0]?.tag === Tag.BOOLEAN && readBoolean(fields.shift()!);
  const [length, ...rest] = fields;
  if (rest.length > 0) throw bad("more fields than basicConstraints has");
  if (length === undefined) return { ca };
  if (length.tag !== Tag.INTEGER) throw bad("a path length that is no number");
  return { ca, pathLength: readSmallInteger(length.content) };
}

function readKeyUsage(value: Uint8Array) {
  const { content } = readDerWhole(value, Tag.BIT_STRING);
  const unused = content[0] ?? 8;
  if (unused > 7 || content.length > 3 || (content.length === 1 && unused > 0)) {
    throw bad("a key usage that cannot be read");
  }
  const isSet = (bit: number) => ((content[1 + (bit >> 3)] ?? 0) & (0x80 >> (bit & 7))) !== 0;
  return { usages: KEY_USAGES.filter((_, bit) => isSet(bit)) };
}

function readPurposes(value: Uint8Array) {
  const purposes = derChildren(readDerWhole(value, Tag.SEQUENCE));
  if (purposes.some((purpose) => purpose.tag !== Tag.OBJECT_IDENTIFIER)) {
    throw bad("a purpose that is no object identifier");
  }
  return { purposes: purposes.map((purpose) => readOid(purpose.content)) };
}

function readSubjectKeyId(value: Uint8Array) {
  return { id: readDerWhole(value, Tag.OCTET_STRING).content };
}

function readAuthorityKeyId(value: Uint8Array) {
  const fields = derChildren(readDerWhole(value, Tag.SEQUENCE));
  const id = fields.find((field) => field.tag === 0x80)?.content;
  const serial = fields.find((field) => field.tag === 0x82)?.content;
  return { ...(id === undefined ? {} : { id }), ...(serial === undefined ? {} : { serial }) };
}

function readAlternativeNames(value: Uint8Array): AlternativeNames {
  const dns: string[] = [];
  const ip: Uint8Array[] = [];
  const email: string[] = [];
  const uri: string[] = [];
  const directory: Name[] = [];
  const other: string[] = [];
  const registeredId: string[] = [];
  for (const { tag, content } of derChildren(readDerWhole(value, Tag.SEQUENCE))) {
    if (content.length === 0) throw bad("an empty alternative name");
    if (tag === 0x82) dns.push(octets(content));
    else if (tag === 0x87) ip.push(content);
    else if (tag === 0x81) email.push(octets(content));
    else if (tag === 0x86) uri.push(octets(content));
    else if (tag === 0xa4) directory.push(parseName(readDerWhole(content)));
    else if (tag === 0xa0) other.push(readOid(readDer(content).content));
    else if (tag === 0x88) registeredId.push(readOid(content));
    else throw bad("an alternative name of a kind that nobody uses");
  }
  return { dns, ip, email, uri, directory, other, registeredId };
}

/** One character for each octet. */
function octets(bytes: Uint8Array): string {
  let text = "";
  for (const octet of bytes) text += String.fromCharCode(octet);
  return text;
}

function readBoolean({ content }: DerElement): boolean {
  if (content.length !== 1) throw bad("a boolean that is not one octet");
  return content[0] !== 0;
}

function readSmallInteger(content: Uint8Array): number {
  if (content.length === 0 || content.length > 4 || content[0]! >= 0x80) {
    throw bad("a number out of range");
  }
  return content.reduce((value, octet) => value * 256 + octet, 0);
}

type Present<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** Leaves out what is undefined. */
function present<T extends object>(values: T): Present<T> {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== undefined),
  ) as Present<T>;
}

function bad(cause: string): BaseError {
  return new BaseError("DER", { cause });
}
