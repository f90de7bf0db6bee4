/** One line of the human monitor, executed. */

import { asInvoked, VirtcredsError } from "../base/mod.ts";
import { builtInHmp } from "./_built_in_hmp.ts";
import type { HmpCommand, Monitor, MonitorSession } from "./command.ts";
import { MonitorError } from "./error.ts";
import { parseArguments, splitWords, UsageError } from "./hmp_arguments.ts";
import { findCommand, helpText } from "./hmp_table.ts";

/**
 * Executes a line and gives what is printed, each line of it ended.
 *
 * An error that is not in QEMU's own words has its hints behind it.
 */
export async function executeLine(
  monitor: Monitor,
  line: string,
  session: MonitorSession,
): Promise<string> {
  const output = await execute(allCommands(monitor), line, session);
  return output === "" || output.endsWith("\n") ? output : `${output}\n`;
}

async function execute(
  commands: readonly HmpCommand[],
  line: string,
  session: MonitorSession,
): Promise<string> {
  let typed = "";
  try {
    const found = findCommand(commands, line);
    if (found === undefined) return "";
    typed = found.typed;
    const args = parseArguments(found.command, found.name, found.rest);
    return await found.command.run(args, session) ?? "";
  } catch (error) {
    if (error instanceof UsageError) {
      return [...error.lines, `Try "help ${typed}" for more information`].join("\n");
    }
    if (error instanceof MonitorError && error.code === "LINE") return error.message;
    if (!(error instanceof VirtcredsError)) throw error;
    const hints = error.hints.map((hint) => `hint: ${asInvoked(hint)}`);
    return [`Error: ${error.message}`, ...hints].join("\n");
  }
}

/** The commands of a monitor with those that every one has. */
export function allCommands(monitor: Monitor): readonly HmpCommand[] {
  const commands: HmpCommand[] = [...builtInHmp(monitor), ...monitor.hmp];
  commands.push({
    name: "help|?",
    parameters: [{ kind: "rest", name: "name", optional: true }],
    usage: "[cmd]",
    help: "show the help",
    run: (args) => helpText(commands, splitWords(args.get("name")) ?? []),
  });
  if (commands.some(({ name }) => name.startsWith("info "))) {
    commands.push({
      name: "info",
      parameters: [{ kind: "rest", name: "item", optional: true }],
      usage: "[subcommand]",
      help: "show various information about the system state",
      run: () => helpText(commands, ["info"]),
    });
  }
  return commands;
}
