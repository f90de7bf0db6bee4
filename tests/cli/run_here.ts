/** Commands run in the test's own process, which is much cheaper than one for each. */

import { VirtcredsError } from "../../base/mod.ts";
import { type CommandGroup, parseInput } from "../../cli/_command.ts";
import type { Finished } from "../support/command.ts";

/** Runs a command; relative paths are the project's. */
export async function runHere(
  group: CommandGroup,
  [word, ...args]: readonly string[],
): Promise<Finished> {
  const command = group.commands.find(({ name }) => name === `${group.name} ${word}`)!;
  const [stdout, stderr]: [string[], string[]] = [[], []];
  const { log, error: say } = console;
  console.log = (...texts) => void stdout.push(texts.join(" "));
  console.error = (...texts) => void stderr.push(texts.join(" "));
  const finished = (code: number): Finished => {
    const [out, err] = [stdout, stderr].map((lines) => lines.map((line) => `${line}\n`).join(""));
    return { code, stdout: out!, stderr: err! };
  };
  try {
    return finished(await command.run(parseInput(command, args)));
  } catch (error) {
    if (!(error instanceof VirtcredsError)) throw error;
    stderr.push(`error: ${error.message}`, ...error.hints.map((hint) => `hint: ${hint}`));
    return finished(error.exitCode);
  } finally {
    [console.log, console.error] = [log, say];
  }
}
