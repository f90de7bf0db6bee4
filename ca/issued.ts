/**
 * Every certificate that an authority has issued and still knows of: a file for each in `issued/`,
 * and what hosts hold, which may be older than those files.
 */

import { BaseError } from "../base/mod.ts";
import type { Certificate } from "../creds/mod.ts";
import { heldHosts, namesOf, readCertificate, readHeld, serialOf } from "./held.ts";
import { parseHostName } from "./host_name.ts";
import { entryNames, isOwnDirectory, type PkiPaths } from "./pki.ts";

/** A certificate that was issued. */
export interface IssuedRecord {
  /** In hexadecimal. */
  readonly serial: string;
  /** The host that it was issued for. */
  readonly host: string;
  readonly file: string;
  readonly certificate: Certificate;
}

/**
 * Reads all issued certificates, by serial. A file that cannot be read is left out: what a host
 * holds is judged where it lies.
 */
export function readIssued(paths: PkiPaths): Map<string, IssuedRecord> {
  const records = new Map<string, IssuedRecord>();
  if (isOwnDirectory(paths.issued)) {
    for (const name of entryNames(paths.issued)) {
      if (!/^[0-9a-f]+\.pem$/.test(name)) continue;
      const file = `${paths.issued}/${name}`;
      const certificate = tryRead(file);
      if (certificate === undefined) continue;
      const serial = serialOf(certificate);
      records.set(serial, { serial, host: hostOf(certificate), file, certificate });
    }
  }
  for (const place of ["previous", "hosts"] as const) {
    for (const host of heldHosts(paths, place)) {
      for (const { serial, file, certificate } of readHeld(paths, host, place)!.certificates) {
        records.set(serial, { serial, host, file, certificate });
      }
    }
  }
  return records;
}

/** What was issued for a host, else the one certificate with a serial. */
export function findIssued(
  target: string,
  issued: ReadonlyMap<string, IssuedRecord>,
): IssuedRecord[] {
  const host = hostName(target);
  const all = [...issued.values()].filter((record) => record.host === host);
  if (all.length > 0) return all;
  const serial = serialText(target);
  return [...issued.values()].filter((record) => record.serial === serial);
}

/** A serial as the records have it, however it was written. */
export function serialText(text: string): string {
  const digits = text.replaceAll(":", "").toLowerCase().replace(/^0+(?=.)/, "");
  return digits.padStart(digits.length + digits.length % 2, "0");
}

function hostName(text: string): string | undefined {
  try {
    return parseHostName(text).text;
  } catch {
    return undefined;
  }
}

const COMMON_NAME = "2.5.4.3";

/** The host that a certificate was issued for: its CN, or where it has none its first name. */
function hostOf(certificate: Certificate): string {
  const name = certificate.subject.rdns.flat().find((one) => one.oid === COMMON_NAME);
  return name === undefined
    ? namesOf(certificate)[0]?.text ?? ""
    : new TextDecoder().decode(name.value);
}

function tryRead(file: string): Certificate | undefined {
  try {
    return readCertificate(file);
  } catch (error) {
    if (error instanceof BaseError) return undefined;
    throw error;
  }
}
