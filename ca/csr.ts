/** Certificate requests (PKCS#10, RFC 2986) as a host writes them. */

import { der, derInteger, derOid, derSequence, derSetOf } from "../base/mod.ts";
import type { SigningKey } from "../engine/mod.ts";
import { extendedKeyUsage, subjectAltName } from "./extensions.ts";
import type { SubjectName } from "./host_name.ts";
import { encodeName, LONGEST_ATTRIBUTE } from "./name.ts";
import { PURPOSE_NAME, type Role } from "./profile.ts";
import { sign } from "./signed.ts";

/** What a host asks for. */
export interface RequestFields {
  /** The host's own name, which becomes the CN where it has room for it. */
  readonly host: SubjectName;
  /** All names, the host's own included. */
  readonly names: readonly SubjectName[];
  readonly role: Role;
}

const VERSION_1 = derInteger(0);
const EXTENSION_REQUEST = derOid("1.2.840.113549.1.9.14");
/** The attributes' tag: `[0] IMPLICIT SET OF`. */
const ATTRIBUTES = 0xa0;

/** Assembles the CertificationRequestInfo that the host's key is to sign. */
export function encodeRequestInfo(fields: RequestFields, publicKey: Uint8Array): Uint8Array {
  const { host, names, role } = fields;
  const subject = encodeName(host.text.length <= LONGEST_ATTRIBUTE ? [["CN", host.text]] : []);
  const extensions = derSequence(
    extendedKeyUsage(PURPOSE_NAME[role]),
    subjectAltName(names, host.text.length > LONGEST_ATTRIBUTE),
  );
  const attribute = derSequence(EXTENSION_REQUEST, derSetOf(extensions));
  return derSequence(VERSION_1, subject, publicKey, der(ATTRIBUTES, attribute));
}

/** Makes a request, DER: its signature proves that the host has the key. */
export async function signRequest(fields: RequestFields, key: SigningKey): Promise<Uint8Array> {
  return await sign(encodeRequestInfo(fields, key.publicKey), key);
}
