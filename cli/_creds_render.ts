/** What every format of verdicts has. */

import type { Finding, Verdict } from "../creds/mod.ts";
import type { Place } from "./_creds_places.ts";

/** What verdicts are on. */
export type JudgedPlace = Pick<Place, "dir" | "placed" | "readers">;

/** A format. */
export interface Renderer {
  /** Shows the verdicts of one directory. */
  directory(place: JudgedPlace, verdicts: readonly Verdict[]): Promise<void> | void;
  /** Shows what can only be known at the end. */
  end?(): void;
}

/** A finding with the lines of QEMU and the endpoints that it holds for. */
export interface MergedFinding extends Finding {
  readonly qemu: readonly string[];
  readonly endpoints: readonly string[];
}

/** Makes one of findings that differ in the line of QEMU or the endpoint only. */
export function mergeFindings(verdicts: readonly Verdict[]): MergedFinding[] {
  const all = verdicts.flatMap(({ findings, qemu, endpoint }) =>
    findings.map((finding) => ({ finding, qemu, endpoint }))
  );
  const groups = Map.groupBy(
    all,
    ({ finding: { code, file, cause } }) => `${code} ${file} ${cause}`,
  );
  return [...groups.values()].map((group) => ({
    ...group[0]!.finding,
    qemu: [...new Set(group.map(({ qemu }) => qemu))],
    endpoints: [...new Set(group.map(({ endpoint }) => endpoint))],
  }));
}

/** Names lines in a sentence: `QEMU 7.2.22, 10.2, libvirt 11.6-11.9`. */
export function versionsText(names: readonly string[]): string {
  const qemu = names.filter((name) => !name.startsWith("libvirt "));
  const libvirt = names.filter((name) => name.startsWith("libvirt "));
  return [...(qemu.length === 0 ? [] : [`QEMU ${qemu.join(", ")}`]), ...libvirt].join(", ");
}
