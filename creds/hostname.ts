/**
 * Whether a certificate is for a name, by the rules of GnuTLS's `gnutls_x509_crt_check_hostname`
 * (RFC 6125 with its own idea of wildcards), which QEMU uses.
 */

import { toAscii } from "../base/mod.ts";
import type { Certificate } from "./certificate.ts";
import { attributeValues } from "./dn.ts";
import { OID } from "./extensions.ts";
import { formatIpAddress, parseIpAddress } from "./ip.ts";

/** GnuTLS reads names into a buffer of 256 octets; a longer one is not looked at. */
const MAX_NAME = 255;

/**
 * Whether the certificate is for the host name or address.
 *
 * An address is compared with iPAddress names only, a name with dNSName names, and with the common
 * name only where the certificate has no alternative name that would forbid it.
 */
export function matchHostname(certificate: Certificate, name: string): boolean {
  const address = parseIpAddress(name);
  if (address !== undefined) {
    const wanted = address.toHex();
    return certificate.subjectAltName?.ip.some((ip) => ip.toHex() === wanted) ?? false;
  }
  // A name that has no A-labels may still be the one of a certificate.
  const wanted = /^[ -~]*$/.test(name) ? name : toAscii(name) ?? name;
  return patterns(certificate).some((pattern) => matchPattern(pattern, wanted));
}

/** The names that a certificate is for, as {@linkcode matchHostname} sees them. */
export function certificateNames(certificate: Certificate): string[] {
  return [...patterns(certificate), ...(certificate.subjectAltName?.ip ?? []).map(formatIpAddress)];
}

function patterns(certificate: Certificate): readonly string[] {
  const names = certificate.subjectAltName;
  const dns = names?.dns ?? [];
  const precludesCommonName = names !== undefined &&
    (dns.length > 0 || names.ip.length > 0 || names.uri.length > 0 || names.other.includes(SRV));
  const candidates = precludesCommonName || !isForServers(certificate)
    ? dns
    : onlyOne(attributeValues(certificate.subject, OID.commonName));
  return candidates.filter((name) => name.length <= MAX_NAME && /^[ -~]+$/.test(name));
}

const SRV = "1.3.6.1.5.5.7.8.7";
/** Server gated cryptography, which old CA certificates have instead of serverAuth. */
const OBSOLETE = ["2.16.840.1.113730.4.1", "2.16.840.1.113733.1.8.1"];

/** Whether the extended key usage lets a TLS server use the certificate. */
export function isForServers(certificate: Certificate): boolean {
  if (certificate.malformed.includes(OID.extendedKeyUsage)) return false;
  const purposes = certificate.extendedKeyUsage?.purposes;
  if (purposes === undefined || purposes.length === 0) return true;
  const accepted = [OID.serverAuth, OID.anyExtendedKeyUsage as string]
    .concat(certificate.basicConstraints?.ca ? OBSOLETE : []);
  return purposes.some((purpose) => accepted.includes(purpose));
}

/** More than one common name means none of them (RFC 6125 1.8). */
function onlyOne(values: readonly string[]): readonly string[] {
  return values.length === 1 ? values : [];
}

/**
 * A star must come first and have two dots behind it; it stands for the beginning of a name up to
 * its first dot, which may be empty.
 */
function matchPattern(pattern: string, name: string): boolean {
  if (!pattern.startsWith("*")) return equalIgnoringCase(pattern, name);
  const dots = pattern.split(".").length - 1;
  if (dots < 2 || pattern.endsWith(".")) return false;
  const rest = pattern.slice(1);
  const start = name.length - rest.length;
  return start >= 0 && !name.slice(0, start).includes(".") &&
    equalIgnoringCase(rest, name.slice(start));
}

/** ASCII letters only: other letters have no case here. */
function equalIgnoringCase(a: string, b: string): boolean {
  const upper = (text: string) => text.replace(/[a-z]/g, (letter) => letter.toUpperCase());
  return a.length === b.length && upper(a) === upper(b);
}
