/** A new certificate for a CA that keeps its key and its name: the way back after its end. */

import { createFile, sameBytes } from "../base/mod.ts";
import { type Certificate, isIssuedBy, parseCertificate } from "../creds/mod.ts";
import { fingerprint, randomSerial, serialText, signCertificate } from "./certificate.ts";
import type { Change } from "./change.ts";
import { mergeLists, signCrlOf } from "./crl_file.ts";
import { authorityKeyIdentifier, encodeExtension } from "./extensions.ts";
import { bundlePem, type Issuer } from "./issuer.ts";
import { authorityDays } from "./life.ts";
import { type Signer, within } from "./next_authority.ts";
import { CA_CERTIFICATE_FILE, CA_CRL_FILE, type PkiPaths } from "./pki.ts";
import { adoptAbove, type RootContext, withRoot } from "./root.ts";
import { issuerId } from "./store.ts";
import { authorityValidity, type Validity } from "./validity.ts";

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
 *
 * @throws {CaError} `ROOT` If the certificate of an issuing CA is to be made without its root.
 */
export async function stageAuthority(
  paths: PkiPaths,
  issuer: Issuer,
  change: Change,
  now: Date,
  context: RootContext,
): Promise<RenewedAuthority> {
  const { certificate: old, key } = issuer;
  const days = authorityDays(old, issuer.certificates);
  const { serial, certificate, validity, above } = isIssuedBy(old, old)
    ? await signAgain(old, days, now, { ...issuer, keyId: undefined }, undefined)
    : await withRoot(context, old, async (root, record) => {
      const signed = await signAgain(old, days, now, root, root);
      record(signed.serial, signed.certificate);
      return { ...signed, above: root };
    });
  // One that has expired would make QEMU before 10.2 refuse the whole file.
  const others = issuer.certificates.filter((one) =>
    one !== old && one.notAfter >= now && !above?.certificates.some((root) => isSameName(one, root))
  );
  const bundle = [parseCertificate(certificate), ...others, ...above?.certificates ?? []];
  const store = await change.store();
  const { pem, act } = await signCrlOf(paths, { ...issuer, ...validity }, key, now, { store });
  const lists = mergeLists(pem, above?.crlPem ?? "", bundle);
  const staged = change.stageAuthority("replace");
  createFile(`${staged}/${CA_CRL_FILE}`, lists, 0o644, false);
  createFile(`${staged}/${CA_CERTIFICATE_FILE}`, bundlePem(bundle), 0o644, false);
  const id = issuerId(bundle[0]!.issuer.raw);
  change.record({ act: "renew-ca", issuer: id, serial: serialText(serial), certificate });
  change.record(act);
  if (above !== undefined) await adoptAbove(change, above.certificates, above.crlPem);
  return {
    certificate: paths.caCertificate,
    serial: serialText(serial),
    sha256: fingerprint(certificate),
    ...validity,
  };
}

async function signAgain(
  old: Certificate,
  days: number,
  now: Date,
  signer: Signer,
  root: Validity | undefined,
): Promise<{
  readonly serial: Uint8Array;
  readonly certificate: Uint8Array;
  readonly validity: Validity;
  readonly above?: Issuer;
}> {
  const validity = within(authorityValidity(now, days), root);
  const serial = randomSerial();
  const certificate = await signCertificate({
    serial,
    issuer: signer.subject,
    subject: old.subject.raw,
    ...validity,
    publicKey: old.spki,
    extensions: [
      ...old.extensions
        // May name the serial of a certificate that ends.
        .filter(({ oid }) => oid !== AUTHORITY_KEY)
        .map(({ oid, value, critical }) => encodeExtension(oid, value, critical)),
      ...(signer.keyId === undefined ? [] : [authorityKeyIdentifier(signer.keyId)]),
    ],
  }, signer.key);
  return { serial, certificate, validity };
}

function isSameName(a: Certificate, b: Certificate): boolean {
  return sameBytes(a.subject.raw, b.subject.raw);
}
