/** What stands behind a command of the human monitor, by its parameters, with QEMU's messages. */

import { printable } from "../base/mod.ts";
import type { HmpArguments, HmpCommand, HmpParameter } from "./command.ts";

/** A line that does not fit its command: what is printed, each a line. */
export class UsageError extends Error {
  override readonly name = "UsageError";

  constructor(readonly lines: readonly string[]) {
    super(lines.join("\n"));
  }
}

/** Longest word, as in QEMU. */
const MAX_WORD = 1023;

/**
 * Reads the arguments of a command (monitor/hmp.c, `monitor_parse_arguments`).
 *
 * @param name The command's, in messages.
 * @throws {UsageError} If they do not fit.
 */
export function parseArguments(command: HmpCommand, name: string, text: string): HmpArguments {
  const values = new Map<string, string | boolean>();
  const parameters = command.parameters ?? [];
  let rest = text.trimStart();
  for (const [i, parameter] of parameters.entries()) {
    rest = readParameter(parameter, parameters.slice(i + 1), name, rest, values).trimStart();
  }
  if (rest !== "") throw new UsageError([`${name}: extraneous characters at the end of line`]);
  return {
    on: (key) => values.get(key) === true,
    get: (key) => String(values.get(key) ?? ""),
    has: (key) => values.has(key),
  };
}

/** Reads one parameter and gives what is left of the line. */
function readParameter(
  parameter: HmpParameter,
  later: readonly HmpParameter[],
  name: string,
  rest: string,
  values: Map<string, string | boolean>,
): string {
  switch (parameter.kind) {
    case "flag":
      return readFlag(parameter.letter, parameter.name, later, name, rest, values);
    case "bool": {
      const [word = ""] = /^\S*/.exec(rest) ?? [];
      if (word !== "on" && word !== "off") throw new UsageError(["Expected 'on' or 'off'"]);
      values.set(parameter.name, word === "on");
      return rest.slice(word.length);
    }
    case "rest":
      if (rest === "" && parameter.optional) return rest;
      if (rest === "") throw new UsageError([`${name}: string expected`]);
      values.set(parameter.name, rest);
      return "";
    case "int": {
      if (rest === "" && parameter.optional) return rest;
      const [word = ""] = /^[+-]?(?:0x[0-9a-f]+|\d+)/i.exec(rest) ?? [];
      if (rest === "") throw new UsageError(["unexpected end of expression"]);
      if (word === "") {
        throw new UsageError([`invalid char '${printable(rest[0]!)}' in expression`]);
      }
      values.set(parameter.name, String(Number(word)));
      return rest.slice(word.length);
    }
    case "string": {
      if (rest === "" && parameter.optional) return rest;
      const { word, left, why } = readWord(rest);
      if (word === undefined) {
        throw new UsageError([...(why === undefined ? [] : [why]), `${name}: string expected`]);
      }
      values.set(parameter.name, word);
      return left;
    }
  }
}

function readFlag(
  letter: string,
  key: string,
  later: readonly HmpParameter[],
  name: string,
  rest: string,
  values: Map<string, string | boolean>,
): string {
  if (!rest.startsWith("-")) return rest;
  const given = rest.slice(1, 2);
  if (given === letter) {
    values.set(key, true);
    return rest.slice(2);
  }
  if (later.some((other) => other.kind === "flag" && other.letter === given)) return rest;
  throw new UsageError([`${name}: unsupported option -${printable(given)}`]);
}

/** A word: up to a blank, or in quotes with C's escapes; nothing if there is none. */
export function readWord(
  text: string,
): { readonly word?: string; readonly left: string; readonly why?: string } {
  if (text === "") return { left: "" };
  if (!text.startsWith('"')) {
    const [word = ""] = /^\S+/.exec(text) ?? [];
    return { word: word.slice(0, MAX_WORD), left: text.slice(word.length) };
  }
  let word = "";
  let i = 1;
  for (; i < text.length && text[i] !== '"'; i++) {
    if (text[i] !== "\\") word += text[i];
    else {
      const escaped = text[++i] ?? "";
      const meant = ({ n: "\n", r: "\r", "\\": "\\", "'": "'", '"': '"' } as Record<
        string,
        string
      >)[escaped];
      if (meant === undefined) {
        return { left: text, why: `unsupported escape code: '\\${printable(escaped)}'` };
      }
      word += meant;
    }
  }
  if (i >= text.length) return { left: text, why: "unterminated string" };
  return { word: word.slice(0, MAX_WORD), left: text.slice(i + 1) };
}

/** All the words of a line; nothing if one is not over. */
export function splitWords(line: string): string[] | undefined {
  const words: string[] = [];
  for (let rest = line.trimStart(); rest !== "";) {
    const { word, left } = readWord(rest);
    if (word === undefined) return undefined;
    words.push(word);
    rest = left.trimStart();
  }
  return words;
}
