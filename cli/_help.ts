/** Help by example. */

import { asInvoked } from "../base/mod.ts";
import type { Command, CommandGroup, Flag } from "./_command.ts";

/** A command as it is typed: `deno task ca issue`, `deno run -A chardev/server.ts`. */
export function typed(name: string): string {
  return asInvoked(/^\S*\//.test(name) ? `deno run -A ${name}` : `deno task ${name}`);
}

/** An example may leave out how commands are started. */
function typedExample(text: string): string {
  return /^(ca|creds|migration|chardev|demo)\b/.test(text) ? typed(text) : asInvoked(text);
}

/** The help of a group: its commands, an example of each. */
export function groupHelp(group: CommandGroup): string {
  const width = Math.max(...group.commands.map((c) => c.name.length));
  return [
    `${group.summary}`,
    "",
    ...group.commands.map((c) => `  ${c.name.padEnd(width)}  ${c.summary}`),
    "",
    "Examples:",
    ...group.commands.flatMap((c) =>
      c.examples.slice(0, 1).map(([text]) => `  ${typedExample(text)}`)
    ),
    "",
    `Each command has --help. Exit codes: 0 done, 1 the answer is no or the work failed, 2 wrong usage.`,
  ].join("\n");
}

/** The help of a command. */
export function commandHelp(command: Command): string {
  const labels = command.flags.map((f) =>
    `--${f.name}${f.value === undefined ? "" : ` ${f.value}`}`
  );
  const width = Math.max(0, ...labels.map((label) => label.length));
  const describe = (flag: Flag) =>
    flag.help + (flag.choices ? ` (${flag.choices.join(", ")})` : "") +
    (flag.default === undefined ? "" : ` [${flag.default}]`) + (flag.repeat ? "; repeats" : "");
  return [
    `${command.summary}`,
    "",
    `Usage: ${typed(command.name)} ${command.usage}`.trimEnd(),
    "",
    "Examples:",
    ...command.examples.flatMap(([text, what]) => [
      `  # ${what}`,
      `  ${typedExample(text)}`,
    ]),
    ...(command.flags.length === 0 ? [] : ["", "Flags:"]),
    ...command.flags.map((flag, i) => `  ${labels[i]!.padEnd(width)}  ${describe(flag)}`),
    ...(command.notes === undefined ? [] : ["", asInvoked(command.notes)]),
    "",
    `Exit codes: 0 done, 1 ${command.exitOne ?? "the work failed"}, 2 wrong usage.`,
  ].join("\n");
}
