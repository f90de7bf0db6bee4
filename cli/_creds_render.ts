/** How verdicts are shown: what each format does at the start, for a directory, and at the end. */

import type { Finding, Verdict } from "../creds/mod.ts";
import { renderGithub } from "./_creds_github.ts";
import { renderJson } from "./_creds_json.ts";
import { renderJunit } from "./_creds_junit.ts";
import { renderSarif } from "./_creds_sarif.ts";
import { renderText } from "./_creds_text.ts";

/** A format. */
export interface Renderer {
  /** Shows the verdicts of one directory. */
  directory(dir: string, verdicts: readonly Verdict[]): Promise<void> | void;
  /** Shows what can only be known at the end. */
  end?(): void;
}

/** Makes a renderer. */
export const RENDERERS: Readonly<Record<string, () => Renderer>> = {
  text: renderText,
  json: renderJson,
  junit: renderJunit,
  sarif: renderSarif,
  github: renderGithub,
};

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
