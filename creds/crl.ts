/** Certificate revocation lists (RFC 5280 section 5) as plain data. */

import type { Name } from "./dn.ts";

/** A CRL, decoded. */
export interface RevocationList {
  readonly raw: Uint8Array;
  readonly issuer: Name;
}
