/** A new certificate for a CA that keeps its key and its name: the way back after its end. */

import { createFile, encodePem } from "../base/mod.ts";
import { fingerprint, randomSerial, serialText, signCertificate } from "./certificate.ts";
import type { Change } from "./change.ts";
import { signCrlOf } from "./crl_file.ts";
import { encodeExtension } from "./extensions.ts";
import type { Issuer } from "./issuer.ts";
import { CA_CERTIFICATE_FILE, CA_CRL_FILE, type PkiPaths } from "./pki.ts";
import { issuerId } from "./store.ts";
import { authorityValidity, LONGEST_DAYS, wholeDays } from "./validity.ts";

const AUTHORITY_KEY = "2.5.29.35";

/** A CA's new certificate. */
export interface RenewedAuthority {
  /** Path of the certificate. */
  readonly certificate: string;
  /** In hexadecimal. */
  readonly serial: string;
  /** Fingerprint, in hexadecimal. */
  readonly sha256: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/**
 * Stages a new certificate for the same key, name and extensions, valid for as many days as the
 * one before, and a CRL that is good for as long. What the key has signed stays valid.
 */
export async function stageAuthority(
  paths: PkiPaths,
  issuer: Issuer,
  change: Change,
  now: Date,
): Promise<RenewedAuthority> {
  const { certificate: old, key } = issuer;
  // A CA's certificate is back-dated by a day.
  const days = Math.min(LONGEST_DAYS, Math.max(1, wholeDays(old.notBefore, old.notAfter) - 1));
  const validity = authorityValidity(now, days);
  const serial = randomSerial();
  const certificate = await signCertificate({
    serial,
    issuer: issuer.subject,
    subject: issuer.subject,
    ...validity,
    publicKey: key.publicKey,
    extensions: old.extensions
      // May name the serial of the certificate that ends.
      .filter(({ oid }) => oid !== AUTHORITY_KEY)
      .map(({ oid, value, critical }) => encodeExtension(oid, value, critical)),
  }, key);
  // One that has expired would make QEMU before 10.2 refuse the whole file.
  const others = issuer.certificates.filter((one) => one !== old && one.notAfter >= now);
  const bundle = [certificate, ...others.map((one) => one.raw)];
  const store = await change.store();
  const { pem, act } = await signCrlOf(paths, { ...issuer, ...validity }, key, now, { store });
  const staged = change.stageAuthority("replace");
  createFile(`${staged}/${CA_CRL_FILE}`, pem, 0o644, false);
  const text = bundle.map((der) => encodePem("CERTIFICATE", der)).join("");
  createFile(`${staged}/${CA_CERTIFICATE_FILE}`, text, 0o644, false);
  const id = issuerId(issuer.subject);
  change.record({ act: "renew-ca", issuer: id, serial: serialText(serial), certificate });
  change.record(act);
  return {
    certificate: paths.caCertificate,
    serial: serialText(serial),
    sha256: fingerprint(certificate),
    ...validity,
  };
}
