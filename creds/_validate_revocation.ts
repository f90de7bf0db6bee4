/** Whether the certificates of a path are revoked (RFC 5280 6.3). */

import {
  BaseError,
  derChildren,
  type DerElement,
  readDerWhole,
  sameBytes,
  Tag,
} from "../base/mod.ts";
import type { CertificateRules } from "./_validate_certificate.ts";
import {
  ALL_REASONS,
  type CrlReason,
  entryKey,
  generalNameKey,
  pointNames,
  type ReadList,
  readReasons,
} from "./_validate_crl.ts";
import { fault, type PathFault } from "./_validate_fault.ts";
import { nameKey } from "./_validate_names.ts";
import { weakSignature } from "./_weak.ts";
import { day, nameOf } from "./_words.ts";
import type { Certificate } from "./certificate.ts";
import { OID } from "./extensions.ts";

/** What revocation is checked with. */
export interface RevocationContext {
  readonly rules: CertificateRules;
  readonly lists: readonly ReadList[];
  /** Whether a certificate of which no list tells anything is refused. */
  readonly isRequired: boolean;
  /** Who signed a list, if it is somebody that the anchor of the path vouches for. */
  signerOf(
    list: ReadList,
    issuer: Certificate,
    anchor: Certificate,
  ): Certificate | undefined;
}

/** Checks every certificate of a path but the anchor's. */
export function checkRevocation(
  path: readonly Certificate[],
  context: RevocationContext,
): PathFault | undefined {
  if (context.lists.length === 0 && !context.isRequired) return undefined;
  const anchor = path.at(-1)!;
  for (let i = 0; i < path.length - 1; i++) {
    const broken = checkOne(path[i]!, path[i + 1]!, anchor, context);
    if (broken !== undefined) return broken;
  }
  return undefined;
}

/** One way in which the certificate says that lists are published. */
interface Point {
  /** Comparable names; none for a point that has no name. */
  readonly names: readonly string[] | undefined;
  readonly reasons: number;
  /** Who signs the list, by comparable names, where it is not the issuer. */
  readonly signers: readonly string[] | undefined;
}

function checkOne(
  certificate: Certificate,
  issuer: Certificate,
  anchor: Certificate,
  context: RevocationContext,
): PathFault | undefined {
  let points: readonly Point[];
  try {
    points = pointsOf(certificate);
  } catch (error) {
    if (!(error instanceof BaseError)) throw error;
    const words = `the CRL distribution points of ${nameOf(certificate)} cannot be decoded`;
    return fault("malformed", words, "4.2.1.13", certificate);
  }
  let covered = 0;
  let trouble: string | undefined;
  for (const point of points) {
    for (const list of context.lists) {
      if (list.base !== undefined || !isInScope(list, certificate, point)) continue;
      const reasons = list.scope.reasons & point.reasons & ~covered;
      if (reasons === 0) continue;
      const reading = readStatus(list, certificate, issuer, anchor, context);
      if ("trouble" in reading) {
        trouble ??= reading.trouble;
        continue;
      }
      if (reading.revoked !== undefined) {
        const words = `${
          nameOf(certificate)
        } was revoked (${reading.revoked}), says the list of ${list.list.issuer.text} of ${
          day(list.list.thisUpdate)
        }`;
        return fault("revoked", words, "6.3.3", certificate);
      }
      covered |= reasons;
    }
  }
  if (covered === ALL_REASONS) return undefined;
  if (!context.isRequired && (trouble === undefined || covered !== 0)) return undefined;
  const why = trouble ?? "no list that was given tells";
  const words = `whether ${nameOf(certificate)} is revoked is not known: ${why}`;
  return fault("revocation-unknown", words, "6.3.3", certificate);
}

/** The distribution points that are named, and the issuer's own list (6.3.3, last paragraph). */
function pointsOf(certificate: Certificate): Point[] {
  const extension = certificate.extensions.find(({ oid }) => oid === OID.crlDistributionPoints);
  const own: Point = { names: undefined, reasons: ALL_REASONS, signers: undefined };
  if (extension === undefined) return [own];
  const issuer = nameKey(certificate.issuer);
  const named = derChildren(readDerWhole(extension.value, Tag.SEQUENCE)).map((point): Point => {
    const field = (tag: number): DerElement | undefined =>
      derChildren(point).find((f) => f.tag === tag);
    const [name, reasons, signers] = [field(0xa0), field(0x81), field(0xa2)];
    const signerNames = signers && derChildren(signers).map(generalNameKey);
    const base = signerNames?.find((key) => key.startsWith(DIRECTORY))?.slice(DIRECTORY.length);
    return {
      names: name === undefined ? signerNames : pointNames(name, base ?? issuer),
      reasons: reasons === undefined ? ALL_REASONS : readReasons(reasons),
      signers: signerNames,
    };
  });
  return [...named, own];
}

const DIRECTORY = "directory ";

/** 6.3.3 (b): whether a list is meant for the certificate. */
function isInScope({ list, scope }: ReadList, certificate: Certificate, point: Point): boolean {
  const issuer = nameKey(list.issuer);
  const isOurs = point.signers === undefined
    ? issuer === nameKey(certificate.issuer)
    : scope.isIndirect && point.signers.includes(`${DIRECTORY}${issuer}`);
  if (!isOurs) return false;
  if (scope.points !== undefined) {
    // A certificate that names no point has its list where its issuer is.
    const wanted = point.names ?? [`${DIRECTORY}${issuer}`];
    if (!scope.points.some((name) => wanted.includes(name))) return false;
  }
  const isAuthority = certificate.basicConstraints?.ca === true;
  return !(scope.attributesOnly || (scope.usersOnly && isAuthority) ||
    (scope.authoritiesOnly && !isAuthority));
}

type Status = { readonly revoked: CrlReason | undefined } | { readonly trouble: string };

/** 6.3.3 (c) to (l): what a list, with the deltas to it, says of a certificate. */
function readStatus(
  read: ReadList,
  certificate: Certificate,
  issuer: Certificate,
  anchor: Certificate,
  context: RevocationContext,
): Status {
  const trouble = troubleOf(read, context.rules);
  if (trouble !== undefined) return { trouble: `the list of ${read.list.issuer.text}: ${trouble}` };
  const signer = context.signerOf(read, issuer, anchor);
  if (signer === undefined) {
    return { trouble: `the list of ${read.list.issuer.text} is signed by nobody who may` };
  }
  const key = entryKey(nameKey(certificate.issuer), certificate.serial);
  const delta = newestDelta(read, issuer, anchor, signer, context);
  const entry = delta?.entries.get(key) ?? read.entries.get(key);
  return { revoked: entry?.reason === "removeFromCRL" ? undefined : entry?.reason };
}

function newestDelta(
  read: ReadList,
  issuer: Certificate,
  anchor: Certificate,
  signer: Certificate,
  context: RevocationContext,
): ReadList | undefined {
  const { number, scope, list } = read;
  if (number === undefined) return undefined;
  return context.lists
    .filter((delta) =>
      delta.base !== undefined && delta.number !== undefined && delta.base <= number &&
      delta.number >= number && delta.scope.text === scope.text &&
      nameKey(delta.list.issuer) === nameKey(list.issuer) &&
      troubleOf(delta, context.rules) === undefined
    )
    .sort((a, b) => a.number! < b.number! ? 1 : -1)
    .find((delta) => {
      const other = context.signerOf(delta, issuer, anchor);
      return other !== undefined && sameBytes(other.spki, signer.spki);
    });
}

/** Why a list tells nothing, whoever signed it. */
function troubleOf(read: ReadList, rules: CertificateRules): string | undefined {
  const { list, number, unusable } = read;
  if (unusable !== undefined) return unusable;
  if (!(list.thisUpdate.getTime() <= rules.at)) {
    return `it is not valid before ${day(list.thisUpdate)}`;
  }
  if (list.nextUpdate !== undefined && list.nextUpdate.getTime() < rules.at) {
    return `its successor was due on ${day(list.nextUpdate)}`;
  }
  const weak = rules.allowWeak ? undefined : weakSignature(list);
  if (weak !== undefined) return `it is signed with ${weak}`;
  if (!rules.strict) return undefined;
  if (number === undefined) return "it has no CRL number";
  if (list.extensions.some(({ oid, critical }) => oid === OID.crlNumber && critical)) {
    return "its CRL number is critical";
  }
  return list.nextUpdate === undefined ? "it does not say when its successor is due" : undefined;
}
