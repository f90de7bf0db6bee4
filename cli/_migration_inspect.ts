/** `migration inspect`. */

import type { StreamSummary } from "../migration/mod.ts";
import type { Command } from "./_command.ts";
import { say, showProgress, untilSignal } from "./_console.ts";
import { warnOfMismatch } from "./_migration.ts";

/** Shows what a kept migration consists of. */
export const migrationInspect: Command = {
  name: "migration inspect",
  summary: "verify a kept migration and show its machine, memory and devices",
  usage: "FILE [--json]",
  examples: [
    ["migration inspect guest.mig", "what is in the file, each section with its size"],
    ["migration inspect guest.mig --json", "the same for a program"],
  ],
  flags: [{ name: "json", help: "one JSON object" }],
  operands: { name: "FILE", min: 1, max: 1 },
  exitOne: "the file is no complete migration, or its devices are not verified",
  async run(input) {
    const file = input.operands[0]!;
    const { describeContent, openStreamFile } = await import("../migration/mod.ts");
    return await untilSignal(async (signal) => {
      let verified = 0;
      using progress = showProgress("verified", () => verified);
      using stream = await openStreamFile(file, {
        signal,
        onProgress: (bytes) => {
          verified = bytes;
        },
      });
      progress.clear();
      const { summary, trailing } = stream;
      console.log(
        input.on("json")
          ? JSON.stringify({ file, ...summary, trailing })
          : inspectText(file, stream, describeContent(summary)),
      );
      warnOfMismatch(summary);
      if (trailing > 0) {
        say(
          `warning: ${trailing} bytes from offset ${summary.bytes} on are not part of the stream`,
          `without them: head -c ${summary.bytes} '${file}' >'${file}.clean'`,
        );
      }
      return summary.validation?.kind === "mismatch" ? 1 : 0;
    });
  },
};

function inspectText(
  file: string,
  { summary, trailing }: { readonly summary: StreamSummary; readonly trailing: number },
  content: string,
): string {
  const { pages, blocks, devices } = summary;
  const memory = blocks.reduce((sum, block) => sum + block.usedLength, 0);
  const facts: [string, string][] = [
    ["file", file],
    ["content", content],
    ["bytes", String(summary.bytes)],
    ...(trailing === 0
      ? []
      : [["after the end", `${trailing} bytes, not part of the stream`] as [string, string]]),
    ["page size", String(summary.pageSize)],
    ["return path", summary.returnPath ? "yes" : "no"],
    ...(summary.uuid === undefined ? [] : [["uuid", summary.uuid] as [string, string]]),
    ["capabilities", summary.capabilities.join(", ") || "none"],
    ["commands", summary.commands.join(", ") || "none"],
    ["memory", `${memory} bytes in ${blocks.length} blocks, sent in ${summary.ramParts} parts`],
    [
      "pages",
      `${pages.normal} whole, ${pages.zero} zero, ${pages.xbzrle} delta, ` +
      `${pages.compressed} compressed`,
    ],
  ];
  return [
    ...facts.map(([name, value]) => `${name.padEnd(13)} ${value}`),
    "",
    ...table([
      ["RAM BLOCK", "BYTES"],
      ...blocks.map(({ name, usedLength }) => [name, String(usedLength)]),
    ]),
    "",
    ...table([
      ["DEVICE", "INSTANCE", "VERSION", "OFFSET", "BYTES"],
      ...devices.map((d) => [
        d.idstr,
        ...[d.instanceId, d.versionId, d.offset, d.length].map(String),
      ]),
    ]),
  ].join("\n");
}

/** Columns: the first to the left, numbers to the right. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows.map((row) =>
    row.map((cell, i) => i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)).join("  ")
      .trimEnd()
  );
}
