/** What a host holds: the set in its directory, read back. */

import { BaseError, decodePem, readTextLimited, VirtcredsError } from "../base/mod.ts";
import { type Certificate, parseCertificate } from "../creds/mod.ts";
import type { KeyType } from "../engine/mod.ts";
import { formatIpName, parseHostName, type SubjectName } from "./host_name.ts";
import {
  CA_CERTIFICATE_FILE,
  entryNames,
  fileNames,
  isOwnDirectory,
  isThere,
  type PkiPaths,
  pkiPaths,
} from "./pki.ts";
import { type ProfileName, type Role, ROLES } from "./profile.ts";
import { wholeDays } from "./validity.ts";

/** A certificate in a host's directory. */
export interface HeldCertificate {
  readonly role: Role;
  readonly file: string;
  readonly keyFile: string;
  readonly certificate: Certificate;
  /** In hexadecimal. */
  readonly serial: string;
}

/** A host's set as it is. */
export interface HeldSet {
  readonly host: string;
  readonly dir: string;
  readonly certificates: readonly HeldCertificate[];
  /** The text of its `ca-cert.pem`; `undefined` where that is missing. */
  readonly trust: string | undefined;
  /** What of it cannot be read, and why. */
  readonly damage: string | undefined;
}

/**
 * The hosts that have a directory, sorted; what is no host's is left out, plain files too. A
 * symbolic link is among them, so that it is refused where it would be followed.
 */
export function heldHosts(paths: PkiPaths, place: "hosts" | "previous" = "hosts"): string[] {
  if (!isOwnDirectory(paths[place])) return [];
  const files = new Set(fileNames(paths[place]));
  return entryNames(paths[place]).filter((name) => isHostName(name) && !files.has(name));
}

/**
 * Plain files that lie among the hosts' directories under a name that a host could have; they are
 * left out of everything.
 *
 * @returns Their paths, sorted.
 * @throws {CaError} `NOT_A_DIRECTORY`.
 * @throws {BaseError} `FILE_NOT_READABLE`.
 */
export function strayFiles(dir: string): string[] {
  const { hosts } = pkiPaths(dir);
  if (!isOwnDirectory(hosts)) return [];
  return fileNames(hosts).filter(isHostName).map((name) => `${hosts}/${name}`);
}

function isHostName(name: string): boolean {
  try {
    return parseHostName(name).text === name;
  } catch {
    return false;
  }
}

/** Reads a host's set; `undefined` where it has none. */
export function readHeld(
  paths: PkiPaths,
  host: string,
  place: "hosts" | "previous" = "hosts",
): HeldSet | undefined {
  const set = readSet(`${paths[place]}/${host}`);
  return set === undefined ? undefined : { host, ...set };
}

/** Reads the set in a directory; `undefined` where there is none. */
export function readSet(dir: string): Omit<HeldSet, "host"> | undefined {
  if (!isOwnDirectory(dir)) return undefined;
  const certificates: HeldCertificate[] = [];
  let trust: string | undefined;
  let damage: string | undefined;
  try {
    const file = `${dir}/${CA_CERTIFICATE_FILE}`;
    trust = isThere(file) ? readTextLimited(file) : undefined;
    for (const role of ROLES) {
      const held = readRole(dir, role);
      if (held !== undefined) certificates.push(held);
    }
    if (certificates.length === 0) damage = "it has no certificate";
  } catch (error) {
    if (!(error instanceof VirtcredsError)) throw error;
    damage = error.message;
  }
  return { dir, certificates, trust, damage };
}

function readRole(dir: string, role: Role): HeldCertificate | undefined {
  const [file, keyFile] = [`${dir}/${role}-cert.pem`, `${dir}/${role}-key.pem`];
  if (!isThere(file)) return undefined;
  const certificate = readCertificate(file);
  return { role, file, keyFile, certificate, serial: serialOf(certificate) };
}

/**
 * Reads the first certificate of a file.
 *
 * @throws {BaseError} `DER`, with the file, if there is none.
 */
export function readCertificate(file: string): Certificate {
  const block = decodePem(readTextLimited(file)).find((one) => one.label === "CERTIFICATE");
  if (block === undefined) {
    throw new BaseError("PEM", { file, cause: "it has no certificate" });
  }
  try {
    return parseCertificate(block.der);
  } catch (error) {
    if (!(error instanceof BaseError)) throw error;
    throw new BaseError("DER", { ...error.facts, file }, { cause: error });
  }
}

/** The CAs that a host trusts by its `ca-cert.pem`; what cannot be read is left out. */
export function trustOf({ trust }: Pick<HeldSet, "trust">): Certificate[] {
  const found: Certificate[] = [];
  for (const { label, der } of decodePem(trust ?? "")) {
    if (label !== "CERTIFICATE") continue;
    try {
      found.push(parseCertificate(der));
    } catch (error) {
      if (!(error instanceof BaseError)) throw error;
    }
  }
  return found;
}

/** A certificate's serial as this toolkit and others show it. */
export function serialOf(certificate: Certificate): string {
  return certificate.serial.toHex().replace(/^00(?=..)/, "");
}

/** The names that a certificate is for. */
export function namesOf(certificate: Certificate): SubjectName[] {
  const names = certificate.subjectAltName;
  return [
    ...(names?.dns ?? []).map((text) => ({ kind: "dns", text } as const)),
    ...(names?.ip ?? []).map(formatIpName),
  ];
}

const CURVES: Readonly<Record<string, KeyType>> = {
  "1.2.840.10045.3.1.7": "ec-p256",
  "1.3.132.0.34": "ec-p384",
};

/** The kind of a certificate's key; `undefined` for one that is not made here. */
export function keyTypeOf(
  { publicKey: { oid, curve, bits } }: Pick<Certificate, "publicKey">,
): KeyType | undefined {
  if (oid === "1.3.101.112") return "ed25519";
  if (curve !== undefined) return CURVES[curve];
  return bits === 2048 || bits === 3072 || bits === 4096 ? `rsa-${bits}` : undefined;
}

/** The profile that a certificate was made with; RSA keys are the same in all. */
export function profileOf(certificate: Certificate): ProfileName {
  const isEc = certificate.publicKey.bits === undefined;
  return isEc && certificate.keyUsage?.critical === true ? "strict" : "widest";
}

/** The days that a certificate was made for. */
export function daysOf({ notBefore, notAfter }: Certificate): number {
  return wholeDays(notBefore, notAfter);
}
