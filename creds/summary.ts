/** The certificates of a directory in one line each: whose, for which names, until when. */

import { FILE, type FileFinder, identityFile, openDirectory, openPaths } from "./_files.ts";
import { readCertificates, readCrls } from "./_pem.ts";
import { certificateNames } from "./hostname.ts";
import type { CredentialFileName } from "./layout.ts";
import type { PlacedLayout } from "./layout_place.ts";

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
export function summarizeDirectory(dir: string, placed?: PlacedLayout): Summary[] {
  const find = placed === undefined ? openDirectory(dir) : openPaths(dir, placed.paths);
  const certificates = [
    identityFile("server", "cert"),
    identityFile("client", "cert"),
    FILE.caCert,
  ].flatMap((name): Summary[] => {
    const read = readText(find, name, readCertificates);
    return read.map((certificate) => ({
      name: shownName(name, placed),
      subject: certificate.subject.text,
      names: certificate.basicConstraints?.ca ? [] : certificateNames(certificate),
      notAfter: certificate.notAfter,
    }));
  });
  const lists = readText(find, FILE.caCrl, readCrls).map(({ issuer, nextUpdate }): Summary => ({
    name: shownName(FILE.caCrl, placed),
    subject: issuer.text,
    names: [],
    ...(nextUpdate === undefined ? {} : { notAfter: nextUpdate }),
  }));
  return [...certificates, ...lists];
}

/** Its own name, where it lies under another. */
function shownName(name: string, placed: PlacedLayout | undefined): string {
  return placed?.paths[name as CredentialFileName]?.replace(/^.*\//, "") ?? name;
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
