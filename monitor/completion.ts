/** What the tab key offers. */

import type { HmpCommand } from "./command.ts";
import { splitWords } from "./hmp_arguments.ts";
import { commandsBelow, isGroup, isNamed } from "./hmp_table.ts";

/** The words that may stand at the end of a line, and the part of them that stands there. */
export interface Completion {
  readonly prefix: string;
  readonly words: readonly string[];
}

/** Finds the completions of a line (monitor/hmp.c, `monitor_find_completion`). */
export function completeLine(commands: readonly HmpCommand[], line: string): Completion {
  const words = splitWords(line);
  if (words === undefined) return { prefix: "", words: [] };
  if (words.length === 0 || /\s$/.test(line)) words.push("");
  const prefix = words.at(-1)!;
  const all = candidates(commands, words.slice(0, -1));
  return { prefix, words: all.filter((word) => word.startsWith(prefix)) };
}

function candidates(commands: readonly HmpCommand[], before: readonly string[]): string[] {
  const [word, ...rest] = before;
  if (word === undefined) return namesOf(commands);
  if (isNamed("help|?", word)) return candidates(commands, rest);
  if (isGroup(commands, word)) {
    const [below, ...args] = rest;
    if (below === undefined) return namesOf(commands, word);
    const found = commandsBelow(commands, word).find(({ name }) => isNamed(name, below));
    return [...found?.command.complete?.(args) ?? []];
  }
  const found = commandsBelow(commands).find(({ name }) => isNamed(name, word));
  return [...found?.command.complete?.(rest) ?? []];
}

function namesOf(commands: readonly HmpCommand[], above?: string): string[] {
  return commandsBelow(commands, above).flatMap(({ name }) => name.split("|"));
}
