/** Certificate revocation lists. */

import type { Gnutls } from "./library.ts";
import { Arena } from "./memory.ts";
import { FORMAT_PEM } from "./certificate.ts";

/**
 * Adds the CRLs of a PEM file to x509 credentials, as `ca-crl.pem` is. Their signatures are
 * checked when a peer is.
 *
 * @returns How many were added, or a negative code.
 */
export function addCrls(lib: Gnutls, credentials: Deno.PointerObject, pem: Uint8Array): number {
  using arena = new Arena();
  return lib.call.gnutls_certificate_set_x509_crl_mem(credentials, arena.datum(pem), FORMAT_PEM);
}
