/** Certificate requests (PKCS#10, RFC 2986) as plain data, decoded from hostile bytes. */

import {
  BaseError,
  derChildren,
  type DerElement,
  readDerWhole,
  readOid,
  Tag,
} from "../base/mod.ts";
import {
  type Algorithm,
  parseAlgorithm,
  parsePublicKey,
  type PublicKeyInfo,
} from "./certificate.ts";
import { readBits } from "./certificate.ts";
import { type Name, parseName } from "./dn.ts";
import { type Extensions, parseExtensions } from "./extensions.ts";

/** A request, with the extensions that it asks for; every byte array is a view on `raw`. */
export interface CertificateRequest extends Extensions {
  /** The whole request, DER. */
  readonly raw: Uint8Array;
  /** CertificationRequestInfo, the bytes that are signed. */
  readonly tbs: Uint8Array;
  readonly subject: Name;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
  readonly publicKey: PublicKeyInfo;
  /** What it has beside the extensions it asks for, dotted decimal: a challenge password, … */
  readonly attributes: readonly string[];
  readonly signatureAlgorithm: Algorithm;
  readonly signature: Uint8Array;
}

/** The labels of requests in PEM: RFC 7468 section 7, and what certtool and older tools write. */
export const REQUEST_LABELS: readonly string[] = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"];

/** The most that a request may have, in bytes: as much as libvirt reads of a certificate. */
const MAX_REQUEST = 64 * 1024;

/** PKCS#9's extensionRequest (RFC 2985 5.4.2), and the one that Microsoft's tools write. */
const EXTENSION_REQUESTS = ["1.2.840.113549.1.9.14", "1.3.6.1.4.1.311.2.1.14"];

/**
 * Decodes a request. That its signature is right is not looked at.
 *
 * @throws {BaseError} `DER` if the bytes are no request.
 */
export function parseCertificateRequest(der: Uint8Array): CertificateRequest {
  if (der.length > MAX_REQUEST) throw fault("a request of more than 64 KiB");
  const outer = readDerWhole(der, Tag.SEQUENCE);
  const [tbs, algorithm, bits, ...rest] = derChildren(outer);
  if (tbs?.tag !== Tag.SEQUENCE || algorithm === undefined || bits === undefined || rest.length) {
    throw fault("a request that has not three parts");
  }
  const [version, subject, spki, attributes, ...more] = derChildren(tbs);
  if (version?.tag !== Tag.INTEGER || subject === undefined || spki === undefined) {
    throw fault("a request without all of its fields");
  }
  if (version.content.toHex() !== "00") throw fault("a request of an unknown version");
  if (more.length > 0 || (attributes !== undefined && attributes.tag !== 0xa0)) {
    throw fault("an unknown field in a request");
  }
  const { wanted, others } = readAttributes(attributes);
  return {
    raw: outer.raw,
    tbs: tbs.raw,
    subject: parseName(subject),
    spki: spki.raw,
    publicKey: parsePublicKey(spki),
    attributes: others,
    signatureAlgorithm: parseAlgorithm(algorithm),
    signature: readBits(bits),
    ...parseExtensions(wanted),
  };
}

function readAttributes(
  element: DerElement | undefined,
): { readonly wanted: DerElement | undefined; readonly others: readonly string[] } {
  const others: string[] = [];
  let wanted: DerElement | undefined;
  for (const attribute of element === undefined ? [] : derChildren(element)) {
    const [type, values, ...rest] = attribute.tag === Tag.SEQUENCE ? derChildren(attribute) : [];
    if (type?.tag !== Tag.OBJECT_IDENTIFIER || values?.tag !== Tag.SET || rest.length > 0) {
      throw fault("an attribute that is not a type and its values");
    }
    const oid = readOid(type.content);
    if (!EXTENSION_REQUESTS.includes(oid)) others.push(oid);
    else if (wanted !== undefined) throw fault("the extensions asked for twice");
    else wanted = readDerWhole(values.content, Tag.SEQUENCE);
  }
  return { wanted, others };
}

function fault(cause: string): BaseError {
  return new BaseError("DER", { cause });
}
