/** What commands say of arguments that they refuse, found out without a process for each. */

import { VirtcredsError } from "../../base/mod.ts";
import { type CommandGroup, parseInput } from "../../cli/_command.ts";
import type { Finished } from "../support/command.ts";

/** Runs a command that is to fail before it does anything; relative paths are the project's. */
export async function refusalOf(
  group: CommandGroup,
  [word, ...args]: readonly string[],
): Promise<Finished> {
  const command = group.commands.find(({ name }) => name === `${group.name} ${word}`)!;
  const printed: string[] = [];
  const print = console.log;
  console.log = (...texts) => void printed.push(texts.join(" "));
  const stdout = () => printed.map((line) => `${line}\n`).join("");
  try {
    const code = await command.run(parseInput(command, args));
    return { code, stdout: stdout(), stderr: "" };
  } catch (error) {
    if (!(error instanceof VirtcredsError)) throw error;
    const lines = [`error: ${error.message}`, ...error.hints.map((hint) => `hint: ${hint}`)];
    return { code: error.exitCode, stdout: stdout(), stderr: lines.join("\n") + "\n" };
  } finally {
    console.log = print;
  }
}
