/** The table of the human monitor's commands: which one a line names, and what help says. */

import { printable } from "../base/mod.ts";
import type { HmpCommand } from "./command.ts";
import { MonitorError } from "./error.ts";

/** A command that was found, and where its arguments begin in the line. */
export interface FoundCommand {
  readonly command: HmpCommand;
  /** Its name without the word above it, as QEMU's messages have it. */
  readonly name: string;
  /** The part of the line that names it. */
  readonly typed: string;
  readonly rest: string;
}

/** Whether a word is one of the names of a command (`quit|q`). */
export function isNamed(names: string, word: string): boolean {
  return names.split("|").includes(word);
}

/** The commands below a word, under their own names; all that are below none without it. */
export function commandsBelow(
  commands: readonly HmpCommand[],
  above?: string,
): readonly { readonly name: string; readonly command: HmpCommand }[] {
  return commands.flatMap((command) => {
    const space = command.name.indexOf(" ");
    if (above === undefined) return space < 0 ? [{ name: command.name, command }] : [];
    return command.name.slice(0, space) === above && space >= 0
      ? [{ name: command.name.slice(space + 1), command }]
      : [];
  }).sort((a, b) => a.name < b.name ? -1 : 1);
}

/** Whether commands are below a word. */
export function isGroup(commands: readonly HmpCommand[], word: string): boolean {
  return commands.some(({ name }) => name.startsWith(`${word} `));
}

/**
 * Finds what a line names; nothing for an empty one.
 *
 * @throws {MonitorError} `LINE` if there is no such command.
 */
export function findCommand(
  commands: readonly HmpCommand[],
  line: string,
): FoundCommand | undefined {
  const [, word] = /^\s*([^\s/]+)/.exec(line) ?? [];
  if (word === undefined) {
    if (line.trim() === "") return undefined;
    throw unknown("");
  }
  let end = line.indexOf(word) + word.length;
  let found = commandsBelow(commands).find(({ name }) => isNamed(name, word));
  const [sub, below] = /^\s+([^\s/]+)/.exec(line.slice(end)) ?? [];
  if (sub !== undefined && isGroup(commands, word)) {
    end += sub.length;
    found = commandsBelow(commands, word).find(({ name }) => isNamed(name, below!));
  }
  const typed = line.slice(0, end);
  if (found === undefined) throw unknown(typed);
  return { command: found.command, name: found.name, typed: typed.trim(), rest: line.slice(end) };
}

/**
 * What `help` prints for the words behind it.
 *
 * @throws {MonitorError} `LINE` if they name no command.
 */
export function helpText(commands: readonly HmpCommand[], words: readonly string[]): string {
  const [word, below] = words;
  if (word === undefined) {
    return commandsBelow(commands).map(({ command }) => usage(command)).join("\n");
  }
  const isAbove = isGroup(commands, word);
  if (isAbove && below === undefined) {
    return commandsBelow(commands, word).map(({ command }) => usage(command)).join("\n");
  }
  const found = isAbove
    ? commandsBelow(commands, word).find(({ name }) => isNamed(name, below!))
    : commandsBelow(commands).find(({ name }) => isNamed(name, word));
  if (found === undefined) throw unknown(isAbove ? `${word} ${below}` : word);
  return usage(found.command);
}

function usage({ name, usage, help }: HmpCommand): string {
  return `${name} ${usage ?? ""} -- ${help}`;
}

function unknown(typed: string): MonitorError {
  return new MonitorError("LINE", { text: `unknown command: '${printable(typed)}'` });
}
