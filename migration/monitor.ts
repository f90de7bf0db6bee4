/** The human monitor: QEMU's prompt, its way to read a line, its texts. */

import { asInvoked, printable, VirtcredsError } from "../base/mod.ts";
import { MigrationError } from "./error.ts";

/** A parameter of a command. */
export interface MonitorParameter {
  readonly name: string;
  readonly optional?: boolean;
}

/** A command of the monitor. */
export interface MonitorCommand {
  /** As typed; `info status` is one command. */
  readonly name: string;
  /** One letter each, without the dash. */
  readonly flags?: string;
  readonly parameters?: readonly MonitorParameter[];
  readonly help: string;
  /**
   * Does it; what it gives is printed.
   *
   * @throws {VirtcredsError} Printed behind `Error:`.
   */
  run(args: MonitorArguments): string | void | Promise<string | void>;
}

/** What was typed behind a command. */
export interface MonitorArguments {
  readonly flags: ReadonlySet<string>;
  readonly values: readonly string[];
}

/** How a monitor is run. */
export interface MonitorOptions {
  readonly commands: readonly MonitorCommand[];
  readonly input: ReadableStream<Uint8Array>;
  readonly output: (text: string) => void;
  /** Behind the banner's name. */
  readonly version: string;
  readonly signal?: AbortSignal;
}

/** Longest line in characters. */
const MAX_LINE = 4096;
const PROMPT = "(qemu) ";
const TOO_LONG = `line too long: a command has up to ${MAX_LINE} characters, nothing was done`;

/**
 * Reads and executes lines until `quit`, the end of the input or the signal.
 *
 * @returns `quit` if the user asked for the end, `eof` if the input ended.
 */
export async function runMonitor(options: MonitorOptions): Promise<"quit" | "eof"> {
  const { output, signal } = options;
  output(`virtcreds ${options.version} monitor - type 'help' for more information\n${PROMPT}`);
  for await (const line of linesOf(options.input, signal)) {
    if (line !== undefined && /^\s*(quit|q)\s*$/.test(line)) return "quit";
    const text = line === undefined ? TOO_LONG : await executeLine(options.commands, line);
    output((text === "" ? "" : `${text}\n`) + PROMPT);
  }
  output("\n");
  return "eof";
}

/** Executes one line and gives what QEMU would print. */
export async function executeLine(
  commands: readonly MonitorCommand[],
  line: string,
): Promise<string> {
  try {
    const words = splitLine(line);
    if (words.length === 0) return "";
    const [command, rest] = findCommand(withBuiltIns(commands), words);
    return await command.run(parseArguments(command, rest)) ?? "";
  } catch (error) {
    if (error instanceof MigrationError && error.code === "MONITOR") return error.message;
    if (!(error instanceof VirtcredsError)) throw error;
    return [`Error: ${error.message}`, ...error.hints.map((hint) => `hint: ${asInvoked(hint)}`)]
      .join("\n");
  }
}

function withBuiltIns(commands: readonly MonitorCommand[]): readonly MonitorCommand[] {
  const all: MonitorCommand[] = [...commands];
  const help = (name: string): MonitorCommand => ({
    name,
    parameters: [{ name: "cmd", optional: true }, { name: "sub", optional: true }],
    help: "show the help",
    run: ({ values }) => helpText(all, values),
  });
  all.push(help("help"), help("?"), {
    name: "quit",
    help: "quit the program",
    run: () => {},
  });
  return all;
}

function helpText(commands: readonly MonitorCommand[], words: readonly string[]): string {
  const prefix = words.join(" ");
  const named = commands.filter(({ name }) =>
    prefix === "" ? name !== "?" : name === prefix || name.startsWith(`${prefix} `)
  );
  if (named.length === 0) throw unknownCommand(prefix);
  return named.map(usageLine).sort().join("\n");
}

function usageLine(command: MonitorCommand): string {
  const flags = [...command.flags ?? ""].map((flag) => `[-${flag}]`).join("");
  const parameters = (command.parameters ?? [])
    .map(({ name, optional }) => optional ? `[${name}]` : name).join(" ");
  return `${[command.name, flags, parameters].filter((part) => part !== "").join(" ")}` +
    ` -- ${command.help}`;
}

function findCommand(
  commands: readonly MonitorCommand[],
  words: readonly string[],
): [MonitorCommand, readonly string[]] {
  for (const count of [2, 1]) {
    const name = words.slice(0, count).join(" ");
    const command = words.length >= count ? commands.find((c) => c.name === name) : undefined;
    if (command !== undefined) return [command, words.slice(count)];
  }
  if (words.length === 1 && words[0] === "info") {
    const help: MonitorCommand = {
      name: "info",
      help: "",
      run: () => helpText(commands, ["info"]),
    };
    return [help, []];
  }
  throw unknownCommand(words[0] === "info" ? words.slice(0, 2).join(" ") : words[0]!);
}

function parseArguments(command: MonitorCommand, words: readonly string[]): MonitorArguments {
  const flags = new Set<string>();
  const values: string[] = [];
  const parameters = command.parameters ?? [];
  for (const word of words) {
    const letter = values.length === 0 && /^-(\S)$/.exec(word)?.[1];
    if (letter && command.flags !== undefined) {
      if (!command.flags.includes(letter)) {
        throw misuse(command, `unsupported option -${printable(letter)}`);
      }
      flags.add(letter);
    } else values.push(word);
  }
  if (values.length < parameters.filter(({ optional }) => !optional).length) {
    throw misuse(command, "string expected");
  }
  if (values.length > parameters.length) {
    throw misuse(command, "extraneous characters at the end of line");
  }
  return { flags, values };
}

/** Splits at blanks; a string in quotes is one word, with C's escapes (QEMU monitor/hmp.c). */
function splitLine(line: string): string[] {
  const words: string[] = [];
  const pattern = /\s*(?:"((?:[^"\\]|\\.)*)"|([^\s"]\S*)|(".*))/y;
  const text = line.trim();
  while (pattern.lastIndex < text.length) {
    const match = pattern.exec(text);
    if (match === null) break;
    const [, quoted, bare, open] = match;
    if (open !== undefined) throw new MigrationError("MONITOR", { text: "unterminated string" });
    words.push(bare ?? quoted!.replace(/\\(.)/g, (_, c: string) => c === "n" ? "\n" : c));
  }
  return words;
}

/** The lines of the input; for one that is too long, nothing, once it has ended. */
async function* linesOf(
  input: ReadableStream<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncGenerator<string | undefined, void, void> {
  const reader = input.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>)
    .getReader();
  const abort = () => void reader.cancel().catch(() => {});
  signal?.addEventListener("abort", abort, { once: true });
  try {
    let held = "";
    let isTooLong = false;
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const lines = (held + value).split(/\r?\n/);
      held = lines.pop()!;
      for (const line of lines) {
        yield isTooLong || line.length > MAX_LINE ? undefined : line;
        isTooLong = false;
      }
      // What is over the limit is not kept, and what follows up to the line's end belongs to it.
      isTooLong ||= held.length > MAX_LINE;
      if (isTooLong) held = "";
    }
    if (isTooLong) yield undefined;
    else if (held !== "") yield held;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

function misuse(command: MonitorCommand, why: string): MigrationError {
  return new MigrationError("MONITOR", {
    text: `${command.name}: ${why}\nTry "help ${command.name}" for more information`,
  });
}

function unknownCommand(name: string): MigrationError {
  return new MigrationError("MONITOR", { text: `unknown command: '${printable(name)}'` });
}
