/** Certificate revocation lists (RFC 5280 section 5) as plain data. */

import { BaseError, derChildren, type DerElement, readDerWhole, readTime } from "../base/mod.ts";
import { Tag } from "../base/mod.ts";
import { type Algorithm, parseAlgorithm, readBits } from "./certificate.ts";
import { type Name, parseName } from "./dn.ts";
import { type Extension, parseExtension } from "./extensions.ts";

/** A CRL; every byte array is a view on `raw`. */
export interface RevocationList {
  /** The whole list, DER. */
  readonly raw: Uint8Array;
  /** TBSCertList, the bytes that are signed. */
  readonly tbs: Uint8Array;
  readonly issuer: Name;
  readonly thisUpdate: Date;
  readonly nextUpdate?: Date;
  /** When each certificate was revoked, by its serial in hexadecimal. */
  readonly revoked: ReadonlyMap<string, Date>;
  readonly extensions: readonly Extension[];
  readonly signatureAlgorithm: Algorithm;
  readonly signature: Uint8Array;
}

/**
 * Decodes a CRL.
 *
 * @throws {BaseError} `DER` if the bytes are no CRL.
 */
export function parseCrl(der: Uint8Array): RevocationList {
  const outer = readDerWhole(der, Tag.SEQUENCE);
  const [tbs, algorithm, bits, ...rest] = derChildren(outer);
  if (tbs?.tag !== Tag.SEQUENCE || algorithm === undefined || bits === undefined || rest.length) {
    throw bad("a CRL that has not three parts");
  }
  const fields = derChildren(tbs);
  if (fields[0]?.tag === Tag.INTEGER) fields.shift();
  const [inner, issuer, thisUpdate] = fields.splice(0, 3);
  if (inner === undefined || issuer === undefined || thisUpdate === undefined) {
    throw bad("a CRL without all of its fields");
  }
  const isTime = (e?: DerElement) => e?.tag === Tag.UTC_TIME || e?.tag === Tag.GENERALIZED_TIME;
  const nextUpdate = isTime(fields[0]) ? readTime(fields.shift()!) : undefined;
  const entries = fields[0]?.tag === Tag.SEQUENCE ? derChildren(fields.shift()!) : [];
  const extensions = fields[0]?.tag === 0xa0 ? fields.shift() : undefined;
  if (fields.length > 0) throw bad("an unknown field in a CRL");
  return {
    raw: outer.raw,
    tbs: tbs.raw,
    issuer: parseName(issuer),
    thisUpdate: readTime(thisUpdate),
    ...(nextUpdate === undefined ? {} : { nextUpdate }),
    revoked: new Map(entries.map(readEntry)),
    extensions: extensions === undefined
      ? []
      : derChildren(readDerWhole(extensions.content, Tag.SEQUENCE)).map(parseExtension),
    signatureAlgorithm: parseAlgorithm(algorithm),
    signature: readBits(bits),
  };
}

/** When the certificate was revoked by a list of its issuer, if it was. */
export function revocation(list: RevocationList, serial: Uint8Array): Date | undefined {
  return list.revoked.get(serial.toHex());
}

function readEntry(element: DerElement): [string, Date] {
  const [serial, date] = element.tag === Tag.SEQUENCE ? derChildren(element) : [];
  if (serial?.tag !== Tag.INTEGER || date === undefined) throw bad("a CRL entry without serial");
  return [serial.content.toHex(), readTime(date)];
}

function bad(cause: string): BaseError {
  return new BaseError("DER", { cause });
}
