/** What has to be issued so that hosts hold what is asked for them. */

import { type Clock, readDerWhole, systemClock, Tag } from "../base/mod.ts";
import { daysOf, type HeldSet, keyTypeOf, namesOf, profileOf, readHeld } from "./held.ts";
import { type Authority, readAuthority } from "./issuer.ts";
import { encodeName } from "./name.ts";
import { isThere, pkiPaths, REQUEST_FILE } from "./pki.ts";
import { ROLES } from "./profile.ts";
import type { HostRequest } from "./request.ts";
import { readRevoked, type RevokedList } from "./revoked.ts";
import { hostValidity } from "./validity.ts";

/** What is to be done for a host. */
export interface PlanItem {
  readonly host: string;
  readonly request: HostRequest;
  /**
   * `refuse` is for a revoked host, which only an issue by name takes back, and for one that keeps
   * its keys to itself and has to ask.
   */
  readonly action: "issue" | "keep" | "refuse";
  /** Why; empty for `keep`. */
  readonly reasons: readonly string[];
}

/**
 * Compares what hosts hold with what is asked for them. Nothing is changed, and no key is needed.
 *
 * @throws {CaError} `CA_MISSING`, `CA_CERTIFICATE`, `CRL`.
 */
export function planIssue(
  requests: readonly HostRequest[],
  options: { readonly dir: string; readonly clock?: Clock },
): PlanItem[] {
  const paths = pkiPaths(options.dir);
  const now = (options.clock ?? systemClock)();
  const authority = readAuthority(paths, now);
  const revoked = readRevoked(paths);
  return requests.map((request) => {
    const host = request.host.text;
    const held = readHeld(paths, host);
    if (held !== undefined && isRevoked(held, revoked)) {
      return { host, request, action: "refuse", reasons: ["it is revoked"] };
    }
    const reasons = held === undefined ? ["new"] : differences(request, held, authority, now);
    if (reasons.length === 0) return { host, request, action: "keep", reasons };
    if (held !== undefined && isThere(`${held.dir}/${REQUEST_FILE}`)) {
      return { host, request, action: "refuse", reasons: [KEYS_ON_HOST, ...reasons] };
    }
    return { host, request, action: "issue", reasons };
  });
}

const KEYS_ON_HOST = "its keys are on the host, which has to ask with ca request";

/** Whether a certificate that a host holds is revoked. */
export function isRevoked(held: HeldSet, revoked: RevokedList): boolean {
  return held.certificates.some((one) => revoked.entries.has(one.serial));
}

function differences(
  request: HostRequest,
  held: HeldSet,
  authority: Authority,
  now: Date,
): string[] {
  if (held.damage !== undefined) return [held.damage];
  const reasons = new Set<string>();
  const roles = held.certificates.map((one) => one.role);
  if (roles.join() !== ROLES.filter((role) => request.roles.includes(role)).join()) {
    reasons.add(`for ${request.roles.join(" and ")}, has ${roles.join(" and ")}`);
  }
  if (held.trust !== authority.certificatePem) reasons.add("the CA's certificate is another one");
  for (const { certificate } of held.certificates) {
    for (const change of nameChanges(request, namesOf(certificate))) reasons.add(change);
    if (keyTypeOf(certificate) !== request.keyType) reasons.add(`key is to be ${request.keyType}`);
    const isEc = !request.keyType.startsWith("rsa-");
    if (isEc && profileOf(certificate) !== request.profile) {
      reasons.add(`profile is to be ${request.profile}`);
    }
    if (certificate.issuer.raw.toHex() !== authority.subject.toHex()) reasons.add("of another CA");
    if (certificate.notAfter < now) reasons.add("expired");
    const made = hostValidity(certificate.notBefore, request.days, authority);
    const isCut = made.cut && certificate.notAfter.getTime() === authority.notAfter.getTime();
    if (!isCut && daysOf(certificate) !== request.days) {
      reasons.add(`for ${request.days} days, has ${daysOf(certificate)}`);
    }
    if (request.subject !== undefined && !startsWith(certificate.subject.raw, request.subject)) {
      reasons.add("another subject");
    }
  }
  return [...reasons];
}

function nameChanges(request: HostRequest, held: HostRequest["names"]): string[] {
  const texts = (names: HostRequest["names"]) => names.map((name) => name.text);
  const [wanted, has] = [texts(request.names), texts(held)];
  return [
    ...wanted.filter((name) => !has.includes(name)).map((name) => `+${name}`),
    ...has.filter((name) => !wanted.includes(name)).map((name) => `-${name}`),
  ];
}

/** Whether a Name begins with these attributes. */
function startsWith(name: Uint8Array, attributes: NonNullable<HostRequest["subject"]>): boolean {
  const content = (der: Uint8Array) => readDerWhole(der, Tag.SEQUENCE).content.toHex();
  return content(name).startsWith(content(encodeName(attributes)));
}
