/** `creds show`: what files of credentials hold. */

import { printable } from "../base/mod.ts";
import type { TreeNode } from "../creds/mod.ts";
import type { Command } from "./_command.ts";

/** The command. */
export const credsShow: Command = {
  name: "creds show",
  summary: "show the certificates and lists in a directory or file, and how to authorize them",
  usage: "DIR|FILE… [--json]",
  examples: [
    ["deno task creds show pki/hosts/vm1", "all files of a host"],
    ["deno task creds show client-cert.pem", "whose it is, as QEMU's authorization sees it"],
  ],
  flags: [{ name: "json", help: "one object per line: {file, kind, facts}" }],
  operands: { name: "DIR", min: 1, max: 100_000 },
  exitOne: "a file cannot be read",
  notes: `Subjects are shown as QEMU and libvirt compare them: in the order of the certificate, with
backslashes where they have them. "to let it in" is ready for --object, commas doubled. Keys are
named and never shown.`,
  async run(input) {
    const { readTree } = await import("../creds/mod.ts");
    for (const operand of input.operands) {
      for (const file of filesOf(operand)) {
        const nodes = readTree(file);
        if (input.on("json")) {
          for (const { kind, facts } of nodes) console.log(JSON.stringify({ file, kind, facts }));
        } else console.log(treeText(file, nodes));
      }
    }
    return 0;
  },
};

/** The PEM files of a directory in the order of their names, or the file itself. */
function filesOf(path: string): string[] {
  try {
    const names = Array.from(Deno.readDirSync(path))
      .filter(({ name, isDirectory }) => !isDirectory && name.endsWith(".pem"))
      .map(({ name }) => `${path.replace(/\/+$/, "")}/${name}`);
    return names.sort();
  } catch (error) {
    // What is no directory is read as a file, which says what is wrong with it.
    if (error instanceof Deno.errors.NotCapable) throw error;
    return [path];
  }
}

function treeText(file: string, nodes: readonly TreeNode[]): string {
  const lines = [printable(file)];
  for (const [i, { kind, facts }] of nodes.entries()) {
    const isLast = i === nodes.length - 1;
    const title = nodes.length === 1 ? kind : `${kind} ${i + 1} of ${nodes.length}`;
    lines.push(`${isLast ? "└" : "├"}─ ${title}`);
    const width = Math.max(...Object.keys(facts).map((name) => name.length));
    for (const [name, value] of Object.entries(facts)) {
      lines.push(`${isLast ? " " : "│"}    ${name.padEnd(width)}  ${printable(value, Infinity)}`);
    }
  }
  return lines.join("\n");
}
