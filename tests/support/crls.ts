/** CRLs of any shape: deltas, scopes, reasons, entries of other issuers. */

import {
  der,
  derExplicit,
  derInteger,
  derOctetString,
  derOid,
  derSequence,
  derTime,
  derUnsigned,
  Tag,
} from "../../base/mod.ts";
import { derBitString, derBoolean } from "../../base/mod.ts";
import { parseCertificate } from "../../creds/mod.ts";
import type { TestCertificate } from "./certificates.ts";

/** How a list is to be; what is left out, it does not have. */
export interface ListSpec {
  readonly entries?: readonly ListEntry[];
  /** Its number; 1 by default, `null` for none. */
  readonly number?: number | null;
  /** Makes a delta of it, to the list of that number. */
  readonly base?: number;
  /** The fields of an issuing distribution point, which is critical. */
  readonly scope?: readonly Uint8Array[];
  /** From and to, in hours from now; to `null` is no end. */
  readonly hours?: readonly [from: number, to: number | null];
  /** Who signs it, where that is not the issuer. */
  readonly signer?: TestCertificate;
  readonly extensions?: readonly Uint8Array[];
}

/** A revoked certificate. */
export interface ListEntry {
  /** Hexadecimal. */
  readonly serial: string;
  readonly reason?: number;
  /** Whose certificate it is, where the list is indirect. */
  readonly issuer?: TestCertificate;
  readonly extensions?: readonly Uint8Array[];
}

/** An Extension. */
export function extension(oid: string, critical: boolean, value: Uint8Array): Uint8Array {
  const flag = critical ? [derBoolean(true)] : [];
  return derSequence(derOid(oid), ...flag, derOctetString(value));
}

/** Makes a list; DER. The keys have to be P-256. */
export async function makeList(issuer: TestCertificate, spec: ListSpec = {}): Promise<Uint8Array> {
  const [from, to] = spec.hours ?? [-1, 24];
  const time = (hours: number) => derTime(new Date(Date.now() + hours * 3_600_000));
  const entries = (spec.entries ?? []).map(encodeEntry);
  const { number = 1, base, scope } = spec;
  const extensions = [
    ...(number === null ? [] : [extension("2.5.29.20", false, derInteger(number))]),
    ...(base === undefined ? [] : [extension("2.5.29.27", true, derInteger(base))]),
    ...(scope === undefined ? [] : [extension("2.5.29.28", true, derSequence(...scope))]),
    ...(spec.extensions ?? []),
  ];
  const algorithm = derSequence(derOid("1.2.840.10045.4.3.2"));
  const tbs = derSequence(
    derInteger(1),
    algorithm,
    nameOf(issuer),
    time(from),
    ...(to === null ? [] : [time(to)]),
    ...(entries.length === 0 ? [] : [derSequence(...entries)]),
    ...(extensions.length === 0 ? [] : [derExplicit(0, derSequence(...extensions))]),
  );
  const signature = await crypto.subtle.sign(
    { name: "ECDSA", hash: "SHA-256" },
    (spec.signer ?? issuer).keys.privateKey,
    tbs as Uint8Array<ArrayBuffer>,
  );
  const raw = new Uint8Array(signature);
  const pair = derSequence(derUnsigned(raw.subarray(0, 32)), derUnsigned(raw.subarray(32)));
  return derSequence(tbs, algorithm, derBitString(pair));
}

function encodeEntry(entry: ListEntry): Uint8Array {
  const extensions = [
    ...(entry.reason === undefined
      ? []
      : [extension("2.5.29.21", false, der(Tag.ENUMERATED, Uint8Array.of(entry.reason)))]),
    ...(entry.issuer === undefined
      ? []
      : [extension("2.5.29.29", true, derSequence(der(0xa4, nameOf(entry.issuer))))]),
    ...(entry.extensions ?? []),
  ];
  return derSequence(
    der(Tag.INTEGER, Uint8Array.fromHex(entry.serial)),
    derTime(new Date(Date.now() - 3_600_000)),
    ...(extensions.length === 0 ? [] : [derSequence(...extensions)]),
  );
}

/** The subject as the certificate has it. */
export function nameOf(certificate: TestCertificate): Uint8Array {
  return parseCertificate(certificate.der).subject.raw;
}
