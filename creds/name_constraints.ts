/**
 * Name constraints (RFC 5280 4.2.1.10) as far as GnuTLS looks at them: DNS names, e-mail and IP
 * addresses are compared; an exclusion of any other kind refuses whatever has such a name.
 */

import { derChildren, type DerElement, readDerWhole, Tag } from "../base/mod.ts";
import { BaseError } from "../base/mod.ts";
import type { Certificate } from "./certificate.ts";
import { attributeValues } from "./dn.ts";
import { OID } from "./extensions.ts";
import { isForServers } from "./hostname.ts";

type Kind = "dns" | "email" | "ip" | "uri" | "directory";

interface Constraint {
  readonly kind: Kind;
  readonly base: Uint8Array;
}

interface Constraints {
  readonly permitted: readonly Constraint[];
  readonly excluded: readonly Constraint[];
}

/** Says which constraint of its issuers a leaf violates, if it does. */
export function violatesNameConstraints(
  leaf: Certificate,
  issuers: readonly Certificate[],
): string | undefined {
  for (const issuer of issuers) {
    const extension = issuer.extensions.find((e) => e.oid === OID.nameConstraints);
    if (extension === undefined) continue;
    const violation = violationOf(leaf, extension.value);
    if (violation !== undefined) return `${violation} by ${issuer.subject.text}`;
  }
  return undefined;
}

function violationOf(leaf: Certificate, extension: Uint8Array): string | undefined {
  let constraints: Constraints;
  try {
    constraints = parseConstraints(extension);
  } catch (error) {
    if (!(error instanceof BaseError)) throw error;
    return "name constraints that cannot be read are imposed";
  }
  const { permitted, excluded } = constraints;
  for (const [kind, name] of namesOf(leaf)) {
    const shown = typeof name === "string" ? name : name.join(".");
    const same = (list: readonly Constraint[]) => list.filter((c) => c.kind === kind);
    if (same(excluded).some((c) => covers(c, name))) return `the name ${shown} is excluded`;
    const allowed = same(permitted).filter((c) => restricts(c, name));
    if (allowed.length > 0 && !allowed.some((c) => covers(c, name))) {
      return `the name ${shown} is not permitted`;
    }
  }
  if (excluded.some(({ kind }) => kind === "directory")) return "a directory name is excluded";
  return undefined;
}

/** The names that are constrained; the common name counts where no DNS name is given. */
function namesOf(leaf: Certificate): [Kind, string | Uint8Array][] {
  const names = leaf.subjectAltName;
  const common = isForServers(leaf) ? attributeValues(leaf.subject, OID.commonName) : [];
  const email = attributeValues(leaf.subject, "1.2.840.113549.1.9.1");
  const pick = (given: readonly string[] | undefined, fallback: readonly string[]) =>
    given === undefined || given.length === 0 ? fallback : given;
  return [
    ...pick(names?.dns, common).map((name) => ["dns", name] as [Kind, string]),
    ...pick(names?.email, email).map((name) => ["email", name] as [Kind, string]),
    ...(names?.ip ?? []).map((ip) => ["ip", ip] as [Kind, Uint8Array]),
    ...(names?.uri ?? []).map((uri) => ["uri", uri] as [Kind, string]),
  ];
}

/** An empty permission restricts nothing, and IPv4 says nothing of IPv6. */
function restricts({ kind, base }: Constraint, name: string | Uint8Array): boolean {
  if (kind === "uri" || kind === "directory") return false;
  return kind === "ip" ? base.length === 2 * name.length : base.length > 0;
}

function covers({ kind, base }: Constraint, name: string | Uint8Array): boolean {
  if (typeof name !== "string") {
    const half = base.length / 2;
    return name.length === half &&
      name.every((octet, i) => (octet & base[half + i]!) === (base[i]! & base[half + i]!));
  }
  if (kind === "uri" || base.length === 0) return true;
  const text = new TextDecoder("latin1").decode(base);
  return kind === "dns" ? isWithin(name, text) : coversMailbox(text, name);
}

function isWithin(name: string, domain: string): boolean {
  const [a, b] = [name.toLowerCase(), domain.toLowerCase()];
  return a === b || a.endsWith(b.startsWith(".") ? b : `.${b}`);
}

function coversMailbox(constraint: string, mailbox: string): boolean {
  if (constraint.includes("@")) return constraint.toLowerCase() === mailbox.toLowerCase();
  const host = mailbox.slice(mailbox.lastIndexOf("@") + 1).toLowerCase();
  const wanted = constraint.toLowerCase();
  return wanted.startsWith(".") ? host.endsWith(wanted) : host === wanted;
}

const KINDS: Readonly<Record<number, Kind>> = {
  0x81: "email",
  0x82: "dns",
  0x86: "uri",
  0x87: "ip",
  0xa4: "directory",
};

function parseConstraints(extension: Uint8Array): Constraints {
  const fields = derChildren(readDerWhole(extension, Tag.SEQUENCE));
  const list = (tag: number) => {
    const field = fields.find((f) => f.tag === tag);
    return field === undefined ? [] : derChildren(field).map(parseConstraint);
  };
  return { permitted: list(0xa0), excluded: list(0xa1) };
}

function parseConstraint(subtree: DerElement): Constraint {
  const base = derChildren(subtree)[0];
  const kind = base && KINDS[base.tag];
  if (base === undefined || kind === undefined) {
    throw new BaseError("DER", { cause: "a name constraint of an unknown kind" });
  }
  return { kind, base: base.content };
}
