/** The certificate of a host. */

import type { KeyType } from "../engine/mod.ts";
import { randomSerial, signCertificate } from "./certificate.ts";
import type { SubjectName } from "./host_name.ts";
import type { Issuer } from "./issuer.ts";
import { encodeName, LONGEST_ATTRIBUTE, type NameAttribute } from "./name.ts";
import { leafExtensions, type Role } from "./profile.ts";
import type { Validity } from "./validity.ts";

/** What a host's certificate says beside what its issuer gives. */
export interface LeafFields extends Validity {
  readonly role: Role;
  readonly host: SubjectName;
  /** All names, the host's own included. */
  readonly names: readonly SubjectName[];
  readonly keyType: KeyType;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
}

/** A certificate of a host. */
export interface Leaf {
  /** Big-endian magnitude. */
  readonly serial: Uint8Array;
  /** The certificate, DER. */
  readonly certificate: Uint8Array;
}

/** Makes a host's certificate, signed by the authority. */
export async function signLeaf(fields: LeafFields, issuer: Issuer): Promise<Leaf> {
  const serial = randomSerial();
  const subject = hostSubject(fields.host, issuer);
  const certificate = await signCertificate({
    serial,
    issuer: issuer.subject,
    notBefore: fields.notBefore,
    notAfter: fields.notAfter,
    subject: encodeName(subject),
    publicKey: fields.publicKey,
    extensions: await leafExtensions({
      ...fields,
      issuerKeyId: issuer.keyId,
      anonymous: subject.length === 0,
    }),
  }, issuer.key);
  return { serial, certificate };
}

/** Whether the subject has room for a host's name. */
export function fitsSubject(host: SubjectName): boolean {
  return host.text.length <= LONGEST_ATTRIBUTE;
}

/**
 * `O` is the CA's name and `CN` the host's, which is what `virt-pki-validate` looks for. A name that
 * a CN has no room for stands among the alternative names alone: half of it would be another's.
 */
function hostSubject(host: SubjectName, issuer: Issuer): NameAttribute[] {
  const subject: NameAttribute[] = [];
  if (issuer.commonName !== undefined) subject.push(["O", issuer.commonName]);
  if (fitsSubject(host)) subject.push(["CN", host.text]);
  return subject;
}
