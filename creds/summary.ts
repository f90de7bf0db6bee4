/** The certificates of a directory in one line each: whose, for which names, until when. */

import { FILE, type FileFinder, identityFile, openDirectory } from "./_files.ts";
import { readCertificates, readCrls } from "./_pem.ts";
import { certificateNames } from "./hostname.ts";

/** What a person wants to know of a certificate or CRL. */
export interface Summary {
  /** Its file's name, without the directory. */
  readonly name: string;
  /** Its subject, or the issuer of a CRL. */
  readonly subject: string;
  /** Host names and addresses; none for an authority. */
  readonly names: readonly string[];
  /** The end of its validity; absent for a CRL that names none. */
  readonly notAfter?: Date;
}

/** Reads what can be read; damaged and missing files are left to the verdict. */
export function summarizeDirectory(dir: string): Summary[] {
  const find = openDirectory(dir);
  const certificates = [
    identityFile("server", "cert"),
    identityFile("client", "cert"),
    FILE.caCert,
  ].flatMap((name): Summary[] => {
    const read = readText(find, name, readCertificates);
    return read.map((certificate) => ({
      name,
      subject: certificate.subject.text,
      names: certificate.basicConstraints?.ca ? [] : certificateNames(certificate),
      notAfter: certificate.notAfter,
    }));
  });
  const lists = readText(find, FILE.caCrl, readCrls).map(({ issuer, nextUpdate }): Summary => ({
    name: FILE.caCrl,
    subject: issuer.text,
    names: [],
    ...(nextUpdate === undefined ? {} : { notAfter: nextUpdate }),
  }));
  return [...certificates, ...lists];
}

function readText<T>(
  find: FileFinder,
  name: string,
  reader: (text: string) => { readonly ok: true; readonly value: T[] } | { readonly ok: false },
): T[] {
  const { state } = find(name);
  const read = state.kind === "present" ? reader(state.text) : undefined;
  return read?.ok ? read.value : [];
}
