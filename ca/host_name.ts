/** Names from outside, judged before one of them reaches a path or a certificate. */

import { toAscii } from "../base/mod.ts";
import { formatIpAddress, parseIpAddress } from "../creds/mod.ts";
import { CaError } from "./error.ts";

/** A name that a certificate vouches for, in the one spelling that is used everywhere. */
export type SubjectName =
  | { readonly kind: "dns"; readonly text: string }
  | { readonly kind: "ip"; readonly text: string; readonly octets: Uint8Array };

/** RFC 1035 2.3.4, without the trailing dot. */
const LONGEST_NAME = 253;
const LONGEST_LABEL = 63;

/**
 * Reads the name of a host: a DNS name or an IP literal.
 *
 * The result is safe as the name of a directory: it is never empty, `.` or `..`, and has neither
 * a slash nor a character outside `[a-z0-9.:-]`. Case is folded and a trailing dot dropped, as
 * DNS does; an internationalized name becomes its A-labels.
 *
 * @example One spelling for each name
 * ```ts
 * import { parseHostName } from "@virtcreds/virtcreds/ca";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parseHostName("Zürich.example").text, "xn--zrich-kva.example");
 * assertEquals(parseHostName("FD00:0::1").text, "fd00::1");
 * ```
 *
 * @throws {CaError} `HOST_NAME` If it is neither.
 */
export function parseHostName(text: string): SubjectName {
  const ip = parseIpAddress(text);
  if (ip !== undefined) return formatIpName(ip);
  const name = readDnsName(text);
  if (name.ok) return { kind: "dns", text: name.text };
  throw new CaError("HOST_NAME", { value: text, cause: name.cause, hint: name.hint });
}

/**
 * Reads a further DNS name of a host; see {@linkcode parseHostName} for its form.
 *
 * @param option The flag that it was given with, for the error.
 * @param allowWildcard Whether its first label may be `*` (RFC 6125 6.4.3).
 *
 * @throws {CaError} `DNS_NAME` If it is none, or an IP literal.
 */
export function parseDnsName(
  text: string,
  option = "--dns",
  allowWildcard = false,
): SubjectName {
  const facts = { option, value: text };
  if (parseIpAddress(text) !== undefined) {
    throw new CaError("DNS_NAME", {
      ...facts,
      cause: "it is an IP address",
      hint: `write --ip ${text}`,
    });
  }
  const below = allowWildcard && /^\*\.[^.]+\.[^.]/.test(text) ? text.slice(2) : undefined;
  const name = readDnsName(below ?? text);
  if (name.ok) return { kind: "dns", text: below === undefined ? name.text : `*.${name.text}` };
  const hint = text.includes("*") && option === "--dns" && !allowWildcard
    ? `${name.hint}, or add --allow-wildcard`
    : name.hint;
  throw new CaError("DNS_NAME", { ...facts, cause: name.cause, hint });
}

/**
 * Reads a further IP address of a host.
 *
 * @throws {CaError} `IP_ADDRESS` If it is no IPv4 or IPv6 literal.
 */
export function parseIpName(text: string): SubjectName {
  const ip = parseIpAddress(text);
  if (ip !== undefined) return formatIpName(ip);
  const name = readDnsName(text);
  const numeric = /^[0-9a-fA-F.:[\]%/]*$/.test(text);
  throw new CaError("IP_ADDRESS", {
    option: "--ip",
    value: text,
    cause: "it is no IPv4 or IPv6 literal",
    hint: name.ok && !numeric ? `write --dns ${name.text}` : LITERAL_HINT,
  });
}

const NAME_HINT =
  "a name has letters, digits and hyphens in labels parted by dots, as in host-1.example.com";
const LITERAL_HINT = "write it as in 192.0.2.1 or 2001:db8::1, without brackets, zone or prefix";

type Reading =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly cause: string; readonly hint: string };

/**
 * Writes an address as a name. An IPv4-mapped address stays the 16 octets that it is: GnuTLS
 * compares the octets of the name that a peer was addressed by, and that name had a colon.
 */
export function formatIpName(octets: Uint8Array): SubjectName {
  const isMapped = octets.length === 16 && octets.subarray(0, 12).toHex() === IPV4_MAPPED;
  const text = isMapped
    ? `::ffff:${formatIpAddress(octets.subarray(12))}`
    : formatIpAddress(octets);
  return { kind: "ip", text, octets };
}

const IPV4_MAPPED = "00000000000000000000ffff";

function readDnsName(text: string): Reading {
  const refuse = (cause: string, hint = NAME_HINT): Reading => ({ ok: false, cause, hint });
  if (text === "") return refuse("it is empty");
  if (text.length > LONGEST_NAME + 1) {
    return refuse(`it has ${text.length} characters, more than ${LONGEST_NAME}`);
  }
  if (text.includes("*")) return refuse("it has a wildcard", "name each host");
  if (/[:[\]%]/.test(text)) {
    return refuse("it has a character of an IP literal, but is none", LITERAL_HINT);
  }
  // Before anything else reads it: in the text of a URL an `@` or `/` would mean something.
  const odd = /[^A-Za-z0-9.\-\u0080-\u{10ffff}]/u.exec(text);
  if (odd !== null) return refuse(`it has ${nameOf(odd[0])}`);
  const ascii = toAscii(text);
  if (ascii === undefined) return refuse("it is no internationalized domain name");
  const name = ascii.toLowerCase().replace(/\.$/, "");
  if (name.length > LONGEST_NAME) {
    return refuse(`it has ${name.length} characters, more than ${LONGEST_NAME}`);
  }
  const labels = name.split(".");
  for (const label of labels) {
    if (label === "") return refuse("it has an empty label");
    if (label.length > LONGEST_LABEL) {
      return refuse(`it has a label of ${label.length} characters, more than ${LONGEST_LABEL}`);
    }
    if (!/^[a-z0-9-]+$/.test(label)) return refuse("it is no internationalized domain name");
    if (label.startsWith("-") || label.endsWith("-")) {
      return refuse("a label starts or ends with a hyphen");
    }
  }
  if (/^(\d+|0x[0-9a-f]*)$/.test(labels.at(-1)!)) {
    return refuse(
      "its last label is a number, so that others take it for an IPv4 address",
      LITERAL_HINT,
    );
  }
  return { ok: true, text: name };
}

function nameOf(character: string): string {
  if (character === " ") return "a space";
  if (character === "\n" || character === "\r") return "a line break";
  if (character === "_") return "an underscore";
  const code = character.codePointAt(0)!;
  return code < 0x20 || code === 0x7f
    ? `the control character U+${code.toString(16).padStart(4, "0").toUpperCase()}`
    : `the character '${character}'`;
}
