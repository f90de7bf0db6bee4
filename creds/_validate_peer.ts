/** Whether a certificate is for the peer that was expected (RFC 9525, RFC 5280 4.2.1.6). */

import { toAscii } from "../base/mod.ts";
import { fault, type PathFault } from "./_validate_fault.ts";
import { alternativeNames, asciiText, GeneralName, isHostName } from "./_validate_names.ts";
import type { Certificate } from "./certificate.ts";
import { parseIpAddress } from "./ip.ts";

/**
 * Holds expected names against the alternative names, and nothing but these: the common name is
 * no name of a host. A star is a whole first label with at least two labels behind it.
 */
export function checkPeerNames(
  certificate: Certificate,
  expected: readonly string[],
): PathFault | undefined {
  const missing = expected.find((name) => !isFor(certificate, name));
  if (missing === undefined) return undefined;
  const words = `the certificate of ${
    certificate.subject.text || "an empty subject"
  } is not for ${missing}`;
  return fault("peer-name", words, "RFC 9525", certificate);
}

function isFor(certificate: Certificate, expected: string): boolean {
  const given = alternativeNames(certificate);
  const address = parseIpAddress(expected);
  if (address !== undefined) {
    const wanted = address.toHex();
    return given.some(({ tag, content }) => tag === GeneralName.ip && content.toHex() === wanted);
  }
  const texts = (wanted: number) =>
    given.filter(({ tag }) => tag === wanted).map(({ content }) => asciiText(content));
  if (expected.includes("@")) return texts(GeneralName.email).some((m) => sameMailbox(m, expected));
  const name = toAscii(expected)?.toLowerCase();
  return name !== undefined && isHostName(name) &&
    texts(GeneralName.dns).some((pattern) => matches(pattern.toLowerCase(), name));
}

function matches(pattern: string, name: string): boolean {
  if (!pattern.startsWith("*.")) return pattern === name;
  const parent = pattern.slice(2);
  return parent.includes(".") && isHostName(parent) && name.slice(name.indexOf(".") + 1) === parent;
}

/** The local part has case, the host has none. */
function sameMailbox(a: string, b: string): boolean {
  const fold = (text: string) => {
    const at = text.lastIndexOf("@");
    return text.slice(0, at) + text.slice(at).toLowerCase();
  };
  return fold(a) === fold(b);
}
