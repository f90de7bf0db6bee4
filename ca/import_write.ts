/** A take-over written: the CA's files, its hosts' directories, and what the log is to have. */

import { createFile, encodePem } from "../base/mod.ts";
import type { Act } from "./act.ts";
import type { Change } from "./change.ts";
import { signCrl } from "./crl.ts";
import { CaError } from "./error.ts";
import { authorityKeyIdentifier } from "./extensions.ts";
import { serialOf } from "./held.ts";
import type { PickedAuthority, PickedCertificate } from "./import_pick.ts";
import type { ImportPlan } from "./import_plan.ts";
import { sha256 } from "./log_entry.ts";
import { CA_CERTIFICATE_FILE, CA_CRL_FILE, CA_KEY_FILE, isThere, type PkiPaths } from "./pki.ts";
import { CRL_LABEL } from "./revoked.ts";
import { issuerId } from "./store.ts";
import { crlDates } from "./validity.ts";

/**
 * Stages a take-over.
 *
 * @throws {CaError} `CA_EXISTS`.
 */
export async function stageImport(
  paths: PkiPaths,
  change: Change,
  authority: PickedAuthority,
  issued: readonly PickedCertificate[],
  plan: ImportPlan,
  now: Date,
): Promise<void> {
  refuseExisting(paths);
  const { certificate, key, keyPem, chain } = authority;
  const { notBefore, notAfter, subjectKeyId } = certificate;
  const crl = await signCrl({
    issuer: certificate.subject.raw,
    ...crlDates(now, { notBefore, notAfter }),
    number: plan.number,
    ...(subjectKeyId === undefined
      ? {}
      : { authorityKey: authorityKeyIdentifier(subjectKeyId.id) }),
    revoked: plan.revoked,
  }, key);
  const bundle = [certificate, ...chain].map((one) => encodePem("CERTIFICATE", one.raw)).join("");
  const list = encodePem(CRL_LABEL, crl);
  const staged = change.stageAuthority("create");
  createFile(`${staged}/${CA_KEY_FILE}`, keyPem, 0o600, false);
  createFile(`${staged}/${CA_CERTIFICATE_FILE}`, bundle, 0o644, false);
  createFile(`${staged}/${CA_CRL_FILE}`, list, 0o644, false);
  for (const { host, sets } of plan.hosts) {
    const directory = change.stageHost(host);
    createFile(`${directory}/${CA_CERTIFICATE_FILE}`, bundle, 0o644, false);
    createFile(`${directory}/${CA_CRL_FILE}`, list, 0o644, false);
    for (const [role, one] of sets) {
      const pem = encodePem("CERTIFICATE", one.certificate.raw);
      createFile(`${directory}/${role}-cert.pem`, pem, 0o644, false);
      if (one.keyPem !== undefined) {
        createFile(`${directory}/${role}-key.pem`, one.keyPem, 0o600, false);
      }
    }
  }
  change.signedBy({ key, [Symbol.dispose]: () => {} });
  for (const act of actsOf(authority, issued, plan)) change.record(act);
  const issuer = issuerId(certificate.subject.raw);
  change.record({ act: "crl", issuer, number: plan.number, sha256: sha256(crl) });
}

function actsOf(
  { certificate: own, file, chain }: PickedAuthority,
  issued: readonly PickedCertificate[],
  plan: ImportPlan,
): Act[] {
  const issuer = issuerId(own.subject.raw);
  const owners = new Map(issued.map((one) => [one.serial, one.host]));
  return [
    {
      act: "import",
      issuer: issuerId(own.issuer.raw),
      serial: serialOf(own),
      certificate: own.raw,
      note: `the CA, ${file}`,
    },
    ...chain.map((one): Act => ({
      act: "import",
      issuer: issuerId(one.issuer.raw),
      serial: serialOf(one),
      certificate: one.raw,
      note: "its issuer",
    })),
    ...issued.map(({ host, serial, certificate, file }): Act => ({
      act: "import",
      host,
      issuer,
      serial,
      certificate: certificate.raw,
      note: file,
    })),
    ...plan.revoked.map(({ serial, date, reason }): Act => {
      const text = serial.toHex();
      const host = owners.get(text);
      return {
        act: "revoke",
        ...(host === undefined ? {} : { host }),
        issuer,
        serial: text,
        revoked: { date, ...(reason === undefined ? {} : { reason }) },
        note: "before the import",
      };
    }),
  ];
}

/** Another command may have made a CA while this one read. */
function refuseExisting(paths: PkiPaths): void {
  for (const file of [paths.caCertificate, paths.caKey, paths.caKeyUri, paths.caCrl]) {
    if (isThere(file)) throw new CaError("CA_EXISTS", { file });
  }
}
