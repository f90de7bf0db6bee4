/** Distinguished names (RFC 5280 4.1.2.4) written. */

import { der, derOid, derSequence, derSetOf, derString, Tag } from "../base/mod.ts";

/** One attribute, which is one RDN here: what `O=Acme,CN=host` has two of. */
export type NameAttribute = readonly [type: keyof typeof ATTRIBUTE_OID, value: string];

const ATTRIBUTE_OID = {
  CN: derOid("2.5.4.3"),
  O: derOid("2.5.4.10"),
};

/** Most characters that a CN or O may have (RFC 5280 appendix A, ub-common-name). */
export const LONGEST_ATTRIBUTE = 64;

/** Writes a Name, its RDNs in the order given. */
export function encodeName(attributes: readonly NameAttribute[]): Uint8Array {
  return derSequence(...attributes.map(encodeRdn));
}

function encodeRdn([type, value]: NameAttribute): Uint8Array {
  return derSetOf(derSequence(ATTRIBUTE_OID[type], encodeDirectoryString(value)));
}

/** PrintableString where its alphabet is enough, else UTF8String, as RFC 5280 lets one choose. */
function encodeDirectoryString(value: string): Uint8Array {
  return /^[A-Za-z0-9 '()+,\-./:=?]*$/.test(value)
    ? derString(Tag.PRINTABLE_STRING, value)
    : der(Tag.UTF8_STRING, new TextEncoder().encode(value));
}
