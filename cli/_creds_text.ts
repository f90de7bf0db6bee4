/** Verdicts for people: a short report of each directory. */

import { getColorEnabled, green, red, setColorEnabled, yellow } from "@std/fmt/colors";
import type { Finding, Summary, Verdict } from "../creds/mod.ts";
import { day, printable } from "../base/mod.ts";
import { line } from "./_output.ts";
import { mergeFindings, type Renderer, versionsText } from "./_creds_render.ts";

/** Prints what a directory holds, until when, and what QEMU says. */
export function renderText(now: Date): Renderer {
  setColorEnabled(getColorEnabled() && Deno.stdout.isTerminal());
  return {
    async directory({ dir, placed, readers = [] }, verdicts) {
      const { summarizeDirectory } = await import("../creds/mod.ts");
      const lines = [
        printable(dir),
        ...readers.map((reader) => `  for ${printable(reader)}`),
        ...summaryLines(summarizeDirectory(dir, placed), now),
      ];
      const outcomes = Map.groupBy(verdicts, (v) => `${v.endpoint} ${v.ok} ${v.message}`);
      for (const same of outcomes.values()) lines.push(verdictLine(same));
      for (const finding of mergeFindings(verdicts)) lines.push(...findingLines(finding));
      console.log(`${lines.join("\n")}\n`);
    },
  };
}

function summaryLines(summaries: readonly Summary[], now: Date): string[] {
  const width = Math.max(0, ...summaries.map(({ name }) => name.length));
  return summaries.map(({ name, subject, names, notAfter }) => {
    const facts = [subject, untilText(notAfter, name, now), names.join(", ")].filter((fact) =>
      fact
    );
    return `  ${name.padEnd(width)}  ${facts.map((fact) => printable(fact)).join("; ")}`;
  });
}

function untilText(end: Date | undefined, name: string, now: Date): string {
  if (end === undefined) return "";
  const days = Math.ceil((end.getTime() - now.getTime()) / 86_400_000);
  const what = name.endsWith("crl.pem") ? "next list due" : days <= 0 ? "expired" : "expires";
  const when = days <= 0 ? `${plural(-days)} ago` : `in ${plural(days)}`;
  return `${what} ${day(end)}, ${when}`;
}

const plural = (days: number): string => days === 1 ? "1 day" : `${days} days`;

function verdictLine(same: readonly Verdict[]): string {
  const { endpoint, ok, message } = same[0]!;
  const outcome = ok ? green("accepted") : red("refused");
  const versions = versionsText(same.map(({ qemu }) => qemu));
  return `  ${endpoint}: ${outcome} by ${versions}${ok ? "" : `: ${printable(message)}`}`;
}

/** Causes quote messages, which name files. */
const LONGEST_CAUSE = 500;

const COLOUR = { error: red, warning: yellow, info: (text: string) => text } as const;

function findingLines({ code, severity, file, cause, mend }: Finding): string[] {
  return [
    `  ${COLOUR[severity](severity)} ${code} ${printable(file)}: ${
      printable(cause, LONGEST_CAUSE)
    }`,
    `    mend: ${line(mend)}`,
  ];
}
