/**
 * Path building and validation after RFC 5280 section 6: a search through all possible issuers,
 * with revocation, name constraints and policies, and with bounds that hostile input runs into.
 *
 * This is what the standard says of a certificate; what QEMU says is {@linkcode checkCredentials}.
 */

import { BaseError, type Clock, sameBytes, systemClock } from "../base/mod.ts";
import type { Endpoint, Engine } from "../engine/mod.ts";
import { openPurse, PATH_BUDGET, type PathBudget, type Purse } from "./_validate_budget.ts";
import { type CertificateRules, checkCertificate } from "./_validate_certificate.ts";
import { constraintReader } from "./_validate_constraints.ts";
import { readList } from "./_validate_crl.ts";
import { fault, type PathFault } from "./_validate_fault.ts";
import { nameKey } from "./_validate_names.ts";
import { checkPeerNames } from "./_validate_peer.ts";
import { checkPolicies, type PolicyInput } from "./_validate_policy.ts";
import { checkRevocation, type RevocationContext } from "./_validate_revocation.ts";
import {
  type Candidate,
  type SearchContext,
  searchPath,
  withinBudget,
} from "./_validate_search.ts";
import { type Certificate, parseCertificate } from "./certificate.ts";
import { parseCrl, type RevocationList } from "./crl.ts";
import { type KeyUsage, OID } from "./extensions.ts";
import { sameKey, signatureCheck, type Signed } from "./signature.ts";

export { PATH_BUDGET, type PathBudget } from "./_validate_budget.ts";
export type { PathFault, PathProblem } from "./_validate_fault.ts";
export type { PolicyInput } from "./_validate_policy.ts";

/** What a path is validated with. */
export interface PathOptions {
  /** Checks the signatures. */
  readonly engine: Engine;
  /**
   * Trust anchors: DER, or parsed. Each may be an authority's of any kind, self-signed or not; its
   * own dates, constraints and key usage count, its signature does not. What cannot be parsed is
   * left out.
   */
  readonly trusted: readonly (Uint8Array | Certificate)[];
  /** Further certificates to build with, in any order; what cannot be parsed is left out. */
  readonly intermediates?: readonly (Uint8Array | Certificate)[];
  /** CRLs, complete and delta, in any order; what cannot be parsed is left out. */
  readonly crls?: readonly (Uint8Array | RevocationList)[];
  /** The moment of validation, cut to the second; now when absent. */
  readonly at?: Date;
  /** The TLS role of the leaf, which key usage and extended key usage must allow; any when absent. */
  readonly endpoint?: Endpoint;
  /** What the leaf's key usage must have, where it has one. */
  readonly keyUsage?: readonly KeyUsage[];
  /** Names that the leaf must be for, every one of them: host names, addresses, mailboxes. */
  readonly names?: readonly string[];
  /** Most authorities between leaf and anchor, self-issued ones not counted; 16 when absent. */
  readonly maxDepth?: number;
  /**
   * `strict` (the default) refuses certificates and CRLs that RFC 5280 section 4 and 5 forbid to
   * issue: missing key identifiers, wrong criticality, serials that are not positive, and so on.
   * `path` makes only the checks of section 6, as a relying party must.
   */
  readonly conformance?: "strict" | "path";
  /** Whether RSA below 2048 bits, DSA, P-192 and signatures with SHA-1 or older pass; off when absent. */
  readonly allowWeak?: boolean;
  /** Whether the extended key usages of authorities restrict those of the leaf; on when absent. */
  readonly chainedPurposes?: boolean;
  /**
   * `available` (the default) holds a certificate against the lists that are given for its issuer;
   * `required` also refuses one that no list tells about, for all reasons.
   */
  readonly revocation?: "available" | "required";
  /** Certificate policies that a path must be valid for. */
  readonly policies?: PolicyInput;
  /** Bounds of the work; those left out are {@linkcode PATH_BUDGET}'s. */
  readonly budget?: Partial<PathBudget>;
  readonly clock?: Clock;
}

/** A path that is valid, leaf first and anchor last, or the best reason that there is none. */
export type PathResult =
  | { readonly ok: true; readonly path: readonly Certificate[] }
  | { readonly ok: false } & PathFault;

/** Most authorities between leaf and anchor when nothing else is said. */
const MAX_DEPTH = 16;

/**
 * Finds a valid certification path from a certificate to a trust anchor, or says why there is none.
 *
 * All candidates of an issuer's name are tried, whatever their order, cross-signed and
 * self-issued ones included. Names are compared as RFC 5280 7.1 wants it. A leaf that is itself a
 * trust anchor is a path of its own.
 *
 * @example Something that is no certificate
 * ```ts
 * import { validatePath } from "@virtcreds/virtcreds/creds";
 * import { chooseEngine } from "@virtcreds/virtcreds/engine";
 * import { assertEquals } from "@std/assert";
 *
 * const engine = await chooseEngine();
 * const result = validatePath(Uint8Array.of(0x30, 0), { engine, trusted: [] });
 * assertEquals(result.ok || result.code, "malformed");
 * ```
 *
 * @returns Never throws for bad certificates: `malformed` is a result, as is `budget` for input
 * that would cost too much.
 */
export function validatePath(leaf: Uint8Array | Certificate, options: PathOptions): PathResult {
  const outcome = withinBudget(() => validate(leaf, options));
  return outcome.ok ? outcome.value : { ok: false, ...outcome.fault };
}

function validate(leaf: Uint8Array | Certificate, options: PathOptions): PathResult {
  const purse = openPurse({ ...PATH_BUDGET, ...options.budget });
  const target = readTarget(leaf, purse);
  if ("code" in target) return { ok: false, ...target };
  const rules = rulesOf(options);
  const context: SearchContext = {
    rules,
    maxDepth: options.maxDepth ?? MAX_DEPTH,
    purse,
    constraints: constraintReader(purse, rules.strict),
    issuers: issuersOf(options, purse),
    isSignedBy: meteredCheck(options.engine, purse),
  };
  const own = checkCertificate(target, "leaf", rules) ??
    checkPeerNames(target, options.names ?? []);
  if (own !== undefined) return { ok: false, ...own };
  const revocation = revocationOf(options, context, purse);
  const found = searchPath(
    target,
    "leaf",
    context,
    (path) =>
      checkPolicies(path, options.policies ?? {}, purse) ?? checkRevocation(path, revocation),
  );
  return found.ok ? found : { ok: false, ...found.fault };
}

function rulesOf(options: PathOptions): CertificateRules {
  const at = options.at ?? (options.clock ?? systemClock)();
  const { endpoint } = options;
  return {
    at: Math.floor(at.getTime() / 1000) * 1000,
    strict: options.conformance !== "path",
    allowWeak: options.allowWeak ?? false,
    chainedPurposes: options.chainedPurposes ?? true,
    keyUsage: options.keyUsage ?? [],
    ...(endpoint && { purpose: endpoint === "server" ? OID.serverAuth : OID.clientAuth }),
  };
}

function readTarget(leaf: Uint8Array | Certificate, purse: Purse): Certificate | PathFault {
  purse.spend("bytes", bytesOf(leaf).length);
  if (!(leaf instanceof Uint8Array)) return leaf;
  try {
    return parseCertificate(leaf);
  } catch (error) {
    if (!(error instanceof BaseError)) throw error;
    return fault("malformed", `the certificate has ${error.facts.cause}`, "4.1");
  }
}

const bytesOf = (thing: Uint8Array | { readonly raw: Uint8Array }): Uint8Array =>
  thing instanceof Uint8Array ? thing : thing.raw;

/** Reads what can be read. */
function readAll<T extends { readonly raw: Uint8Array }>(
  given: readonly (Uint8Array | T)[],
  purse: Purse,
  parse: (der: Uint8Array) => T,
): T[] {
  return given.flatMap((one) => {
    purse.spend("bytes", bytesOf(one).length);
    if (!(one instanceof Uint8Array)) return [one];
    try {
      return [parse(one)];
    } catch (error) {
      if (!(error instanceof BaseError)) throw error;
      return [];
    }
  });
}

/** All certificates by their subjects, each once; one that is trusted is an anchor only. */
function issuersOf(options: PathOptions, purse: Purse): Map<string, Candidate[]> {
  const known = new Set<string>();
  const issuers = new Map<string, Candidate[]>();
  const add = (given: readonly (Uint8Array | Certificate)[], isAnchor: boolean) => {
    for (const certificate of readAll(given, purse, parseCertificate)) {
      const text = certificate.raw.toHex();
      if (known.has(text)) continue;
      known.add(text);
      const key = nameKey(certificate.subject);
      const candidates = issuers.get(key) ?? [];
      candidates.push({ certificate, isAnchor });
      issuers.set(key, candidates);
    }
  };
  add(options.trusted, true);
  add(options.intermediates ?? [], false);
  return issuers;
}

/** Asks the engine once for each pair, and pays for it. */
function meteredCheck(engine: Engine, purse: Purse): SearchContext["isSignedBy"] {
  const check = signatureCheck(engine);
  const known = new Map<Signed, Map<Certificate, boolean | undefined>>();
  return (signed, issuer) => {
    let answers = known.get(signed);
    if (answers === undefined) known.set(signed, answers = new Map());
    if (!answers.has(issuer)) {
      purse.spend("signatures");
      answers.set(issuer, check(signed, issuer));
    }
    return answers.get(issuer);
  };
}

function revocationOf(
  options: PathOptions,
  search: SearchContext,
  purse: Purse,
): RevocationContext {
  const lists = readAll(options.crls ?? [], purse, parseCrl).map(readList);
  const pending: Certificate[] = [];
  const context: RevocationContext = {
    rules: search.rules,
    lists,
    isRequired: options.revocation === "required",
    signerOf: (list, issuer, anchor) => {
      const { list: { issuer: name } } = list;
      const candidates = (search.issuers.get(nameKey(name)) ?? []).map((c) => c.certificate);
      const isIssuers = nameKey(issuer.subject) === nameKey(name);
      return [...(isIssuers ? [issuer] : []), ...candidates].find((signer) =>
        maySign(signer) && search.isSignedBy(list.list, signer) === true &&
        (signer === issuer || isVouchedFor(signer, anchor))
      );
    },
  };
  /** 6.3.3 (f): a path of its own, to the same anchor, none of it revoked. */
  const isVouchedFor = (signer: Certificate, anchor: Certificate): boolean => {
    if (sameBytes(signer.raw, anchor.raw)) return true;
    // A list may tell of its own signer (PKITS 4.14.30), but two signers not of each other.
    if (pending.includes(signer)) return pending.at(-1) === signer;
    pending.push(signer);
    const found = searchPath(
      signer,
      "signer",
      search,
      (path) =>
        sameKey(path.at(-1)!, anchor)
          ? checkRevocation(path, context)
          : fault("no-issuer", "the signer of a list has another anchor", "6.3.3", signer),
    );
    pending.pop();
    return found.ok;
  };
  return context;
}

/** Who signed a list has only this to show by itself; all else is the path's to check. */
function maySign({ keyUsage }: Certificate): boolean {
  return keyUsage === undefined || keyUsage.usages.includes("cRLSign");
}
