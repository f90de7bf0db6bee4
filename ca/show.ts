/** A certificate that was issued, in full. */

import { type Clock, encodePem, systemClock } from "../base/mod.ts";
import type { KeyType } from "../engine/mod.ts";
import { fingerprint } from "./certificate.ts";
import { CaError } from "./error.ts";
import { keyTypeOf, namesOf, profileOf } from "./held.ts";
import { findIssued, type IssuedRecord } from "./issued.ts";
import { knownRevoked } from "./known_revoked.ts";
import { readLedger } from "./ledger.ts";
import { pkiPaths } from "./pki.ts";
import type { ProfileName } from "./profile.ts";
import { type ReasonName, reasonName } from "./revoked.ts";
import { dueAt } from "./validity.ts";

/** All that can be said of an issued certificate. */
export interface ShownCertificate {
  readonly host: string;
  /** Where it lies; `undefined` for one that the store alone has. */
  readonly file: string | undefined;
  /** The certificate. */
  readonly pem: string;
  /** In hexadecimal. */
  readonly serial: string;
  /** Fingerprint, in hexadecimal. */
  readonly sha256: string;
  /** As QEMU compares it with authorization rules. */
  readonly subject: string;
  readonly issuer: string;
  readonly dns: readonly string[];
  readonly ip: readonly string[];
  readonly keyType: KeyType | undefined;
  readonly profile: ProfileName;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** When it should be renewed. */
  readonly dueAt: Date;
  /** Whether the host holds it now. */
  readonly isHeld: boolean;
  readonly isExpired: boolean;
  readonly revoked: { readonly date: Date; readonly reason: ReasonName } | undefined;
}

/**
 * Shows what was issued for a host, newest first, or the certificate with a serial.
 *
 * @throws {CaError} `NOT_ISSUED`, `CRL`.
 */
export async function showIssued(
  target: string,
  options: { readonly dir: string; readonly clock?: Clock },
): Promise<ShownCertificate[]> {
  const now = (options.clock ?? systemClock)();
  const paths = pkiPaths(options.dir);
  await using store = await readLedger(paths);
  const records = await findIssued(paths, store, target);
  if (records.length === 0) {
    throw new CaError("NOT_ISSUED", {
      option: "show",
      value: target,
      cause: "it is neither a host that was issued for nor the serial of a certificate",
      hint: `see the hosts: deno task ca list --dir ${paths.root}`,
    });
  }
  const { entries } = await knownRevoked(paths, store);
  const shown = records.map((record: IssuedRecord): ShownCertificate => {
    const { certificate, serial, host, file } = record;
    const names = namesOf(certificate);
    const entry = entries.get(serial);
    return {
      host,
      file,
      pem: encodePem("CERTIFICATE", certificate.raw),
      serial,
      sha256: fingerprint(certificate.raw),
      subject: certificate.subject.text,
      issuer: certificate.issuer.text,
      dns: names.filter((name) => name.kind === "dns").map((name) => name.text),
      ip: names.filter((name) => name.kind === "ip").map((name) => name.text),
      keyType: keyTypeOf(certificate),
      profile: profileOf(certificate),
      notBefore: certificate.notBefore,
      notAfter: certificate.notAfter,
      dueAt: dueAt(certificate),
      isHeld: file?.startsWith(`${paths.hosts}/`) === true,
      isExpired: certificate.notAfter < now,
      revoked: entry === undefined ? undefined : { date: entry.date, reason: reasonName(entry) },
    };
  });
  return shown.sort((a, b) =>
    Number(b.isHeld) - Number(a.isHeld) || Number(b.notBefore) - Number(a.notBefore) ||
    (a.file ?? a.serial).localeCompare(b.file ?? b.serial)
  );
}
