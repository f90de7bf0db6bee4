/** Names in the forms in which they are compared (RFC 5280 4.2.1.6, 7.1). */

import { derChildren, type DerElement, readDerWhole, Tag } from "../base/mod.ts";
import type { Certificate } from "./certificate.ts";
import { type Attribute, type Name, parseName } from "./dn.ts";
import { OID } from "./extensions.ts";

/** Tags of a GeneralName. */
export const GeneralName = {
  other: 0xa0,
  email: 0x81,
  dns: 0x82,
  x400: 0xa3,
  directory: 0xa4,
  ediParty: 0xa5,
  uri: 0x86,
  ip: 0x87,
  registeredId: 0x88,
} as const;

/** Relative names in comparable form, outermost first. */
export type NormalName = readonly string[];

const normalNames = new WeakMap<Name, NormalName>();

/**
 * Brings a name into the form in which equal names have equal parts: case, spaces and the kind of
 * string do not matter (RFC 5280 7.1), nor does the order within a relative name.
 */
export function normalName(name: Name): NormalName {
  let normal = normalNames.get(name);
  if (normal === undefined) {
    normal = name.rdns.map((rdn) => rdn.map(normalAttribute).sort().join("\0"));
    normalNames.set(name, normal);
  }
  return normal;
}

const nameKeys = new WeakMap<Name, string>();

/** The whole name as one text; equal for equal names. */
export function nameKey(name: Name): string {
  let key = nameKeys.get(name);
  if (key === undefined) nameKeys.set(name, key = normalName(name).join("\x01"));
  return key;
}

/** Whether subject and issuer are the same entity (RFC 5280 6.1). */
export function isSelfIssued(certificate: Certificate): boolean {
  return nameKey(certificate.subject) === nameKey(certificate.issuer);
}

const DECODERS: Readonly<Record<number, string>> = {
  [Tag.UTF8_STRING]: "utf-8",
  [Tag.PRINTABLE_STRING]: "utf-8",
  [Tag.IA5_STRING]: "utf-8",
  [Tag.NUMERIC_STRING]: "utf-8",
  [Tag.TELETEX_STRING]: "latin1",
  [Tag.BMP_STRING]: "utf-16be",
};

function normalAttribute({ oid, tag, value }: Attribute): string {
  const encoding = DECODERS[tag];
  if (encoding === undefined) return `${oid}#${tag}:${value.toHex()}`;
  try {
    const text = new TextDecoder(encoding, { fatal: true, ignoreBOM: true }).decode(value);
    return `${oid}=${normalText(text)}`;
  } catch {
    return `${oid}#${tag}:${value.toHex()}`;
  }
}

/** What of RFC 4518's preparation changes the outcome for any name that is in use. */
function normalText(text: string): string {
  return text.normalize("NFKC").toLowerCase().trim().replace(/\s+/g, " ");
}

const EMPTY: readonly DerElement[] = [];
const alternatives = new WeakMap<Certificate, readonly DerElement[]>();

/** The GeneralNames of a certificate's subject alternative name. */
export function alternativeNames(certificate: Certificate): readonly DerElement[] {
  let names = alternatives.get(certificate);
  if (names === undefined) {
    const extension = certificate.extensions.find(({ oid }) => oid === OID.subjectAltName);
    names = extension === undefined
      ? EMPTY
      : derChildren(readDerWhole(extension.value, Tag.SEQUENCE));
    alternatives.set(certificate, names);
  }
  return names;
}

/** Decodes the Name of a directoryName. */
export function directoryName({ content }: DerElement): Name {
  return parseName(readDerWhole(content));
}

/** Contents of an IA5String; what is not ASCII stays distinct. */
export function asciiText(bytes: Uint8Array): string {
  let text = "";
  for (const octet of bytes) text += String.fromCharCode(octet);
  return text;
}

/** Whether it is a host name in the preferred syntax (RFC 1034 3.5, with the digits of RFC 1123). */
export function isHostName(text: string): boolean {
  return text.length <= 253 &&
    /^(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*$/i.test(text);
}

/** Whether it is a mailbox as RFC 5280 4.2.1.6 wants one: no phrase, no comment, no brackets. */
export function isMailbox(text: string): boolean {
  const at = text.lastIndexOf("@");
  const local = text.slice(0, Math.max(0, at));
  return (DOT_ATOM.test(local) || QUOTED.test(local)) && isHostName(text.slice(at + 1));
}

/** The two forms of a local part (RFC 2821 4.1.2). */
const DOT_ATOM = /^[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*$/;
const QUOTED = /^"(?:[ !#-[\]-~]|\\[ -~])*"$/;
