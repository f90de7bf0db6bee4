/** The errors of credentials, their objects and the peers they judge. */

import { type ErrorFacts, type ErrorText, VirtcredsError } from "../base/mod.ts";

const CREDS_ERRORS = {
  OBJECT_OPTION: (f) => f.text ?? `cannot use the property '${f.option}' of an object`,
  OBJECT_TYPE: (f) => f.text ?? `invalid object type: ${f.value}`,
  OBJECT_EXISTS: (f) =>
    `attempt to add duplicate property '${f.value}' to object (type 'container')`,
  OBJECT_NOT_FOUND: (f) => `object '${f.value}' not found`,
  NO_TLS_CREDS: (f) => `No TLS credentials with id '${f.value}'`,
  NOT_TLS_CREDS: (f) => `Object with id '${f.value}' is not TLS credentials`,
  WRONG_ENDPOINT: (f) => `Expected TLS credentials for a ${f.value} endpoint`,
  SECRET: (f) => f.text ?? `cannot read the secret: ${f.cause}`,
  AUTHZ_NOT_FOUND: (f) => `Cannot find QAuthZ object ID ${f.value}`,
  NOT_AUTHZ: (f) => `Object '${f.value}' is not a QAuthZ subclass`,
  LOAD: (f) => f.text ?? `cannot load credentials from ${f.file}: ${f.cause}`,
  PEER_VERIFY: (f) => `Verify failed: ${f.cause}`,
  PEER_NOT_TRUSTED: (f) => f.text ?? "The certificate is not trusted",
  PEER_NO_CERTIFICATE: () => "No certificate peers",
  PEER_DAMAGED: (f) => `Cannot import certificate: ${f.cause}`,
  PEER_EXPIRED: () => "The certificate has expired",
  PEER_NOT_ACTIVE: () => "The certificate is not yet activated",
  PEER_NO_NAME: (f) => `Cannot get client distinguished name: ${f.cause}`,
  PEER_DENIED: (f) => `TLS x509 authz check for ${f.value} is denied`,
  PEER_HOSTNAME: (f) => `Certificate does not match the hostname ${f.value}`,
  NO_HOSTNAME: () => "No hostname for certificate validation",
} satisfies Record<string, ErrorText>;

/** The codes of `creds`. */
export type CredsErrorCode = keyof typeof CREDS_ERRORS;

/** Credentials that QEMU would not take, or a peer that it would not talk to, in its own words. */
export class CredsError extends VirtcredsError {
  override readonly name = "CredsError";

  constructor(readonly code: CredsErrorCode, facts: ErrorFacts = {}, options?: ErrorOptions) {
    super(CREDS_ERRORS, code, facts, options);
  }

  override get exitCode(): 1 | 2 {
    return this.code.startsWith("OBJECT_") ? 2 : 1;
  }
}
