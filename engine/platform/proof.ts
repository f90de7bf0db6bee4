/**
 * Whether node:tls made the peer prove that it holds the key of its certificate.
 *
 * It lets OpenSSL's leniency in by skipping that proof for certificates that its parser (webpki)
 * does not read: those of version 1 in either role, and malformed ones on a client. Anybody who
 * has seen such a certificate could pass for its owner, so what webpki may not have read is
 * refused here.
 */

import { derChildren, type DerElement, readDerWhole, readOid, Tag } from "../../base/mod.ts";

/** Longest certificate that webpki reads, in bytes: lengths of two octets. */
const LONGEST = 0xffff;

/** Extensions whose value webpki reads, and wants to be one SEQUENCE (RFC 5280 4.2.1). */
const SEQUENCES = ["2.5.29.17", "2.5.29.19", "2.5.29.30", "2.5.29.31", "2.5.29.37"];

/** Says why the certificate proves nothing, or `undefined` if it does. */
export function unprovenBecause(certificate: Uint8Array): string | undefined {
  try {
    if (certificate.length > LONGEST) return "it is too long";
    const [tbs, algorithm, signature, ...more] = children(readDerWhole(certificate));
    if (more.length > 0 || algorithm?.tag !== Tag.SEQUENCE) return "it is malformed";
    if (signature?.tag !== Tag.BIT_STRING || signature.content[0] !== 0) return "it is malformed";
    return unprovenTbs(children(tbs!));
  } catch {
    return "it is malformed";
  }
}

function unprovenTbs(fields: readonly DerElement[]): string | undefined {
  const version = fields[0];
  if (version?.tag !== 0xa0) return "it is of version 1, not 3";
  const number = readDerWhole(version.content, Tag.INTEGER).content;
  if (number.length !== 1 || number[0] !== 2) return "it is not of version 3";
  const [, serial, signature, issuer, validity, subject, spki, extensions, ...more] = fields;
  if (serial?.tag !== Tag.INTEGER || serial.content.length === 0) return "it is malformed";
  for (const element of [signature, issuer, validity, subject]) {
    if (element?.tag !== Tag.SEQUENCE) return "it is malformed";
  }
  const [keyAlgorithm, key, ...behind] = children(spki!);
  if (keyAlgorithm?.tag !== Tag.SEQUENCE || behind.length > 0) return "its key is malformed";
  if (key?.tag !== Tag.BIT_STRING || key.content[0] !== 0) return "its key is malformed";
  if (more.length > 0) return "it has unique identifiers";
  if (extensions === undefined) return undefined;
  if (extensions.tag !== 0xa3) return "it has unique identifiers";
  return children(readDerWhole(extensions.content)).every(isReadable)
    ? undefined
    : "an extension is malformed";
}

function isReadable(extension: DerElement): boolean {
  const [id, ...rest] = children(extension);
  const value = rest.at(-1);
  const critical = rest.length > 1 ? rest[0] : undefined;
  if (id?.tag !== Tag.OBJECT_IDENTIFIER || value?.tag !== Tag.OCTET_STRING) return false;
  if (rest.length > 2) return false;
  if (critical !== undefined) {
    if (critical.tag !== Tag.BOOLEAN || critical.content.length !== 1) return false;
    if (critical.content[0] !== 0xff && critical.content[0] !== 0) return false;
  }
  if (SEQUENCES.includes(readOid(id.content))) readDerWhole(value.content, Tag.SEQUENCE);
  return true;
}

function children(element: DerElement): DerElement[] {
  if (element.tag !== Tag.SEQUENCE) throw new Error("not a SEQUENCE");
  return derChildren(element);
}
