/**
 * QEMU's older option parser, `QemuOpts` (util/qemu-option.c), as far as `-chardev` needs it:
 * typed options, the last of a name wins, a bare name is a switch and deprecated.
 */

import { printable, splitOptions } from "../base/mod.ts";
import { ChardevError } from "./error.ts";

/** How an option's text is checked. */
export type OptionType = "string" | "bool" | "number" | "size";

/** Options as given, each valid for its type, and what QEMU warns of. */
export interface ParsedOptions {
  readonly id: string | undefined;
  /** The text they came from, as messages quote it. */
  readonly text: string;
  /** In the order given. */
  readonly names: readonly string[];
  readonly warnings: readonly OptionWarning[];
  string(name: string): string | undefined;
  bool(name: string): boolean | undefined;
  number(name: string): number | undefined;
}

/** A warning in QEMU's words and the advice that goes with it. */
export interface OptionWarning {
  readonly text: string;
  readonly hint: string;
}

/** What the options of a text are. */
export interface OptionGrammar {
  readonly types: Readonly<Record<string, OptionType>>;
  /** What to say to an option that is none of them. */
  readonly unknownHint: readonly string[];
}

/** Options that a text means without naming them, as the old forms do. */
export interface OptionFrame {
  /** The whole text, as messages quote it. */
  readonly text: string;
  /** The id, which no `id=` changes. */
  readonly id: string;
  /** The id need be no identifier: QMP takes any. */
  readonly anyId?: boolean;
  /** Come before the text's own, which may change them. */
  readonly before: readonly (readonly [name: string, value: string])[];
  /** Come after them. */
  readonly after?: readonly (readonly [name: string, value: string])[];
}

const BOOLS: Readonly<Record<string, boolean>> = {
  on: true,
  yes: true,
  true: true,
  y: true,
  off: false,
  no: false,
  false: false,
  n: false,
};

/** The units of a size, as powers of two. */
const UNITS = ["b", "k", "m", "g", "t", "p", "e"];

/**
 * Parses option text whose first token without `=` is the value of `implied`; where nothing is
 * implied it is a switch as any other.
 *
 * @throws {ChardevError} `OPTION` in QEMU's words.
 */
export function parseQemuOpts(
  text: string,
  implied: string | undefined,
  grammar: OptionGrammar,
  frame?: OptionFrame,
): ParsedOptions {
  const warnings: OptionWarning[] = [];
  const tokens = text === "" && frame !== undefined ? [] : splitOptions(text);
  const given = tokens.map(({ key, value }, index): readonly [string, string] => {
    if (value !== undefined) return [key, value];
    if (index === 0 && implied !== undefined) return [implied, key];
    const off = key.startsWith("no");
    const name = off ? key.slice(2) : key;
    warnings.push(shortForm(key, name, off));
    return [name, off ? "off" : "on"];
  });
  const whole = frame?.text ?? text;
  // QEMU takes the id out before it looks at anything else, and the first one.
  const id = frame?.id ?? given.find(([name]) => name === "id")?.[1];
  if (id !== undefined && !frame?.anyId && !/^[A-Za-z][\w.-]*$/.test(id)) throw badId(whole);
  const values = new Map<string, string | boolean | number>();
  for (const [name, value] of [...frame?.before ?? [], ...given, ...frame?.after ?? []]) {
    if (name === "id") continue;
    const type = Object.hasOwn(grammar.types, name) ? grammar.types[name]! : undefined;
    if (type === undefined) {
      throw new ChardevError("OPTION", {
        option: whole,
        text: `Invalid parameter '${printable(name)}'`,
        hint: grammar.unknownHint,
      });
    }
    values.set(name, convert(name, value, type, whole));
  }
  const get = <T>(name: string) => values.get(name) as T | undefined;
  return {
    id,
    text: whole,
    names: [...values.keys()],
    warnings,
    string: get<string>,
    bool: get<boolean>,
    number: get<number>,
  };
}

/** The error of an id that is none. */
export function badId(text: string): ChardevError {
  return new ChardevError("OPTION", {
    option: text,
    text: "Parameter 'id' expects an identifier",
    hint: "Identifiers consist of letters, digits, '-', '.', '_', starting with a letter.",
  });
}

function convert(
  name: string,
  value: string,
  type: OptionType,
  option: string,
): string | boolean | number {
  if (type === "string") return value;
  if (type === "bool") {
    if (Object.hasOwn(BOOLS, value)) return BOOLS[value]!;
    throw new ChardevError("OPTION", {
      option,
      text: `Parameter '${name}' expects 'on' or 'off'`,
      hint: `write ${name}=on or ${name}=off`,
    });
  }
  const number = type === "number" ? parseNumber(value) : parseSize(value);
  if (number === undefined) {
    throw new ChardevError("OPTION", {
      option,
      text: type === "number"
        ? `Parameter '${name}' expects a number`
        : `Parameter '${name}' expects a non-negative number below 2^64`,
      hint: type === "number"
        ? `write ${name}=10, or 0x10 for sixteen`
        : "Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta- and exabytes, respectively.",
    });
  }
  if (number >= 2 ** 64) {
    throw new ChardevError("OPTION", {
      option,
      text: `Value '${printable(value)}' is too large for parameter '${name}'`,
      hint: "a number is less than 2 to the power of 64",
    });
  }
  return number;
}

/** As strtoull() with base 0 reads it; a sign, which QEMU lets wrap, is refused. */
function parseNumber(value: string): number | undefined {
  const octal = /^0([0-7]+)$/.exec(value);
  if (octal !== null) return parseInt(octal[1]!, 8);
  return /^(0x[0-9a-f]+|0|[1-9]\d*)$/i.test(value) ? Number(value) : undefined;
}

/** A number of bytes as qemu_strtosz() reads it: decimal or hexadecimal, a fraction with a unit. */
function parseSize(value: string): number | undefined {
  if (/^0x[0-9a-f]+$/i.test(value)) return Number(value);
  const match = /^(\d+)(\.\d*)?([bkmgtpe])?$/i.exec(value);
  if (match === null) return undefined;
  const unit = UNITS.indexOf((match[3] ?? "b").toLowerCase());
  const fraction = Number(`0${match[2] ?? ""}`);
  if (fraction > 0 && unit === 0) return undefined;
  return Number(match[1]) * 1024 ** unit + Math.floor(fraction * 1024 ** unit);
}

function shortForm(key: string, name: string, off: boolean): OptionWarning {
  // QEMU's own exception: a bare `nodelay` turns the old option `delay` off.
  const instead = name === "delay"
    ? `nodelay=${off ? "on" : "off"}`
    : `${name}=${off ? "off" : "on"}`;
  return {
    text: `short-form boolean option '${printable(key)}' deprecated`,
    hint: `Please use ${printable(instead)} instead`,
  };
}
