/** Name constraints (RFC 5280 4.2.1.10): the names that a CA may vouch for. */

import { der, derChildren, type DerElement, derSequence, readDerWhole, Tag } from "../base/mod.ts";
import { type Certificate, formatIpAddress, parseIpAddress } from "../creds/mod.ts";
import { CaError } from "./error.ts";
import { DNS_NAME, IP_NAME } from "./extensions.ts";
import { parseDnsName, type SubjectName } from "./host_name.ts";

/** A domain with all below it, or a network: address and mask, 8 or 32 bytes. */
export type Subtree =
  | { readonly kind: "dns"; readonly domain: string }
  | { readonly kind: "ip"; readonly network: Uint8Array };

/** What a CA's certificate says of the names that it may vouch for. */
export interface Constraints {
  readonly permitted: readonly Subtree[];
  readonly excluded: readonly Subtree[];
}

/** A CA that may vouch for every name. */
export const UNCONSTRAINED: Constraints = { permitted: [], excluded: [] };

/**
 * Reads a domain that a CA is to be permitted.
 *
 * @throws {CaError} `DNS_NAME`.
 */
export function parseDomain(text: string): Subtree {
  return { kind: "dns", domain: parseDnsName(text.replace(/^\./, ""), "--permit-dns").text };
}

/**
 * Reads a network that a CA is to be permitted: `192.0.2.0/24`, `2001:db8::/32`, one address.
 *
 * @throws {CaError} `IP_ADDRESS`.
 */
export function parseNetwork(text: string): Subtree {
  const refuse = (cause: string, hint = "write it as in 192.0.2.0/24 or 2001:db8::/32") =>
    new CaError("IP_ADDRESS", { option: "--permit-ip", value: text, cause, hint });
  const [, literal = "", length] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const address = parseIpAddress(literal);
  if (address === undefined) throw refuse("it is no network");
  const bits = length === undefined ? 8 * address.length : Number(length);
  if (bits > 8 * address.length) throw refuse(`it has more than ${8 * address.length} bits`);
  const mask = address.map((_, i) => 0xff00 >> Math.min(8, Math.max(0, bits - 8 * i)) & 0xff);
  const first = address.map((octet, i) => octet & mask[i]!);
  if (first.some((octet, i) => octet !== address[i])) {
    const hint = `write --permit-ip ${formatIpAddress(first)}/${bits}`;
    throw refuse(`it is an address within the network`, hint);
  }
  return { kind: "ip", network: Uint8Array.of(...first, ...mask) };
}

/** Writes the contents of a nameConstraints extension that permits only these. */
export function encodePermitted(permitted: readonly Subtree[]): Uint8Array {
  const subtrees = permitted.map((subtree) =>
    derSequence(
      subtree.kind === "dns"
        ? der(DNS_NAME, new TextEncoder().encode(subtree.domain))
        : der(IP_NAME, subtree.network),
    )
  );
  return derSequence(der(0xa0, ...subtrees));
}

const NAME_CONSTRAINTS = "2.5.29.30";

/** The constraints on DNS names and addresses that a CA's certificate has. */
export function constraintsOf(certificate: Certificate): Constraints {
  const extension = certificate.extensions.find((one) => one.oid === NAME_CONSTRAINTS);
  if (extension === undefined) return UNCONSTRAINED;
  const lists = derChildren(readDerWhole(extension.value, Tag.SEQUENCE));
  const read = (tag: number) =>
    lists.filter((list) => list.tag === tag).flatMap(derChildren).flatMap(readSubtree);
  return { permitted: read(0xa0), excluded: read(0xa1) };
}

/** A subtree of DNS names or addresses; none for one of another kind. */
function readSubtree(subtree: DerElement): Subtree[] {
  const base = derChildren(subtree)[0];
  if (base?.tag === DNS_NAME) {
    return [{ kind: "dns", domain: new TextDecoder().decode(base.content) }];
  }
  return base?.tag === IP_NAME ? [{ kind: "ip", network: base.content }] : [];
}

/**
 * Refuses the names of a host that its CA may not vouch for. A kind of name that nothing is said of
 * is free; of addresses, IPv4 and IPv6 are one kind (RFC 5280).
 *
 * @throws {CaError} `NAME_NOT_PERMITTED`.
 */
export function checkPermitted(names: readonly SubjectName[], constraints: Constraints): void {
  for (const name of names) {
    const allowed = constraints.permitted.filter((subtree) => subtree.kind === name.kind);
    const isOutside = allowed.length > 0 && !allowed.some((subtree) => covers(subtree, name));
    const excluded = constraints.excluded.find((subtree) => covers(subtree, name));
    if (!isOutside && excluded === undefined) continue;
    throw new CaError("NAME_NOT_PERMITTED", {
      value: name.text,
      cause: excluded === undefined
        ? `it is permitted ${allowed.map(subtreeText).join(", ")}`
        : `${subtreeText(excluded)} is excluded`,
      hint: "make a CA for further names in another directory: deno task ca init --dir DIR",
    });
  }
}

/** A subtree as a person writes it. */
export function subtreeText(subtree: Subtree): string {
  if (subtree.kind === "dns") return subtree.domain;
  const half = subtree.network.length / 2;
  const bits = [...subtree.network.subarray(half)]
    .reduce((sum, octet) => sum + octet.toString(2).replaceAll("0", "").length, 0);
  return `${formatIpAddress(subtree.network.subarray(0, half))}/${bits}`;
}

function covers(subtree: Subtree, name: SubjectName): boolean {
  if (subtree.kind === "dns") {
    const domain = subtree.domain.toLowerCase();
    if (name.kind !== "dns") return false;
    return name.text === domain || domain === "" ||
      name.text.endsWith(domain.startsWith(".") ? domain : `.${domain}`);
  }
  if (name.kind !== "ip" || subtree.network.length !== 2 * name.octets.length) return false;
  const half = name.octets.length;
  const { network } = subtree;
  return name.octets.every((octet, i) => (octet & network[half + i]!) === network[i]);
}
