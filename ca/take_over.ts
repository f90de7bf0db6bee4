/**
 * What lies in an authority's directory and its store does not know: an earlier version kept no
 * store, and files are put back by hand.
 */

import { BaseError, decodePem } from "../base/mod.ts";
import { type Certificate, parseCertificate } from "../creds/mod.ts";
import type { Act } from "./act.ts";
import { heldHosts, namesOf, readCertificate, readHeld, serialOf } from "./held.ts";
import { readAuthority } from "./issuer.ts";
import { sha256 } from "./log_entry.ts";
import { entryNames, isOwnDirectory, isThere, type PkiPaths } from "./pki.ts";
import { readRevoked } from "./revoked.ts";
import { issuerId } from "./store.ts";

/** What is known already. */
export interface Known {
  /** Whether the store has a certificate. */
  certificate(issuer: string, serial: string): boolean;
  /** Whether the store has it revoked. */
  revocation(issuer: string, serial: string): boolean;
  /** The highest CRL number of an issuer. */
  crlNumber(issuer: string): bigint;
}

/** Nothing is known. */
export const NOTHING_KNOWN: Known = {
  certificate: () => false,
  revocation: () => false,
  crlNumber: () => 0n,
};

/**
 * Says what has to be taken over: the CA's certificates, those of hosts, what its CRL revokes.
 * Files that cannot be read, and certificates of other CAs, are left out.
 *
 * @throws {CaError} `CA_CERTIFICATE`, `CRL`, `NOT_A_DIRECTORY`.
 */
export function findUnknown(paths: PkiPaths, known: Known = NOTHING_KNOWN): Act[] {
  if (!isThere(paths.caCertificate)) return [];
  const authorities = decodePem(readAuthority(paths).certificatePem)
    .map((block) => parseCertificate(block.der));
  const issuers = new Map(authorities.map((one) => [issuerId(one.subject.raw), one.subject.raw]));
  const found = new Map<string, Act>();
  const add = (certificate: Certificate, host?: string) => {
    const [issuer, serial] = [issuerId(certificate.issuer.raw), serialOf(certificate)];
    if (host !== undefined && !issuers.has(issuer)) return;
    const key = `${issuer} ${serial}`;
    if (found.has(key) || known.certificate(issuer, serial)) return;
    found.set(key, {
      act: "adopt",
      ...(host === undefined ? {} : { host }),
      issuer,
      serial,
      certificate: certificate.raw,
    });
  };
  for (const one of authorities) add(one);
  // A host's directory says best whose a certificate is.
  for (const place of ["hosts", "previous"] as const) {
    for (const host of heldHosts(paths, place)) {
      for (const { certificate } of readHeld(paths, host, place)!.certificates) {
        add(certificate, host);
      }
    }
  }
  for (const certificate of issuedFiles(paths)) add(certificate, hostOf(certificate));
  return [
    ...found.values(),
    ...[...issuers].flatMap(([id, name]) => unknownRevocations(paths, id, name, known)),
  ];
}

function unknownRevocations(
  paths: PkiPaths,
  issuer: string,
  name: Uint8Array,
  known: Known,
): Act[] {
  const { entries, number, lists } = readRevoked(paths, name);
  const acts = [...entries].filter(([serial]) => !known.revocation(issuer, serial))
    .map(([serial, { date, reason }]): Act => ({
      act: "revoke",
      issuer,
      serial,
      revoked: { date, ...(reason === undefined ? {} : { reason }) },
      note: "from the CRL",
    }));
  if (number <= known.crlNumber(issuer)) return acts;
  return [...acts, { act: "adopt", issuer, number, sha256: sha256(lists[0]!) }];
}

/**
 * Names what only a version with a store leaves: hosts that have certificates of the CA, or its
 * numbered CRL, without the `issued/` of earlier versions.
 *
 * @returns `undefined` where there is none of it.
 * @throws {CaError} As {@linkcode findUnknown}.
 */
export function traceOfStore(paths: PkiPaths): string | undefined {
  if (isOwnDirectory(paths.issued)) return undefined;
  const acts = findUnknown(paths);
  if (acts.some(({ host }) => host !== undefined)) return paths.hosts;
  return acts.some(({ number }) => number !== undefined) ? paths.caCrl : undefined;
}

/** `issued/SERIAL.pem` of earlier versions. */
function issuedFiles(paths: PkiPaths): Certificate[] {
  if (!isOwnDirectory(paths.issued)) return [];
  return entryNames(paths.issued).filter((name) => /^[0-9a-f]+\.pem$/.test(name))
    .map((name) => tryRead(`${paths.issued}/${name}`))
    .filter((certificate) => certificate !== undefined);
}

const COMMON_NAME = "2.5.4.3";

/** The host that a certificate was issued for: its CN, or where it has none its first name. */
export function hostOf(certificate: Certificate): string {
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
