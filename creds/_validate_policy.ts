/**
 * Certificate policies along a path (RFC 5280 6.1, with the graph of RFC 9618 in the place of the
 * tree, whose size would be an attacker's to choose).
 */

import {
  BaseError,
  derChildren,
  type DerElement,
  readDerWhole,
  readOid,
  Tag,
} from "../base/mod.ts";
import type { Purse } from "./_validate_budget.ts";
import { fault, type PathFault } from "./_validate_fault.ts";
import { isSelfIssued } from "./_validate_names.ts";
import { nameOf } from "./_words.ts";
import type { Certificate } from "./certificate.ts";
import { OID } from "./extensions.ts";

/** What is asked of the policies of a path (RFC 5280 6.1.1 c, e to g). */
export interface PolicyInput {
  /** Acceptable policies, dotted decimal; any when absent. */
  readonly acceptable?: readonly string[];
  /** Whether a path must be valid for one of them. */
  readonly requireExplicit?: boolean;
  readonly inhibitMapping?: boolean;
  readonly inhibitAny?: boolean;
}

interface Node {
  readonly policy: string;
  expected: readonly string[];
  readonly parents: ReadonlySet<Node>;
}

/** The nodes of one depth by their policies. */
type Level = Map<string, Node>;

/** Follows the policies of a path; the last certificate is the anchor's and counts for nothing. */
export function checkPolicies(
  path: readonly Certificate[],
  input: PolicyInput,
  purse: Purse,
): PathFault | undefined {
  const certificates = path.slice(0, -1).reverse();
  const n = certificates.length;
  let explicit = input.requireExplicit ? 0 : n + 1;
  let inhibitAny = input.inhibitAny ? 0 : n + 1;
  let mapping = input.inhibitMapping ? 0 : n + 1;
  let levels: Level[] | undefined = [
    new Map([[OID.anyPolicy, {
      policy: OID.anyPolicy,
      expected: [OID.anyPolicy],
      parents: new Set(),
    }]]),
  ];
  for (const [i, certificate] of certificates.entries()) {
    const isLast = i === n - 1;
    const own = isSelfIssued(certificate);
    let read: Policies;
    try {
      read = readPolicies(certificate);
    } catch (error) {
      if (!(error instanceof BaseError)) throw error;
      const words = `a policy extension of ${nameOf(certificate)} cannot be decoded`;
      return fault("malformed", words, "4.2.1.4", certificate);
    }
    if (read.policies === undefined) levels = undefined;
    if (levels !== undefined) {
      const takesAny = inhibitAny > 0 || (!isLast && own);
      levels = grow(levels, read.policies ?? [], takesAny, purse);
    }
    if (explicit === 0 && levels === undefined) return unmet(certificate);
    if (isLast) {
      if (explicit > 0) explicit--;
      if (read.requireExplicit === 0) explicit = 0;
      break;
    }
    if (read.mappings.some((pair) => pair.includes(OID.anyPolicy))) {
      const words = `${nameOf(certificate)} maps anyPolicy`;
      return fault("policy", words, "4.2.1.5", certificate);
    }
    if (levels !== undefined) levels = map(levels, read.mappings, mapping > 0, purse);
    if (!own) {
      explicit = Math.max(0, explicit - 1);
      mapping = Math.max(0, mapping - 1);
      inhibitAny = Math.max(0, inhibitAny - 1);
    }
    explicit = Math.min(explicit, read.requireExplicit ?? explicit);
    mapping = Math.min(mapping, read.inhibitMapping ?? mapping);
    inhibitAny = Math.min(inhibitAny, read.inhibitAny ?? inhibitAny);
  }
  return explicit > 0 || isAcceptable(levels, input.acceptable) ? undefined : unmet(path[0]!);
}

function unmet(certificate: Certificate): PathFault {
  const words = "the path is valid for none of the policies that are required";
  return fault("policy", words, "6.1.5", certificate);
}

/** 6.1.3 (d): a level for the policies of the next certificate. */
function grow(
  levels: readonly Level[],
  policies: readonly string[],
  takesAny: boolean,
  purse: Purse,
): Level[] | undefined {
  const above = levels.at(-1)!;
  const expecting = new Map<string, Set<Node>>();
  for (const node of above.values()) {
    purse.spend("policies", 1 + node.expected.length);
    for (const policy of node.expected) {
      const nodes = expecting.get(policy) ?? new Set();
      expecting.set(policy, nodes.add(node));
    }
  }
  const level: Level = new Map();
  const add = (policy: string, parents: ReadonlySet<Node>) => {
    purse.spend("policies");
    level.set(policy, { policy, expected: [policy], parents });
  };
  const any = above.get(OID.anyPolicy);
  for (const policy of policies) {
    if (policy === OID.anyPolicy) continue;
    const parents = expecting.get(policy) ?? (any && new Set([any]));
    if (parents !== undefined) add(policy, parents);
  }
  if (takesAny && policies.includes(OID.anyPolicy)) {
    for (const [policy, parents] of expecting) if (!level.has(policy)) add(policy, parents);
  }
  return prune([...levels, level]);
}

/** 6.1.4 (b): what the policies are called below. */
function map(
  levels: readonly Level[],
  mappings: readonly (readonly [string, string])[],
  isAllowed: boolean,
  purse: Purse,
): Level[] | undefined {
  const level = levels.at(-1)!;
  const any = level.get(OID.anyPolicy);
  for (const [policy, pairs] of Map.groupBy(mappings, ([from]) => from)) {
    purse.spend("policies", pairs.length);
    const node = level.get(policy);
    if (!isAllowed) level.delete(policy);
    else if (node !== undefined) node.expected = pairs.map(([, to]) => to);
    else if (any !== undefined) {
      level.set(policy, { policy, expected: pairs.map(([, to]) => to), parents: any.parents });
    }
  }
  return prune(levels);
}

/** Takes out what has no child any more; nothing left is no graph. */
function prune(levels: readonly Level[]): Level[] | undefined {
  for (let depth = levels.length - 2; depth >= 0; depth--) {
    const parents = new Set<Node>();
    for (const node of levels[depth + 1]!.values()) {
      for (const parent of node.parents) parents.add(parent);
    }
    for (const [policy, node] of levels[depth]!) {
      if (!parents.has(node)) levels[depth]!.delete(policy);
    }
  }
  return levels[0]!.size === 0 || levels.at(-1)!.size === 0 ? undefined : [...levels];
}

/** 6.1.5 (g): the policies in the words of the anchor's domain, held against what is asked. */
function isAcceptable(
  levels: readonly Level[] | undefined,
  acceptable: readonly string[] | undefined,
): boolean {
  if (levels === undefined) return false;
  if (acceptable === undefined || acceptable.includes(OID.anyPolicy)) return true;
  if (levels.at(-1)!.has(OID.anyPolicy)) return true;
  return levels.slice(1).some((level) =>
    [...level.values()].some(({ policy, parents }) =>
      acceptable.includes(policy) && [...parents].some((parent) => parent.policy === OID.anyPolicy)
    )
  );
}

interface Policies {
  readonly policies: readonly string[] | undefined;
  readonly mappings: readonly (readonly [string, string])[];
  readonly requireExplicit: number | undefined;
  readonly inhibitMapping: number | undefined;
  readonly inhibitAny: number | undefined;
}

function readPolicies(certificate: Certificate): Policies {
  const children = (oid: string): DerElement[] | undefined => {
    const extension = certificate.extensions.find((e) => e.oid === oid);
    return extension && derChildren(readDerWhole(extension.value, Tag.SEQUENCE));
  };
  const constraints = children(OID.policyConstraints);
  const skip = (tag: number) => {
    const field = constraints?.find((f) => f.tag === tag);
    return field && readCount(field);
  };
  const any = certificate.extensions.find((e) => e.oid === OID.inhibitAnyPolicy);
  return {
    policies: children(OID.certificatePolicies)?.map((info) => oidOf(derChildren(info)[0])),
    mappings: (children(OID.policyMappings) ?? []).map((pair) => {
      const [from, to] = derChildren(pair);
      return [oidOf(from), oidOf(to)] as const;
    }),
    requireExplicit: skip(0x80),
    inhibitMapping: skip(0x81),
    inhibitAny: any && readCount(readDerWhole(any.value, Tag.INTEGER)),
  };
}

function oidOf(element: DerElement | undefined): string {
  if (element?.tag !== Tag.OBJECT_IDENTIFIER) throw new BaseError("DER", { cause: "a policy" });
  return readOid(element.content);
}

/** A number of certificates; more than there can be is as good as any. */
function readCount({ content }: DerElement): number {
  if (content.length === 0 || content[0]! >= 0x80) {
    throw new BaseError("DER", { cause: "a number out of range" });
  }
  return content.reduce((value, octet) => Math.min(2 ** 31, value * 256 + octet), 0);
}
