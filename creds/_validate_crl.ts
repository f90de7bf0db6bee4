/** A CRL as path validation reads it: scope, numbers, and entries with their reasons. */

import {
  BaseError,
  derChildren,
  type DerElement,
  readDerWhole,
  sameBytes,
  Tag,
} from "../base/mod.ts";
import { GeneralName, nameKey } from "./_validate_names.ts";
import type { RevocationList } from "./crl.ts";
import { parseName } from "./dn.ts";
import { type Extension, OID, parseExtension } from "./extensions.ts";

/** Why a certificate was revoked (RFC 5280 5.3.1), by number. */
export const CRL_REASONS = [
  "unspecified",
  "keyCompromise",
  "cACompromise",
  "affiliationChanged",
  "superseded",
  "cessationOfOperation",
  "certificateHold",
  undefined,
  "removeFromCRL",
  "privilegeWithdrawn",
  "aACompromise",
] as const;

/** One of {@linkcode CRL_REASONS}. */
export type CrlReason = Exclude<typeof CRL_REASONS[number], undefined>;

/** All the reasons of a ReasonFlags: the bits 1 to 8. */
export const ALL_REASONS = 0x1fe;

/** What a list is about. */
export interface Scope {
  /** Names of its distribution point, comparable; none where it has no such field. */
  readonly points: readonly string[] | undefined;
  readonly usersOnly: boolean;
  readonly authoritiesOnly: boolean;
  readonly attributesOnly: boolean;
  /** Bits of ReasonFlags. */
  readonly reasons: number;
  readonly isIndirect: boolean;
  /** The extension, hexadecimal, for lists of the same scope. */
  readonly text: string;
}

/** One revoked certificate. */
export interface CrlEntry {
  readonly reason: CrlReason;
}

/** A list that was read to the end. */
export interface ReadList {
  readonly list: RevocationList;
  readonly scope: Scope;
  /** Its number; hexadecimal digits compare as numbers of the same length. */
  readonly number: bigint | undefined;
  /** The number of the list that a delta adds to. */
  readonly base: bigint | undefined;
  /** Why it tells nothing, where it does. */
  readonly unusable?: string;
  /** By issuer's name and serial, {@linkcode entryKey}. */
  readonly entries: ReadonlyMap<string, CrlEntry>;
}

/** The key of an entry: issuer by {@linkcode nameKey}, serial in hexadecimal. */
export function entryKey(issuer: string, serial: Uint8Array): string {
  return `${serial.toHex()} ${issuer}`;
}

const lists = new WeakMap<RevocationList, ReadList>();

/** Reads what {@linkcode RevocationList} leaves undecoded. */
export function readList(list: RevocationList): ReadList {
  let read = lists.get(list);
  if (read === undefined) lists.set(list, read = decodeList(list));
  return read;
}

const EVERYTHING: Scope = {
  points: undefined,
  usersOnly: false,
  authoritiesOnly: false,
  attributesOnly: false,
  reasons: ALL_REASONS,
  isIndirect: false,
  text: "",
};

function decodeList(list: RevocationList): ReadList {
  const unusable = (why: string): ReadList => ({
    list,
    scope: EVERYTHING,
    number: undefined,
    base: undefined,
    unusable: why,
    entries: new Map(),
  });
  try {
    const of = (oid: string) => list.extensions.find((e) => e.oid === oid);
    if (new Set(list.extensions.map(({ oid }) => oid)).size !== list.extensions.length) {
      return unusable("it has the same extension twice");
    }
    const unknown = list.extensions.find((e) => e.critical && !PROCESSED.includes(e.oid));
    if (unknown) {
      return unusable(`it has a critical extension that is not processed (${unknown.oid})`);
    }
    const scope = readScope(of(OID.issuingDistributionPoint), list);
    const entries = readEntries(list, scope.isIndirect);
    if (typeof entries === "string") return unusable(entries);
    return {
      list,
      scope,
      number: readNumber(of(OID.crlNumber)),
      base: readNumber(of(OID.deltaCrlIndicator)),
      entries,
    };
  } catch (error) {
    if (!(error instanceof BaseError)) throw error;
    return unusable("it has something that cannot be decoded");
  }
}

const PROCESSED: readonly string[] = [
  OID.issuingDistributionPoint,
  OID.deltaCrlIndicator,
  OID.crlNumber,
  OID.authorityKeyIdentifier,
];

function readNumber(extension: Extension | undefined): bigint | undefined {
  if (extension === undefined) return undefined;
  const { content } = readDerWhole(extension.value, Tag.INTEGER);
  if (content.length === 0 || content[0]! >= 0x80 || content.length > 21) throw bad("a CRL number");
  return BigInt(`0x${content.toHex()}`);
}

function readScope(extension: Extension | undefined, list: RevocationList): Scope {
  if (extension === undefined) return EVERYTHING;
  const fields = derChildren(readDerWhole(extension.value, Tag.SEQUENCE));
  const is = (tag: number) => fields.some((f) => f.tag === tag && f.content[0] !== 0);
  const point = fields.find(({ tag }) => tag === 0xa0);
  const reasons = fields.find(({ tag }) => tag === 0x83);
  return {
    points: point && pointNames(point, nameKey(list.issuer)),
    usersOnly: is(0x81),
    authoritiesOnly: is(0x82),
    reasons: reasons === undefined ? ALL_REASONS : readReasons(reasons),
    isIndirect: is(0x84),
    attributesOnly: is(0x85),
    text: extension.value.toHex(),
  };
}

/** Bit 0 is unused; bit n stands for reason n. */
export function readReasons({ content }: DerElement): number {
  let bits = 0;
  for (let n = 1; n <= 8; n++) {
    if (((content[1 + (n >> 3)] ?? 0) & (0x80 >> (n & 7))) !== 0) bits |= 1 << n;
  }
  return bits;
}

/**
 * The names of a DistributionPointName; a name relative to the issuer is made whole.
 *
 * @param issuer Key of the issuer's name.
 */
export function pointNames(element: DerElement, issuer: string): string[] {
  const [choice] = derChildren(element);
  if (choice?.tag === 0xa0) return derChildren(choice).map(generalNameKey);
  if (choice?.tag !== 0xa1) throw bad("a distribution point");
  const rdn = { ...choice, tag: Tag.SET, raw: choice.raw.with(0, Tag.SET) };
  const relative = parseName({
    tag: Tag.SEQUENCE,
    raw: rdn.raw,
    content: rdn.raw,
  });
  return [`directory ${issuer === "" ? "" : `${issuer}\x01`}${nameKey(relative)}`];
}

/** A GeneralName in comparable form. */
export function generalNameKey(name: DerElement): string {
  if (name.tag !== GeneralName.directory) return name.raw.toHex();
  return `directory ${nameKey(parseName(readDerWhole(name.content)))}`;
}

/** All entries, or why the list must not be used. */
function readEntries(list: RevocationList, isIndirect: boolean): Map<string, CrlEntry> | string {
  const entries = new Map<string, CrlEntry>();
  const fields = derChildren(readDerWhole(list.tbs, Tag.SEQUENCE));
  if (fields[0]?.tag === Tag.INTEGER) fields.shift();
  const [inner, , , ...rest] = fields;
  if (inner === undefined || !sameBytes(inner.raw, list.signatureAlgorithm.raw)) {
    return "its signature algorithms inside and outside differ";
  }
  // What follows the times, and is no field of extensions.
  const revoked = rest.find(({ tag }) => tag === Tag.SEQUENCE);
  if (revoked === undefined) return entries;
  // Long lists have few kinds of extensions, mostly one for each reason.
  const known = new Map<string, EntryExtensions>();
  let issuer = nameKey(list.issuer);
  for (const element of derChildren(revoked)) {
    const [serial, , sequence] = derChildren(element);
    let read = NO_EXTENSIONS;
    if (sequence !== undefined) {
      const text = sequence.raw.toHex();
      read = known.get(text) ?? readEntryExtensions(sequence);
      known.set(text, read);
    }
    if (read.unusable !== undefined) return read.unusable;
    if (read.issuer !== undefined) {
      if (!isIndirect) return "it has entries of other issuers and is not indirect";
      issuer = read.issuer;
    }
    entries.set(entryKey(issuer, serial!.content), read.entry);
  }
  return entries;
}

interface EntryExtensions {
  readonly entry: CrlEntry;
  /** Key of the issuer's name, from this entry on. */
  readonly issuer?: string;
  /** Why the list must not be used. */
  readonly unusable?: string;
}

const NO_EXTENSIONS: EntryExtensions = { entry: { reason: "unspecified" } };

function readEntryExtensions(sequence: DerElement): EntryExtensions {
  let read = NO_EXTENSIONS;
  for (const { oid, critical, value } of derChildren(sequence).map(parseExtension)) {
    if (oid === OID.reasonCode) read = { ...read, entry: { reason: readReason(value) } };
    else if (oid === OID.certificateIssuer) {
      const names = derChildren(readDerWhole(value, Tag.SEQUENCE));
      const name = names.find(({ tag }) => tag === GeneralName.directory);
      if (name === undefined) {
        return { ...read, unusable: "it has an entry of an issuer without a name" };
      }
      read = { ...read, issuer: nameKey(parseName(readDerWhole(name.content))) };
    } else if (critical) {
      const unusable = `an entry has a critical extension that is not processed (${oid})`;
      return { ...read, unusable };
    }
  }
  return read;
}

function readReason(value: Uint8Array): CrlReason {
  const { content } = readDerWhole(value, Tag.ENUMERATED);
  const reason = content.length === 1 ? CRL_REASONS[content[0]!] : undefined;
  if (reason === undefined) throw bad("a reason");
  return reason;
}

function bad(what: string): BaseError {
  return new BaseError("DER", { cause: `${what} that cannot be read` });
}
