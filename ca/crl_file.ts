/** The authority's CRL made anew: what it has revoked before stays revoked, its number rises. */

import { decodePem, encodePem, readTextLimited, sameBytes } from "../base/mod.ts";
import { type Certificate, parseCrl } from "../creds/mod.ts";
import type { SigningKey } from "../engine/mod.ts";
import type { Act } from "./act.ts";
import { nextCrlNumber, type RevokedEntry, signCrl } from "./crl.ts";
import { authorityKeyIdentifier } from "./extensions.ts";
import type { IssuerIdentity } from "./issuer.ts";
import { sha256 } from "./log_entry.ts";
import { isThere, type PkiPaths } from "./pki.ts";
import { CRL_LABEL, readRevoked } from "./revoked.ts";
import { issuerId, type Store, type StoredRevocation } from "./store.ts";
import { crlDates } from "./validity.ts";

/** A CRL that was made. */
export interface MadeCrl {
  /** The list itself, DER. */
  readonly der: Uint8Array;
  /** The whole file. */
  readonly pem: string;
  readonly number: bigint;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date;
  readonly entries: readonly RevokedEntry[];
  /** What the log is to have of it. */
  readonly act: Act;
}

/** What is new in a CRL. */
export interface CrlChange {
  readonly revoked?: readonly RevokedEntry[];
  /** Days until the next one is due; until the CA ends by default. */
  readonly days?: number | undefined;
  /** What it has revoked, and its last number, in case the file was lost. */
  readonly store: Store;
}

/**
 * Signs the next CRL of an authority. Lists of other issuers in the file stay in it.
 *
 * @throws {CaError} `CRL` If the one that is there cannot be read.
 */
export async function signCrlOf(
  paths: PkiPaths,
  issuer: IssuerIdentity,
  key: SigningKey,
  now: Date,
  { revoked = [], days, store }: CrlChange,
): Promise<MadeCrl> {
  const last = readRevoked(paths, issuer.subject);
  const id = issuerId(issuer.subject);
  const stored = (await store.revocations(id)).map(entryOf);
  const known = [...last.entries.values(), ...stored, ...revoked];
  // The first of each stands, as in the store, and where it stood.
  const unique = new Map<string, RevokedEntry>();
  for (const entry of known) {
    const serial = entry.serial.toHex();
    if (!unique.has(serial)) unique.set(serial, entry);
  }
  const entries = [...unique.values()];
  const number = nextCrlNumber(now, last.number, await store.crlNumber(id));
  const dates = crlDates(now, issuer, days);
  const crl = await signCrl({
    issuer: issuer.subject,
    ...dates,
    number,
    ...(issuer.keyId === undefined ? {} : { authorityKey: authorityKeyIdentifier(issuer.keyId) }),
    revoked: entries,
  }, key);
  const pem = [crl, ...othersIn(paths, issuer)].map((der) => encodePem(CRL_LABEL, der)).join("");
  return {
    der: crl,
    pem,
    number,
    ...dates,
    entries,
    act: { act: "crl", issuer: id, number, sha256: sha256(crl) },
  };
}

function entryOf({ serial, date, reason }: StoredRevocation): RevokedEntry {
  return {
    serial: Uint8Array.fromHex(serial),
    date,
    ...(reason === undefined ? {} : { reason }),
  };
}

/**
 * Puts lists together: those of a file, with newer ones of the same issuers in their place, and
 * only of issuers that are trusted.
 */
export function mergeLists(pem: string, newer: string, trust: readonly Certificate[]): string {
  const lists = new Map<string, Uint8Array>();
  for (const { label, der } of [...decodePem(pem), ...decodePem(newer)]) {
    if (label !== CRL_LABEL) continue;
    const issuer = parseCrl(der).issuer.raw;
    if (trust.some(({ subject }) => sameBytes(subject.raw, issuer))) lists.set(issuer.toHex(), der);
  }
  return [...lists.values()].map((der) => encodePem(CRL_LABEL, der)).join("");
}

function othersIn(paths: PkiPaths, issuer: IssuerIdentity): Uint8Array[] {
  if (!isThere(paths.caCrl)) return [];
  return decodePem(readTextLimited(paths.caCrl))
    .filter((block) => block.label === CRL_LABEL)
    .map((block) => block.der)
    .filter((der) => parseCrl(der).issuer.raw.toHex() !== issuer.subject.toHex());
}
