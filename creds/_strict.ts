/** The strict look at an endpoint: what RFC 5280 and practice say, and where QEMUs differ. */

import { sameBytes } from "../base/mod.ts";
import type { Engine } from "../engine/mod.ts";
import type { Identity, Inspection } from "./_inspect.ts";
import { type MendContext, mendContext, reissue } from "./_mend.ts";
import { mendOf, STRICT_RULES, type StrictSubject } from "./_strict_certificate.ts";
import { fileFindings, type KeyRegister, type StrictFinding } from "./_strict_files.ts";
import type { Certificate } from "./certificate.ts";
import type { Finding } from "./finding.ts";
import type { ChainContext } from "./path.ts";
import { isIssuedBy } from "./signature.ts";
import { validatePath } from "./validate.ts";

/** What one line of QEMU or libvirt said. */
export interface Outcome {
  readonly qemu: string;
  readonly ok: boolean;
  readonly message: string;
  readonly findings: readonly Finding[];
}

/** What the strict look works with. */
export interface StrictContext {
  readonly engine: Engine;
  readonly chain: ChainContext;
  readonly keys: KeyRegister | undefined;
}

/** Authorities of a bundle that are looked at. */
const MAX_AUTHORITIES = 64;

/**
 * Finds what QEMU has no opinion of. Each finding says who accepts the files all the same, and
 * what forbids them.
 */
export function strictFindings(
  inspection: Inspection,
  outcomes: readonly Outcome[],
  context: StrictContext,
): Finding[] {
  const mending = mendContext(inspection);
  const accepting = outcomes.filter(({ ok }) => ok).map(({ qemu }) => qemu);
  const whoever = accepting.length === outcomes.length && outcomes.length > 1
    ? accepting.some((name) => name.startsWith("libvirt ")) ? listVersions(accepting) : "QEMU"
    : listVersions(accepting);
  // The line that matters: who takes it, and what does not.
  const accepted = whoever === "" ? "" : `accepted by ${whoever}, `;
  const found = [
    ...certificateFindings(inspection, mending, context.chain),
    ...fileFindings(inspection, mending, context.keys),
    ...(accepting.length === 0 ? [] : pathFindings(inspection, mending, context)),
  ];
  return [
    ...difference(outcomes),
    ...found.map(({ verb = "forbidden by", ...finding }): Finding => ({
      ...finding,
      message: "",
      cause: finding.reference === undefined
        ? finding.cause
        : `${accepted}${verb} ${finding.reference}: ${finding.cause}`,
    })),
  ];
}

function identitiesOf({ identity, numbered }: Inspection): readonly Identity[] {
  return [identity, ...numbered];
}

function leafOf({ leaf }: Identity): Certificate | undefined {
  return leaf?.ok ? leaf.value : undefined;
}

/** The authorities that an identity brings along. */
function aboveOf({ chain }: Identity): readonly Certificate[] {
  return chain?.ok ? chain.value.slice(1) : [];
}

function* certificateFindings(
  inspection: Inspection,
  mending: MendContext,
  chain: ChainContext,
): Iterable<StrictFinding> {
  const { endpoint, caCert, anchors } = inspection;
  const authorities = (anchors?.ok ? anchors.value : []).slice(0, MAX_AUTHORITIES);
  for (const identity of identitiesOf(inspection)) {
    const above = aboveOf(identity);
    const of = (certificate: Certificate, role: StrictSubject["role"]): StrictSubject => ({
      certificate,
      role,
      endpoint,
      issuer: issuerOf(certificate, [...above, ...authorities], chain),
      mending,
    });
    const leaf = leafOf(identity);
    if (leaf !== undefined) yield* apply(of(leaf, "leaf"), identity.cert.path);
    for (const authority of above) yield* apply(of(authority, "authority"), identity.cert.path);
  }
  for (const certificate of authorities) {
    const issuer = issuerOf(certificate, authorities, chain);
    yield* apply({ certificate, role: "authority", endpoint, issuer, mending }, caCert.path);
  }
}

function* apply(subject: StrictSubject, file: string): Iterable<StrictFinding> {
  for (const rule of STRICT_RULES) {
    if (rule.role !== undefined && rule.role !== subject.role) continue;
    const cause = rule.cause(subject);
    if (cause === undefined) continue;
    const severity = typeof rule.severity === "string" ? rule.severity : rule.severity(subject);
    const { code, reference, verb } = rule;
    const mend = mendOf(rule, subject);
    yield { code, severity, file, cause, mend, reference, ...(verb === undefined ? {} : { verb }) };
  }
}

/** Who signed a certificate, its key identifiers apart; `undefined` for one that did so itself. */
function issuerOf(
  certificate: Certificate,
  candidates: readonly Certificate[],
  { isSignedBy }: ChainContext,
): Certificate | undefined {
  if (sameBytes(certificate.subject.raw, certificate.issuer.raw)) return undefined;
  return candidates.find((candidate) =>
    sameBytes(candidate.subject.raw, certificate.issuer.raw) && isSignedBy(certificate, candidate)
  );
}

/** Our own validation of what some QEMU accepts; rules that have findings of their own are off. */
function* pathFindings(
  inspection: Inspection,
  mending: MendContext,
  { engine, chain }: StrictContext,
): Iterable<StrictFinding> {
  const { endpoint, anchors } = inspection;
  const known = anchors?.ok ? anchors.value : [];
  // OpenSSL goes up to where nothing is above, whatever else is in the file.
  const trusted = known.filter((one) => !known.some((other) => isBelow(one, other)));
  const between = known.filter((one) => !trusted.includes(one));
  for (const identity of identitiesOf(inspection)) {
    const leaf = leafOf(identity);
    if (leaf === undefined) continue;
    const result = validatePath(leaf, {
      engine,
      trusted,
      intermediates: [...aboveOf(identity), ...between],
      at: chain.now,
      endpoint,
      keyUsage: ["digitalSignature"],
      conformance: "path",
      allowWeak: true,
    });
    // What this engine cannot check has its finding, and QEMU's can.
    if (result.ok || result.code === "unsupported-algorithm") continue;
    const { code, message, section = "its own bounds" } = result;
    yield {
      code: "PATH_REFUSED",
      severity: "error",
      file: identity.cert.path,
      cause: `path validation ends with ${code}: ${message}`,
      mend: reissue(mending),
      reference: /^\d/.test(section) ? `RFC 5280 ${section}` : section,
    };
  }
}

function isBelow(one: Certificate, other: Certificate): boolean {
  return !isIssuedBy(one, one) && !sameBytes(one.subject.raw, other.subject.raw) &&
    isIssuedBy(one, other);
}

/** Whether one line of QEMU accepts what another refuses. */
function difference(outcomes: readonly Outcome[]): Finding[] {
  const accepting = outcomes.filter(({ ok }) => ok);
  const refusing = outcomes.filter(({ ok }) => !ok);
  if (accepting.length === 0) return [];
  const byText = Map.groupBy(refusing, ({ message }) => message);
  return [...byText].map(([message, same]): Finding => {
    const first = same[0]!.findings[0];
    return {
      code: "VERDICTS_DIFFER",
      severity: "warning",
      file: first?.file ?? "",
      message: "",
      cause: `accepted by ${listVersions(accepting.map(({ qemu }) => qemu))}, refused by ${
        listVersions(same.map(({ qemu }) => qemu))
      }: ${message}`,
      mend: first?.mend ?? "",
    };
  });
}

/** `QEMU 7.2.22, 10.2, libvirt 11.6-11.9`; nothing for none. */
function listVersions(names: readonly string[]): string {
  const qemu = names.filter((name) => !name.startsWith("libvirt "));
  const rest = names.filter((name) => name.startsWith("libvirt "));
  return [...(qemu.length === 0 ? [] : [`QEMU ${qemu.join(", ")}`]), ...rest].join(", ");
}
