/**
 * PEM as GnuTLS reads it, which differs from RFC 7468: labels are compared by their beginning, the
 * first end line that follows ends a block, and each mistake has its own words.
 */

import { BaseError } from "../base/mod.ts";
import { CERTIFICATE_FAULTS } from "./_faults.ts";
import { type Certificate, parseCertificate } from "./certificate.ts";
import { parseCrl, type RevocationList } from "./crl.ts";

/** What reading gave, or GnuTLS's words of why not. */
export type Read<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: string };

const UNEXPECTED_HEADER = "Base64 unexpected header error.";
/** GnuTLS's words for a damaged block, or none where there must be one. */
export const BAD_BASE64 = "Base64 decoding error.";
/** GnuTLS's words for a text without any certificate. */
export const NO_CERTIFICATE = "No certificate was found.";
const BAD_DER = "ASN1 parser: Error in DER parsing.";

const fail = (reason: string): { readonly ok: false; readonly reason: string } => ({
  ok: false,
  reason,
});

/** Text of a file in which each character is one octet of it. */
export function latin1(bytes: Uint8Array): string {
  return new TextDecoder("latin1").decode(bytes);
}

/** QEMU's own checks read a file as a C string: nothing behind a NUL. */
export function cString(text: string): string {
  const end = text.indexOf("\0");
  return end < 0 ? text : text.slice(0, end);
}

/** Reads the first certificate of a text, as the check of QEMU's own certificate does. */
export function readCertificate(text: string): Read<Certificate> {
  const plain = readBlock(text, "CERTIFICATE");
  const block = plain.ok ? plain : readBlock(text, "X509 CERTIFICATE");
  return block.ok ? decode(block.value, parseCertificate) : block;
}

/** Reads all certificates of a text, at most `limit`; one that is damaged spoils the list. */
export function readCertificates(text: string, limit = Infinity): Read<Certificate[]> {
  const certificates: Certificate[] = [];
  let at = nextBlock(text, 0, CERTIFICATE_LABELS);
  if (at < 0) return fail(NO_CERTIFICATE);
  for (; at >= 0 && certificates.length < limit; at = nextBlock(text, at + 1, CERTIFICATE_LABELS)) {
    const read = readCertificate(text.slice(at));
    if (!read.ok) return read;
    certificates.push(read.value);
  }
  return { ok: true, value: certificates };
}

/** Reads all CRLs of a text. */
export function readCrls(text: string): Read<RevocationList[]> {
  const crls: RevocationList[] = [];
  let at = nextBlock(text, 0, ["X509 CRL"]);
  if (at < 0) return fail(BAD_BASE64);
  for (; at >= 0; at = nextBlock(text, at + 1, ["X509 CRL"])) {
    const block = readBlock(text.slice(at), "X509 CRL");
    if (!block.ok) return block;
    const read = decode(block.value, parseCrl);
    if (!read.ok) return read;
    crls.push(read.value);
  }
  return { ok: true, value: crls };
}

/** Reads the first block whose label begins with the given one. */
export function readBlock(text: string, label: string): Read<Uint8Array> {
  const begin = text.indexOf(`-----BEGIN ${label}`);
  if (begin < 0) return fail(UNEXPECTED_HEADER);
  const dashes = text.indexOf("-----", begin + 1);
  if (dashes < 0) return fail(BAD_BASE64);
  const end = text.indexOf("-----END ", dashes + 5);
  if (end < 0 || end - dashes - 5 < 4) return fail(BAD_BASE64);
  const bytes = decodeBase64(text.slice(dashes + 5, end));
  return bytes === undefined ? fail(BAD_BASE64) : { ok: true, value: bytes };
}

const CERTIFICATE_LABELS = ["CERTIFICATE", "X509 CERTIFICATE"];

/** The labels are tried in turn: the first that occurs anywhere wins. */
function nextBlock(text: string, from: number, labels: readonly string[]): number {
  for (const label of labels) {
    const at = text.indexOf(`-----BEGIN ${label}`, from);
    if (at >= 0) return at;
  }
  return -1;
}

/** Stops at the first dash; white space is nothing; padding must be right. */
function decodeBase64(body: string): Uint8Array | undefined {
  const data = body.replace(/-.*$/s, "").replace(/[\t-\r ]+/g, "");
  if (data === "") return undefined;
  try {
    return Uint8Array.fromBase64(data, { lastChunkHandling: "strict" });
  } catch {
    return undefined;
  }
}

const REASONS: Readonly<Record<string, string>> = {
  [CERTIFICATE_FAULTS.algorithms]: "Error in the certificate.",
  [CERTIFICATE_FAULTS.duplicate]: "Duplicate extension in X.509 certificate.",
  [CERTIFICATE_FAULTS.time]: "The DER time encoding is invalid.",
  [CERTIFICATE_FAULTS.unexpected]: "Error in the certificate.",
};

function decode<T>(bytes: Uint8Array, parse: (der: Uint8Array) => T): Read<T> {
  try {
    return { ok: true, value: parse(bytes) };
  } catch (error) {
    if (!(error instanceof BaseError)) throw error;
    return fail(REASONS[error.facts.cause ?? ""] ?? BAD_DER);
  }
}
