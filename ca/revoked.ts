/** The revoked certificates of an authority, as its published CRL has them. */

import {
  BaseError,
  decodePem,
  derChildren,
  type DerElement,
  readDerWhole,
  readOid,
  readTextLimited,
  readTime,
  Tag,
} from "../base/mod.ts";
import { parseCrl, type RevocationList } from "../creds/mod.ts";
import type { RevokedEntry } from "./crl.ts";
import { CaError } from "./error.ts";
import { isThere, type PkiPaths } from "./pki.ts";

/** Why a certificate is revoked, with its CRLReason (RFC 5280 5.3.1); the first is the default. */
export const REASONS = {
  unspecified: 0,
  keyCompromise: 1,
  cACompromise: 2,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
  certificateHold: 6,
  privilegeWithdrawn: 9,
  aACompromise: 10,
} as const;

/** One of {@linkcode REASONS}. */
export type ReasonName = keyof typeof REASONS;

/** All reasons; `removeFromCRL` is not among them, as it is for delta CRLs alone. */
export const REASON_NAMES = Object.keys(REASONS) as readonly ReasonName[];

/** What the newest CRL says. */
export interface RevokedList {
  /** By serial, in hexadecimal. */
  readonly entries: ReadonlyMap<string, RevokedEntry>;
  /** The CRL number; zero where it has none. */
  readonly number: bigint;
  readonly nextUpdate: Date | undefined;
  /** The lists that were read, DER. */
  readonly lists: readonly Uint8Array[];
}

/**
 * Reads an authority's CRL.
 *
 * @param issuer Name, DER: of lists of another issuer nothing is read.
 * @throws {CaError} `CRL` If it cannot be read.
 */
export function readRevoked(paths: PkiPaths, issuer?: Uint8Array): RevokedList {
  const entries = new Map<string, RevokedEntry>();
  let number = 0n;
  let nextUpdate: Date | undefined;
  const lists: Uint8Array[] = [];
  if (!isThere(paths.caCrl)) return { entries, number, nextUpdate, lists };
  for (const block of decodePem(readTextLimited(paths.caCrl))) {
    if (block.label !== CRL_LABEL) continue;
    try {
      const crl = parseCrl(block.der);
      if (issuer !== undefined && crl.issuer.raw.toHex() !== issuer.toHex()) continue;
      nextUpdate ??= crl.nextUpdate;
      lists.push(block.der);
      number = maximum(number, crlNumberOf(crl));
      for (const entry of revokedBy(crl)) entries.set(entry.serial.toHex(), entry);
    } catch (error) {
      if (!(error instanceof BaseError)) throw error;
      throw new CaError("CRL", {
        file: paths.caCrl,
        cause: error.facts.cause ?? error.message,
        hint: `put the CA's own CRL back as ${paths.caCrl}`,
      });
    }
  }
  return { entries, number, nextUpdate, lists };
}

/**
 * What a list revokes, with reasons.
 *
 * @throws {BaseError} `DER`.
 */
export function revokedBy(crl: RevocationList): RevokedEntry[] {
  return entriesOf(crl.tbs).map(readEntry);
}

/** The CRL number (RFC 5280 5.2.3); zero where it has none. */
export function crlNumberOf(crl: RevocationList): bigint {
  const extension = crl.extensions.find((one) => one.oid === CRL_NUMBER);
  return extension === undefined ? 0n : readNumber(extension.value);
}

/** The name of an entry's reason. */
export function reasonName(entry: RevokedEntry): ReasonName {
  return REASON_NAMES.find((name) => REASONS[name] === entry.reason) ?? "unspecified";
}

/** RFC 7468 section 6; `CRL`, which some tools write, is read by neither openssl nor GnuTLS. */
export const CRL_LABEL = "X509 CRL";

const CRL_NUMBER = "2.5.29.20";
const REASON_CODE = "2.5.29.21";

function entriesOf(tbs: Uint8Array): DerElement[] {
  const fields = derChildren(readDerWhole(tbs, Tag.SEQUENCE));
  const last = fields.findLastIndex(({ tag }) =>
    tag === Tag.UTC_TIME || tag === Tag.GENERALIZED_TIME
  );
  const list = fields[last + 1];
  return list?.tag === Tag.SEQUENCE ? derChildren(list) : [];
}

function readEntry(element: DerElement): RevokedEntry {
  const [serial, date, extensions] = derChildren(element);
  if (serial === undefined || date === undefined) {
    throw new BaseError("DER", { cause: "a CRL entry without serial" });
  }
  const start = serial.content.length > 1 && serial.content[0] === 0 ? 1 : 0;
  const reason = extensions === undefined ? undefined : readReason(extensions);
  return {
    serial: serial.content.slice(start),
    date: readTime(date),
    ...(reason === undefined ? {} : { reason }),
  };
}

function readReason(extensions: DerElement): number | undefined {
  for (const extension of derChildren(extensions)) {
    const parts = derChildren(extension);
    if (parts[0] === undefined || readOid(parts[0].content) !== REASON_CODE) continue;
    return readDerWhole(parts.at(-1)!.content).content[0];
  }
  return undefined;
}

function readNumber(value: Uint8Array): bigint {
  const digits = readDerWhole(value, Tag.INTEGER).content.toHex();
  return BigInt(`0x${digits}`);
}

function maximum(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
