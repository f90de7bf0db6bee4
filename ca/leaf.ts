/** The certificate of a host. */

import type { KeyType } from "../engine/mod.ts";
import { randomSerial, signCertificate } from "./certificate.ts";
import type { SubjectName } from "./host_name.ts";
import type { Issuer } from "./issuer.ts";
import { encodeName, LONGEST_ATTRIBUTE, type NameAttribute } from "./name.ts";
import { leafExtensions, type ProfileName, type Role } from "./profile.ts";
import type { Kept } from "./request.ts";
import type { Validity } from "./validity.ts";

/** What a host's certificate says beside what its issuer gives. */
export interface LeafFields extends Validity {
  readonly role: Role;
  readonly profile: ProfileName;
  /** What its subject has before the CN; `undefined` for the CA's name as O. */
  readonly subject: readonly NameAttribute[] | undefined;
  readonly host: SubjectName;
  /** All names, the host's own included. */
  readonly names: readonly SubjectName[];
  readonly keyType: KeyType;
  /** Has the subject of a set that is renewed. */
  readonly kept?: Kept;
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
  const subject = fields.kept?.subject ?? encodeName(hostSubject(fields, issuer));
  const certificate = await signCertificate({
    serial,
    issuer: issuer.subject,
    notBefore: fields.notBefore,
    notAfter: fields.notAfter,
    subject,
    publicKey: fields.publicKey,
    extensions: leafExtensions({
      ...fields,
      issuerKeyId: issuer.keyId,
      // An empty SEQUENCE.
      anonymous: subject.length === 2,
    }),
  }, issuer.key);
  return { serial, certificate };
}

/**
 * Whether the subject can have a host's name: there must be room for it, and where the CA is
 * permitted certain DNS names alone, a CN without a DNS name beside it is held to be one.
 */
export function fitsSubject(
  { host, names }: Pick<LeafFields, "host" | "names">,
  { constraints }: Issuer,
): boolean {
  if (host.text.length > LONGEST_ATTRIBUTE) return false;
  return names.some((name) => name.kind === "dns") ||
    !constraints.permitted.some((subtree) => subtree.kind === "dns");
}

/**
 * Without a template `O` is the CA's name and `CN` the host's, which is what `virt-pki-validate` looks for. A name that
 * a CN has no room for stands among the alternative names alone: half of it would be another's.
 */
function hostSubject(fields: LeafFields, issuer: Issuer): NameAttribute[] {
  const organization: NameAttribute[] = issuer.commonName === undefined
    ? []
    : [["O", issuer.commonName]];
  const subject = [...fields.subject ?? organization];
  if (fitsSubject(fields, issuer)) subject.push(["CN", fields.host.text]);
  return subject;
}
