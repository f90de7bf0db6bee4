/** All that is revoked: what the published CRL says, and the store where that is lost or older. */

import { readAuthority } from "./issuer.ts";
import type { PkiPaths } from "./pki.ts";
import { readRevoked, type RevokedList } from "./revoked.ts";
import { issuerId, type Store } from "./store.ts";

/**
 * Reads what an authority has revoked, under every CA of its file.
 *
 * @throws {CaError} `CA_MISSING`, `CA_CERTIFICATE`, `CRL`.
 */
export async function knownRevoked(paths: PkiPaths, store: Store): Promise<RevokedList> {
  const published = readRevoked(paths);
  const entries = new Map(published.entries);
  for (const { subject } of readAuthority(paths).certificates) {
    for (const { serial, ...status } of await store.revocations(issuerId(subject.raw))) {
      if (entries.has(serial)) continue;
      entries.set(serial, { serial: Uint8Array.fromHex(serial), ...status });
    }
  }
  return { ...published, entries };
}
