/** Distinguished names (RFC 5280 4.1.2.4) read from a template and written. */

import { der, derOid, derSequence, derSetOf, derString, Tag } from "../base/mod.ts";
import { CaError } from "./error.ts";

/** An attribute that a name can have. */
export type AttributeType = keyof typeof ATTRIBUTES;

/** One attribute, which is one RDN here: what `O=Acme,CN=host` has two of. */
export type NameAttribute = readonly [type: AttributeType, value: string];

/** Most characters that a CN or O may have (RFC 5280 appendix A, ub-common-name). */
export const LONGEST_ATTRIBUTE = 64;

/** With the most characters of each (RFC 5280 appendix A; RFC 1034 3.1 for a DC). */
const ATTRIBUTES = {
  CN: { oid: derOid("2.5.4.3"), longest: LONGEST_ATTRIBUTE },
  C: { oid: derOid("2.5.4.6"), longest: 2 },
  L: { oid: derOid("2.5.4.7"), longest: 128 },
  ST: { oid: derOid("2.5.4.8"), longest: 128 },
  O: { oid: derOid("2.5.4.10"), longest: LONGEST_ATTRIBUTE },
  OU: { oid: derOid("2.5.4.11"), longest: LONGEST_ATTRIBUTE },
  DC: { oid: derOid("0.9.2342.19200300.100.1.25"), longest: 63 },
};

/** Writes a Name, its RDNs in the order given. */
export function encodeName(attributes: readonly NameAttribute[]): Uint8Array {
  return derSequence(...attributes.map(encodeRdn));
}

/**
 * Reads the part of a subject that comes before its CN, as in `O=Example,L=Rack 7`: in the order
 * that it is to have, a backslash before a comma that is part of a value.
 *
 * @example A template
 * ```ts
 * import { parseSubject } from "@virtcreds/virtcreds/ca";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parseSubject("O=Acme\\, Inc., L=Rack 7"), [["O", "Acme, Inc."], ["L", "Rack 7"]]);
 * ```
 *
 * @throws {CaError} `SUBJECT`.
 */
export function parseSubject(text: string): NameAttribute[] {
  const parts = text.match(/(?:\\.|[^,\\]|\\$)+/gs) ?? [];
  if (parts.length !== text.split(/(?<!\\)(?:\\\\)*,/).length) throw refuse(text, EMPTY);
  return parts.map((part) => parseAttribute(part, text));
}

const EMPTY = "an attribute of it is empty";

function parseAttribute(part: string, text: string): NameAttribute {
  const match = /^\s*([A-Za-z]+)\s*=\s*(.*?)\s*$/s.exec(part);
  if (match === null) throw refuse(text, `'${part.trim()}' has not the form TYPE=VALUE`);
  const type = match[1]!.toUpperCase();
  const value = match[2]!.replace(/\\(.)/gs, "$1");
  if (!isAttribute(type)) {
    const known = Object.keys(ATTRIBUTES).filter((name) => name !== "CN").join(", ");
    throw refuse(text, `${match[1]} is none of ${known}`);
  }
  if (type === "CN") throw refuse(text, "the CN is the host's name or what --name says");
  const length = [...value].length;
  const { longest } = ATTRIBUTES[type];
  if (length === 0) throw refuse(text, EMPTY);
  if (/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/u.test(value)) {
    throw refuse(text, "it has a control character");
  }
  if (length > longest) {
    throw refuse(text, `its ${type} has ${length} characters, more than ${longest}`);
  }
  if (type === "C" && !/^[A-Z]{2}$/.test(value)) {
    throw refuse(text, "its C is no country code of two capital letters");
  }
  if (type === "DC" && !/^[\x21-\x7e]+$/.test(value)) throw refuse(text, "its DC is not ASCII");
  return [type, value];
}

function isAttribute(type: string): type is AttributeType {
  return Object.hasOwn(ATTRIBUTES, type);
}

function refuse(text: string, cause: string): CaError {
  return new CaError("SUBJECT", {
    option: "--subject",
    value: text,
    cause,
    hint: 'write it as in --subject "O=Example,L=Rack 7"',
  });
}

function encodeRdn([type, value]: NameAttribute): Uint8Array {
  const text = type === "DC" ? derString(Tag.IA5_STRING, value) : encodeDirectoryString(value);
  return derSetOf(derSequence(ATTRIBUTES[type].oid, text));
}

/** PrintableString where its alphabet is enough, else UTF8String, as RFC 5280 lets one choose. */
function encodeDirectoryString(value: string): Uint8Array {
  return /^[A-Za-z0-9 '()+,\-./:=?]*$/.test(value)
    ? derString(Tag.PRINTABLE_STRING, value)
    : der(Tag.UTF8_STRING, new TextEncoder().encode(value));
}
