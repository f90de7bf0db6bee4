/**
 * Which extensions a certificate gets, so that every line of QEMU and libvirt takes it.
 *
 * The key usage of a leaf is where they disagree: older ones refuse a critical one without
 * keyEncipherment, RFC 8813 forbids that bit on an EC key, and all of them let pass what is not
 * critical. An RSA key may have both bits, so there it stays critical, as RFC 5280 4.2.1.3 wants.
 * A purpose that is not critical is one that libvirt's inverted test of anyExtendedKeyUsage cannot
 * trip over.
 */

import type { KeyType } from "../engine/mod.ts";
import { encodePermitted, type Subtree } from "./constraints.ts";
import {
  authorityKeyIdentifier,
  basicConstraints,
  extendedKeyUsage,
  keyIdentifier,
  keyUsage,
  nameConstraints,
  subjectAltName,
  subjectKeyIdentifier,
} from "./extensions.ts";
import type { SubjectName } from "./host_name.ts";

/**
 * How a host's certificate is made: `widest` for every line of QEMU and libvirt, `strict` with the
 * key usage critical whatever the key, which QEMU before 7.2.22 and 10.1.3 refuses on EC keys.
 */
export type ProfileName = "widest" | "strict";

/** All profiles, the one that is taken unless said otherwise first. */
export const PROFILE_NAMES: readonly ProfileName[] = ["widest", "strict"];

/** What a host's certificate is for: the endpoint that QEMU loads it as. */
export type Role = "server" | "client";

/** All roles, in the order they are issued. */
export const ROLES: readonly Role[] = ["server", "client"];

const CA_CONSTRAINTS = basicConstraints(true);
/** Of a CA that issues for hosts, not for CAs. */
const ISSUING_CONSTRAINTS = basicConstraints(true, 0);
const CA_USAGE = keyUsage(["keyCertSign", "cRLSign"], true);
const LEAF_CONSTRAINTS = basicConstraints(false);
const SIGNING_USAGE = keyUsage(["digitalSignature"], false);
const STRICT_SIGNING_USAGE = keyUsage(["digitalSignature"], true);
const RSA_USAGE = keyUsage(["digitalSignature", "keyEncipherment"], true);
/** The purpose of each role in an extendedKeyUsage. */
export const PURPOSE_NAME = { server: "serverAuth", client: "clientAuth" } as const;
const PURPOSE: Readonly<Record<Role, Uint8Array>> = {
  server: extendedKeyUsage(PURPOSE_NAME.server),
  client: extendedKeyUsage(PURPOSE_NAME.client),
};

/**
 * The extensions of a CA certificate that may vouch for all names or a few.
 *
 * @param root What signs it, where that is another CA.
 */
export function authorityExtensions(
  publicKey: Uint8Array,
  permitted: readonly Subtree[] = [],
  root?: { readonly keyId: Uint8Array | undefined },
): Uint8Array[] {
  return [
    root === undefined ? CA_CONSTRAINTS : ISSUING_CONSTRAINTS,
    CA_USAGE,
    subjectKeyIdentifier(keyIdentifier(publicKey)),
    ...(permitted.length === 0 ? [] : [nameConstraints(encodePermitted(permitted))]),
    ...(root?.keyId === undefined ? [] : [authorityKeyIdentifier(root.keyId)]),
  ];
}

/** What the extensions of a host's certificate depend on. */
export interface LeafProfile {
  readonly profile: ProfileName;
  readonly role: Role;
  readonly keyType: KeyType;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  readonly names: readonly SubjectName[];
  /** The issuer's key identifier, if it has one. */
  readonly issuerKeyId: Uint8Array | undefined;
  /** Whether the subject is empty, so that the names stand alone. */
  readonly anonymous: boolean;
}

/** The extensions of a host's certificate. */
export function leafExtensions(profile: LeafProfile): Uint8Array[] {
  const { profile: kind, role, keyType, publicKey, names, issuerKeyId, anonymous } = profile;
  return [
    LEAF_CONSTRAINTS,
    keyType.startsWith("rsa-")
      ? RSA_USAGE
      : kind === "strict"
      ? STRICT_SIGNING_USAGE
      : SIGNING_USAGE,
    PURPOSE[role],
    subjectAltName(names, anonymous),
    subjectKeyIdentifier(keyIdentifier(publicKey)),
    ...(issuerKeyId === undefined ? [] : [issuerIdentifier(issuerKeyId)]),
  ];
}

const identifiers = new WeakMap<Uint8Array, Uint8Array>();

/** The same for all that an issuer signs. */
function issuerIdentifier(keyId: Uint8Array): Uint8Array {
  let known = identifiers.get(keyId);
  if (known === undefined) identifiers.set(keyId, known = authorityKeyIdentifier(keyId));
  return known;
}
