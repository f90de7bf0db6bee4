/** The errors of credentials, their objects and the peers they judge. */

import { type ErrorFacts, type ErrorText, VirtcredsError } from "../base/mod.ts";

const CREDS_ERRORS = {
  OBJECT_OPTION: (f) => f.text ?? `cannot use object option '${f.option}': ${f.cause}`,
  OBJECT_TYPE: (f) => f.text ?? `invalid object type: ${f.value}`,
  NO_SUCH_OBJECT: (f) => f.text ?? `object '${f.value}' not found`,
  NO_TLS_CREDS: (f) => `No TLS credentials with id '${f.value}'`,
  NOT_TLS_CREDS: (f) => `Object with id '${f.value}' is not TLS credentials`,
  WRONG_ENDPOINT: (f) => `Expected TLS credentials for a ${f.value} endpoint`,
  NO_SECRET: (f) => f.text ?? `No secret with id '${f.value}'`,
  AUTHZ_NOT_FOUND: (f) => `Cannot find QAuthZ object ID ${f.value}`,
  NOT_AUTHZ: (f) => `Object '${f.value}' is not a QAuthZ subclass`,
  LOAD: (f) => f.text ?? `cannot load credentials from ${f.file}: ${f.cause}`,
  PEER_VERIFY: (f) => `Verify failed: ${f.cause}`,
  PEER_INVALID: (f) => f.text ?? "Invalid certificate",
  PEER_NO_CERTIFICATE: () => "No certificate peers",
  PEER_EXPIRED: () => "The certificate has expired",
  PEER_NOT_ACTIVE: () => "The certificate is not yet activated",
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
}
