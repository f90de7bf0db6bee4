/** X.509 certificates (RFC 5280) as plain data. */

import { BaseError } from "../base/mod.ts";
import type { Name } from "./dn.ts";

/** A certificate, decoded; every byte array is a view on `raw`. */
export interface Certificate {
  /** The whole certificate, DER. */
  readonly raw: Uint8Array;
  /** TBSCertificate, the bytes that are signed. */
  readonly tbs: Uint8Array;
  readonly version: 1 | 2 | 3;
  /** Contents of the serial's INTEGER. */
  readonly serial: Uint8Array;
  readonly issuer: Name;
  readonly subject: Name;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
}

/** Decodes a certificate. */
export function parseCertificate(_der: Uint8Array): Certificate {
  throw new BaseError("DER", { cause: "not yet" });
}
