/** Finds the command blocks of a page and runs them as a reader would. */

/** A fenced block of a Markdown page. */
export interface Block {
  /** `sh`: commands; `console`: commands behind `$ ` and what they print. */
  readonly kind: "sh" | "console";
  readonly line: number;
  readonly text: string;
}

/** One command and the lines it should print; `undefined` where the page does not say. */
export interface Step {
  readonly command: string;
  readonly expected: readonly string[] | undefined;
}

/** Finds the blocks that hold commands. */
export function commandBlocks(markdown: string): Block[] {
  const blocks: Block[] = [];
  for (const match of markdown.matchAll(/^```(sh|console)\n([\s\S]*?)^```$/gm)) {
    blocks.push({
      kind: match[1] as Block["kind"],
      line: markdown.slice(0, match.index).split("\n").length,
      text: match[2]!,
    });
  }
  return blocks;
}

/** The test command runs the test that reads the page: it alone is left out. */
export function isTestCommand(block: Block): boolean {
  return block.text.split("\n").every((line) =>
    line === "" || /^(npx -y deno@[\d.]+|deno) task (test|soak)$/.test(line)
  );
}

/** Splits a block into commands and expectations; a command goes on behind a `\`. */
export function steps(block: Block): Step[] {
  if (block.kind === "sh") return [{ command: block.text, expected: undefined }];
  const found: { command: string; expected: string[] }[] = [];
  for (const line of block.text.replace(/\\\n/g, "").split("\n").slice(0, -1)) {
    if (line.startsWith("$ ")) found.push({ command: line.slice(2), expected: [] });
    else found.at(-1)?.expected.push(line);
  }
  return found;
}

/**
 * Whether output is as a page shows it: `…` in a line stands for any text, a line of `…` alone
 * for any number of lines.
 */
export function outputMatches(expected: readonly string[], output: string): boolean {
  const pattern = expected.map((line) =>
    line.trim() === "…"
      ? "(?:.*\\n)*?"
      : line.split("…").map((part) => part.trimEnd().replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
        .join(".*?") + "[ \\t]*\\n"
  ).join("");
  return new RegExp(`^${pattern}$`).test(output === "" ? "" : output.replace(/\n?$/, "\n"));
}
