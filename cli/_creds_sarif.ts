/** Findings as SARIF 2.1.0 (OASIS), which code scanning services read. */

import { VERSION } from "../base/mod.ts";
import { type MergedFinding, mergeFindings, type Renderer } from "./_creds_render.ts";

const LEVEL = { error: "error", warning: "warning", info: "note" } as const;

/** Keeps the findings, and prints the whole log at the end. */
export function renderSarif(): Renderer {
  const found: MergedFinding[] = [];
  return {
    directory: (_place, verdicts) => void found.push(...mergeFindings(verdicts)),
    end: () => console.log(JSON.stringify(sarifLog(found), null, 2)),
  };
}

function sarifLog(found: readonly MergedFinding[]): Record<string, unknown> {
  const codes = [...new Set(found.map(({ code }) => code))].sort();
  return {
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [{
      tool: {
        driver: {
          name: "virtcreds",
          version: VERSION,
          rules: codes.map((id) => ({
            id,
            shortDescription: { text: id.toLowerCase().replaceAll("_", " ") },
          })),
        },
      },
      columnKind: "utf16CodeUnits",
      results: found.map((finding) => sarifResult(finding, codes.indexOf(finding.code))),
    }],
  };
}

function sarifResult(finding: MergedFinding, ruleIndex: number): Record<string, unknown> {
  const { code, severity, file, message, cause, mend, qemu, endpoints } = finding;
  return {
    ruleId: code,
    ruleIndex,
    level: LEVEL[severity],
    message: { text: `${message === "" ? "" : `${message}: `}${cause}. Mend: ${mend}` },
    locations: [{ physicalLocation: { artifactLocation: { uri: uriOf(file) } } }],
    properties: { qemu, endpoints },
  };
}

/** A relative path stays relative to where the command ran. */
function uriOf(file: string): string {
  const path = file.split("/").map(encodeURIComponent).join("/");
  return file.startsWith("/") ? `file://${path}` : path;
}
