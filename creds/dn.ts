/**
 * Distinguished names, and their text as GnuTLS prints it: the string that QEMU compares with its
 * authz rules. RDNs stand in the certificate's own order, unlike in `certtool -i`.
 */

import { derChildren, type DerElement, readDerWhole, readOid, Tag } from "../base/mod.ts";
import { BaseError } from "../base/mod.ts";
import { ATTRIBUTES, type AttributeSyntax } from "./_attributes.ts";

/** One attribute of a distinguished name. */
export interface Attribute {
  /** Its type, dotted decimal. */
  readonly oid: string;
  /** The tag of its value. */
  readonly tag: number;
  /** The value's contents octets. */
  readonly value: Uint8Array;
  /** The value as it stands in {@linkcode Name.text}, escaped. */
  readonly text: string;
}

/** A distinguished name. */
export interface Name {
  /** The Name, DER. */
  readonly raw: Uint8Array;
  /** Relative names in encoding order, each of one or more attributes. */
  readonly rdns: readonly (readonly Attribute[])[];
  /** As an authz rule has to spell it; empty where there is a `fault`. */
  readonly text: string;
  /** GnuTLS's words where it can make no text of the name: no attribute at all, an empty value. */
  readonly fault?: string;
}

/**
 * Gives the text of a DER Name as QEMU compares it.
 *
 * @example Certificate order, escapes
 * ```ts
 * import { dnText } from "@virtcreds/virtcreds/creds";
 * import { assertEquals } from "@std/assert";
 *
 * const name = Uint8Array.fromHex("300e310c300a06035504030c03612c62");
 * assertEquals(dnText(name), "CN=a\\,b");
 * ```
 *
 * @throws {BaseError} `DER` if the bytes are no Name, or one that GnuTLS has no text for.
 */
export function dnText(name: Uint8Array): string {
  const { text, fault } = parseName(readDerWhole(name));
  if (fault !== undefined) throw new BaseError("DER", { cause: fault });
  return text;
}

/** Decodes a Name (RFC 5280 4.1.2.4). */
export function parseName(element: DerElement): Name {
  if (element.tag !== Tag.SEQUENCE) {
    throw new BaseError("DER", { cause: "a name with a wrong tag" });
  }
  const rdns = derChildren(element).map((rdn) => {
    if (rdn.tag !== Tag.SET) throw new BaseError("DER", { cause: "a name that holds no set" });
    return derChildren(rdn).map(parseAttribute);
  });
  const attributes = rdns.flat();
  const fault = attributes.length === 0
    ? "The requested data were not available."
    : attributes.some((a) => ATTRIBUTES[a.oid]?.tag === "directory" && a.value.length === 0)
    ? "ASN1 parser: Value is not valid."
    : undefined;
  if (fault !== undefined) return { raw: element.raw, rdns, text: "", fault };
  const text = rdns.map((rdn) => rdn.map(attributeText).join("+")).join(",");
  return { raw: element.raw, rdns, text };
}

/** The values of all attributes of a type, in order. */
export function attributeValues(name: Name, oid: string): string[] {
  return name.rdns.flat().filter((a) => a.oid === oid).map((a) => a.text);
}

function attributeText(attribute: Attribute): string {
  return `${ATTRIBUTES[attribute.oid]?.name ?? attribute.oid}=${attribute.text}`;
}

function parseAttribute(element: DerElement): Attribute {
  const [type, value, ...rest] = derChildren(element);
  if (
    element.tag !== Tag.SEQUENCE || type?.tag !== Tag.OBJECT_IDENTIFIER || value === undefined ||
    rest.length > 0
  ) throw new BaseError("DER", { cause: "a name attribute that is not a type and a value" });
  const oid = readOid(type.content);
  const decoded = decodeValue(ATTRIBUTES[oid]?.tag, value);
  const text = decoded === undefined ? `#${value.raw.toHex()}` : escapeValue(decoded);
  return { oid, tag: value.tag, value: value.content, text };
}

const DIRECTORY_STRING: readonly number[] = [
  Tag.TELETEX_STRING,
  Tag.PRINTABLE_STRING,
  Tag.UNIVERSAL_STRING,
  Tag.UTF8_STRING,
  Tag.BMP_STRING,
];

/** The value as text, or `undefined` where GnuTLS falls back to the whole value in hexadecimal. */
function decodeValue(syntax: AttributeSyntax["tag"] | undefined, value: DerElement) {
  if (syntax === undefined) return undefined;
  const fits = syntax === "directory" ? DIRECTORY_STRING.includes(value.tag) : value.tag === syntax;
  if (!fits) return undefined;
  const text = stringText(value);
  return text.includes("\0") ? undefined : text;
}

/** What cannot be shown as text is shown as hexadecimal of the contents, `#` included. */
function stringText({ tag, content }: DerElement): string {
  const hex = `#${content.toHex()}`;
  if (tag === Tag.UNIVERSAL_STRING) return hex;
  if (tag === Tag.TELETEX_STRING) return content.every(isPrintable) ? asText(content) : hex;
  if (tag === Tag.BMP_STRING) return bmpText(content) ?? hex;
  return asText(content);
}

const asText = (bytes: Uint8Array): string => new TextDecoder("utf-8").decode(bytes);

const isPrintable = (octet: number): boolean => octet >= 0x20 && octet < 0x7f;

function bmpText(content: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-16be", { fatal: true, ignoreBOM: true }).decode(content);
  } catch {
    return undefined;
  }
}

/** Escapes as RFC 4514 2.4 does, short of the characters that GnuTLS leaves alone. */
function escapeValue(text: string): string {
  return text.replace(/[,+"\\<>;]|^[# ]| $/g, "\\$&");
}
