/**
 * The one way in: flags, help, errors, exit codes, for every command and program.
 *
 * The rules of the user interface:
 *
 * - Data goes to standard output, everything said to a person to standard error.
 * - A failure is one `error:` line, lower case at its start unless it quotes QEMU, no full stop,
 *   then `hint:` lines, each with something to do. Never a stack trace (`VIRTCREDS_DEBUG=1` shows it).
 * - Exit codes: 0 done, 1 the answer is no or the work failed, 2 wrong usage; 128 and the signal's
 *   number for what a signal ends.
 * - Help teaches by example; every `--help` ends with the exit codes.
 * - Lists are tables on a terminal and in a pipe alike; `--json` is for programs.
 * - Colour only on a terminal, never with `NO_COLOR`.
 * - A relative path is the user's, also in a task, which starts in the project's folder.
 */

import { parseArgs } from "@std/cli";
import { BaseError, printable, VERSION } from "../base/mod.ts";
import { commandHelp, groupHelp, typed } from "./_help.ts";
import { reportError } from "./_output.ts";

/** A flag of a command. */
export interface Flag {
  /** Without dashes. */
  readonly name: string;
  /** Name of the value in help; a flag without one is a switch. */
  readonly value?: string;
  /** May be given more than once. */
  readonly repeat?: boolean;
  /** The only values that are taken. */
  readonly choices?: readonly string[];
  readonly default?: string;
  readonly help: string;
}

/** What the user gave. */
export interface Input {
  readonly operands: readonly string[];
  /** A switch. */
  on(name: string): boolean;
  /** The value of a flag, or its default. */
  get(name: string): string | undefined;
  /** All values of a flag that repeats. */
  all(name: string): readonly string[];
  /** A whole number within bounds. */
  number(name: string, min: number, max: number): number | undefined;
}

/** A command: everything its help and its parser need. */
export interface Command {
  /** As typed: `ca issue`. */
  readonly name: string;
  readonly summary: string;
  /** Operands and the most used flags: `HOST… [--dns NAME]…`. */
  readonly usage: string;
  /** At least one, each with what it does. */
  readonly examples: readonly (readonly [command: string, what: string])[];
  readonly flags: readonly Flag[];
  /** How many operands are taken; none when absent. */
  readonly operands?: { readonly name: string; readonly min: number; readonly max: number };
  /** Meaning of exit code 1, where it is more than a failure. */
  readonly exitOne?: string;
  /** More text at the end of the help. */
  readonly notes?: string;
  /** Gives the exit code. */
  run(input: Input): Promise<number>;
}

/** Commands under one word: `ca`, `creds`. */
export interface CommandGroup {
  readonly name: string;
  readonly summary: string;
  readonly commands: readonly Command[];
}

/** Runs a group's command and ends the process with its exit code. */
export async function runGroup(group: CommandGroup, args: readonly string[]): Promise<never> {
  return await finish(() => dispatch(group, args));
}

/** Runs a program that is one command and ends the process with its exit code. */
export async function runProgram(command: Command, args: readonly string[]): Promise<never> {
  return await finish(() => runCommand(command, args));
}

/** Picks and runs the command of a group; gives the exit code. */
export async function dispatch(group: CommandGroup, args: readonly string[]): Promise<number> {
  const [word, ...rest] = args;
  if (word === undefined || word === "--help" || word === "-h" || word === "help") {
    const named = group.commands.find((c) => c.name === `${group.name} ${rest[0]}`);
    const text = word === "help" && named ? commandHelp(named) : groupHelp(group);
    if (word === undefined) console.error(text);
    else console.log(text);
    return word === undefined ? 2 : 0;
  }
  if (word === "--version") {
    console.log(`virtcreds ${VERSION}`);
    return 0;
  }
  const command = group.commands.find((c) => c.name === `${group.name} ${word}`);
  if (command === undefined) {
    throw usage(
      `unknown command '${group.name} ${printable(word)}'`,
      `one of: ${group.commands.map((c) => c.name.slice(group.name.length + 1)).join(", ")}`,
    );
  }
  return await runCommand(command, rest);
}

/** Parses the arguments and runs a command; gives the exit code. */
export async function runCommand(command: Command, args: readonly string[]): Promise<number> {
  enterUserDirectory();
  const end = args.indexOf("--");
  const own = end < 0 ? args : args.slice(0, end);
  if (own.some((arg) => arg === "--help" || arg === "-h" || arg === "-help")) {
    console.log(commandHelp(command));
    return 0;
  }
  return await command.run(parseInput(command, args));
}

/** Checks the arguments against the command's flags. */
export function parseInput(command: Command, args: readonly string[]): Input {
  const help = `see: ${typed(command.name)} --help`;
  const flags = new Map(command.flags.map((flag) => [flag.name, flag]));
  const given = joinDash(args.map((arg) => longOption(arg, flags)), flags);
  checkValues(given, flags, help);
  const unknown: string[] = [];
  const valued = command.flags.filter((flag) => flag.value !== undefined).map((f) => f.name);
  const parsed = parseArgs(given, {
    string: ["_", ...valued],
    boolean: command.flags.filter((flag) => flag.value === undefined).map((flag) => flag.name),
    collect: valued,
    "--": true,
    unknown: (arg: string, key?: string) => {
      if (key === undefined) return true;
      unknown.push(arg.replace(/=.*$/s, ""));
      return false;
    },
  });
  if (unknown.length > 0) throw usage(`unknown flag ${printable(unknown[0]!)}`, help);
  for (const flag of command.flags) checkFlag(flag, parsed[flag.name], help);
  const operands = [...parsed._, ...(parsed["--"] ?? [])].map(String);
  const { min, max, name } = command.operands ?? { min: 0, max: 0, name: "" };
  if (operands.length < min) throw usage(`missing ${name}`, help);
  if (operands.length > max) {
    throw usage(`unexpected argument '${printable(operands[max]!)}'`, help);
  }
  const all = (flag: string) => (parsed[flag] as string[] | undefined) ?? [];
  const get = (flag: string) => all(flag).at(-1) ?? flags.get(flag)?.default;
  return {
    operands,
    on: (flag) => parsed[flag] === true,
    get,
    all,
    number(flag, least, most) {
      const text = get(flag);
      if (text === undefined) return undefined;
      const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
      if (!(value >= least && value <= most)) {
        throw usage(
          `--${flag} takes a whole number from ${least} to ${most}, not '${printable(text)}'`,
          help,
        );
      }
      return value;
    },
  };
}

/** Refuses `--flag=` and `--switch=x`, which the parser below would take for something else. */
function checkValues(
  args: readonly string[],
  flags: ReadonlyMap<string, Flag>,
  help: string,
): void {
  for (const arg of args) {
    if (arg === "--") return;
    const match = /^--([^=]+)=(.*)$/s.exec(arg);
    const flag = match === null ? undefined : flags.get(match[1]!);
    if (flag === undefined) continue;
    if (flag.value === undefined) throw usage(`--${flag.name} takes no value`, help);
    checkFlag(flag, [match![2]!], help);
  }
}

function checkFlag(flag: Flag, value: unknown, help: string): void {
  if (flag.value === undefined) return;
  const values = value as string[];
  if (values.length > 1 && !flag.repeat) throw usage(`--${flag.name} is given twice`, help);
  for (const one of values) {
    if (one === "") throw usage(`--${flag.name} needs a value (${flag.value})`, help);
    if (flag.choices !== undefined && !flag.choices.includes(one)) {
      throw usage(
        `--${flag.name} does not take '${printable(one)}'`,
        `one of: ${flag.choices.join(", ")}`,
      );
    }
  }
}

/** QEMU's users write `-object`: one dash before a known long name is as good as two. */
function longOption(arg: string, flags: ReadonlyMap<string, Flag>): string {
  const match = /^-([a-z][a-z-]+)(=.*)?$/s.exec(arg);
  return match !== null && flags.has(match[1]!) ? `-${arg}` : arg;
}

/** A lone dash, which stands for standard input, is a value that the parser would drop. */
function joinDash(args: readonly string[], flags: ReadonlyMap<string, Flag>): string[] {
  const end = args.indexOf("--");
  const joined: string[] = [];
  for (const [i, arg] of args.entries()) {
    const last = joined.at(-1);
    const isValue = arg === "-" && (end < 0 || i < end) && last?.startsWith("--") === true &&
      flags.get(last.slice(2))?.value !== undefined;
    if (isValue) joined[joined.length - 1] = `${last}=-`;
    else joined.push(arg);
  }
  return joined;
}

/** A usage error: exit code 2. */
export function usage(text: string, hint: string | readonly string[]): BaseError {
  return new BaseError("USAGE", { text, hint });
}

/** Ctrl-C where the terminal sends no signal for it. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
}

/** What a shell gives for a program that SIGINT ended. */
const INTERRUPTED = 130;

/** Runs to the end of the process: reports a failure, exits with the code. */
export async function finish(work: () => Promise<number>): Promise<never> {
  let code: number;
  try {
    code = await work();
  } catch (error) {
    // A reader that went away (`| head`) is no failure to report to it.
    if (error instanceof Deno.errors.BrokenPipe) Deno.exit(1);
    if (error instanceof Interrupted) Deno.exit(INTERRUPTED);
    code = reportError(error);
  }
  Deno.exit(code);
}

/** A task starts in the project's folder; the user's own is in INIT_CWD. */
function enterUserDirectory(): void {
  const project = new URL("..", import.meta.url);
  const user = Deno.env.get("INIT_CWD");
  if (!user || project.protocol !== "file:") return;
  if (Deno.cwd() === project.pathname.replace(/\/$/, "")) Deno.chdir(user);
}
