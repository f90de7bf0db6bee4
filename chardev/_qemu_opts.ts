/**
 * QEMU's older option parser, `QemuOpts` (util/qemu-option.c), as far as `-chardev` needs it:
 * typed options, the last of a name wins, a bare name is a switch and deprecated.
 */

import { printable, splitOptions } from "../base/mod.ts";
import { ChardevError } from "./error.ts";

/** How an option's text is checked. */
export type OptionType = "string" | "bool" | "number";

/** Options as given, each valid for its type, and what QEMU warns of. */
export interface ParsedOptions {
  readonly id: string | undefined;
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

/**
 * Parses option text whose first token without `=` is the value of `implied`.
 *
 * @param unknownHint What to say to an option that is none of `types`.
 *
 * @throws {ChardevError} `OPTION` in QEMU's words.
 */
export function parseQemuOpts(
  text: string,
  implied: string,
  types: Readonly<Record<string, OptionType>>,
  unknownHint: readonly string[],
): ParsedOptions {
  const warnings: OptionWarning[] = [];
  const given = splitOptions(text).map(({ key, value }, index): [string, string] => {
    if (value !== undefined) return [key, value];
    if (index === 0) return [implied, key];
    const off = key.startsWith("no");
    const name = off ? key.slice(2) : key;
    warnings.push(shortForm(key, name, off));
    return [name, off ? "off" : "on"];
  });
  // QEMU takes the id out before it looks at anything else, and the first one.
  const id = given.find(([name]) => name === "id")?.[1];
  if (id !== undefined && !/^[A-Za-z][\w.-]*$/.test(id)) {
    throw new ChardevError("OPTION", {
      option: text,
      text: "Parameter 'id' expects an identifier",
      hint: "Identifiers consist of letters, digits, '-', '.', '_', starting with a letter.",
    });
  }
  const values = new Map<string, string | boolean | number>();
  for (const [name, value] of given) {
    if (name === "id") continue;
    const type = Object.hasOwn(types, name) ? types[name]! : undefined;
    if (type === undefined) {
      throw new ChardevError("OPTION", {
        option: text,
        text: `Invalid parameter '${printable(name)}'`,
        hint: unknownHint,
      });
    }
    values.set(name, convert(name, value, type, text));
  }
  const get = <T>(name: string) => values.get(name) as T | undefined;
  return {
    id,
    names: [...values.keys()],
    warnings,
    string: get<string>,
    bool: get<boolean>,
    number: get<number>,
  };
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
  // As strtoull() with base 0 reads it; a sign, which QEMU lets wrap, is refused.
  const octal = /^0([0-7]+)$/.exec(value);
  const number = octal !== null
    ? parseInt(octal[1]!, 8)
    : /^(0x[0-9a-f]+|0|[1-9]\d*)$/i.test(value)
    ? Number(value)
    : NaN;
  if (Number.isNaN(number)) {
    throw new ChardevError("OPTION", {
      option,
      text: `Parameter '${name}' expects a number`,
      hint: `write ${name}=10, or 0x10 for sixteen`,
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
