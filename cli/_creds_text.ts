/** Verdicts for people: a short report of each directory. */

import { getColorEnabled, green, red, setColorEnabled, yellow } from "@std/fmt/colors";
import type { Finding, Summary, Verdict } from "../creds/mod.ts";
import { printable } from "./_command.ts";

/** Prints the report of a directory: what it holds, until when, and what QEMU says. */
export async function renderText(dir: string, verdicts: readonly Verdict[]): Promise<void> {
  const { summarizeDirectory } = await import("../creds/mod.ts");
  setColorEnabled(getColorEnabled() && Deno.stdout.isTerminal());
  const lines = [printable(dir), ...summaryLines(summarizeDirectory(dir))];
  for (const same of groupBy(verdicts, (v) => `${v.endpoint} ${v.ok} ${v.message}`)) {
    lines.push(verdictLine(same, verdicts));
  }
  const found = verdicts.flatMap(({ findings }) => findings);
  for (const [finding] of groupBy(found, ({ code, file, cause }) => `${code} ${file} ${cause}`)) {
    lines.push(...findingLines(finding!));
  }
  console.log(`${lines.join("\n")}\n`);
}

function summaryLines(summaries: readonly Summary[]): string[] {
  const width = Math.max(0, ...summaries.map(({ name }) => name.length));
  return summaries.map(({ name, subject, names, notAfter }) => {
    const facts = [subject, untilText(notAfter, name), names.join(", ")].filter((fact) => fact);
    return `  ${name.padEnd(width)}  ${facts.map(printable).join("; ")}`;
  });
}

function untilText(end: Date | undefined, name: string): string {
  if (end === undefined) return "";
  const days = Math.ceil((end.getTime() - Date.now()) / 86_400_000);
  const what = name === "ca-crl.pem" ? "next list due" : days <= 0 ? "expired" : "expires";
  const when = days <= 0 ? `${plural(-days)} ago` : `in ${plural(days)}`;
  return `${what} ${end.toISOString().slice(0, 10)}, ${when}`;
}

const plural = (days: number): string => days === 1 ? "1 day" : `${days} days`;

function verdictLine(same: readonly Verdict[], all: readonly Verdict[]): string {
  const { endpoint, ok, message } = same[0]!;
  const ofEndpoint = all.filter((verdict) => verdict.endpoint === endpoint);
  const versions = same.map(({ qemu }) => qemu).join(", ");
  const who = same.length > 1 && same.length === ofEndpoint.length
    ? `every QEMU (${versions})`
    : `QEMU ${versions}`;
  const outcome = ok ? green("accepted") : red("refused");
  return `  ${endpoint}: ${outcome} by ${who}${ok ? "" : `: ${printable(message)}`}`;
}

const COLOUR = { error: red, warning: yellow, info: (text: string) => text } as const;

function findingLines({ code, severity, file, cause, mend }: Finding): string[] {
  return [
    `  ${COLOUR[severity](severity)} ${code} ${printable(file)}: ${printable(cause)}`,
    `    mend: ${mend}`,
  ];
}

/** Groups of what has the same key, in order of appearance. */
function groupBy<T>(items: readonly T[], key: (item: T) => string): T[][] {
  return [...Map.groupBy(items, key).values()];
}
