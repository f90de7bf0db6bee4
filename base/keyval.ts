/**
 * QEMU's option syntax: `name,key=value,…` with a comma doubled inside a value, and JSON.
 *
 * Two parsers of QEMU read this text and differ in the details: `keyval` (`-object`) and
 * `QemuOpts` (`-chardev`). Both start from {@linkcode splitOptions}.
 */

import { BaseError } from "./error.ts";

/** One `key=value`; `value` is undefined where there was no `=`. */
export interface OptionToken {
  /** The text before the first `=`, or all of it. */
  readonly key: string;
  /** The text behind it, doubled commas made one. */
  readonly value: string | undefined;
}

/**
 * Splits at single commas; `,,` in a value is one comma that belongs to it.
 *
 * @example A DN in an authz rule
 * ```ts
 * import { splitOptions } from "@virtcreds/virtcreds/base";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(splitOptions("authz-simple,identity=O=Acme,,CN=a"), [
 *   { key: "authz-simple", value: undefined },
 *   { key: "identity", value: "O=Acme,CN=a" },
 * ]);
 * ```
 */
export function splitOptions(text: string): OptionToken[] {
  const tokens: OptionToken[] = [];
  let current = "";
  const flush = () => {
    const equals = current.indexOf("=");
    tokens.push(
      equals < 0
        ? { key: current, value: undefined }
        : { key: current.slice(0, equals), value: current.slice(equals + 1) },
    );
    current = "";
  };
  for (let i = 0; i < text.length; i++) {
    if (text[i] !== ",") current += text[i];
    else if (text[i + 1] === "," && current.includes("=")) {
      current += ",";
      i++;
    } else flush();
  }
  if (current !== "" || tokens.length === 0) flush();
  return tokens;
}

/** What an option tree holds: JSON without numbers as keys' values come as text. */
export type OptionValue =
  | string
  | number
  | boolean
  | null
  | OptionValue[]
  | { [key: string]: OptionValue };

/** The properties of one object option. */
export type OptionTree = { [key: string]: OptionValue };

/**
 * Parses `-object` text: JSON when it starts with `{`, else key=value in which dots nest
 * (`rules.0.match=x`) and the first token without `=` is the value of `impliedKey`.
 *
 * @param option The flag it came from, for the message.
 * @throws {BaseError} `KEYVAL` with QEMU's text.
 */
export function parseOptionTree(text: string, impliedKey: string, option: string): OptionTree {
  if (text.startsWith("{")) return parseJsonTree(text, option);
  const tree: OptionTree = {};
  splitOptions(text).forEach(({ key, value }, index) => {
    if (value === undefined && index === 0) return put(tree, [impliedKey], key, option);
    if (value === undefined) {
      throw keyvalError(
        option,
        key === "" ? "Expected parameter before ','" : `Expected '=' after parameter '${key}'`,
      );
    }
    const path = key.split(".");
    if (
      !path.every((part, i) => (i > 0 && /^\d{1,4}$/.test(part)) || /^[A-Za-z][\w-]*$/.test(part))
    ) {
      throw keyvalError(option, `Invalid parameter '${key}'`);
    }
    put(tree, path, value, option);
  });
  return foldLists(tree) as OptionTree;
}

function parseJsonTree(text: string, option: string): OptionTree {
  try {
    return JSON.parse(text);
  } catch (error) {
    // The engine's text quotes what it read, which may be a secret's data.
    const position = / at position (\d+)/.exec((error as Error).message)?.[1];
    throw keyvalError(
      option,
      `JSON parse error, invalid syntax${position ? ` at character ${position}` : ""}`,
    );
  }
}

function put(tree: OptionTree, path: readonly string[], value: string, option: string): void {
  let node: OptionTree = tree;
  for (const [depth, part] of path.entries()) {
    const there = Object.hasOwn(node, part) ? node[part] : undefined;
    const last = depth === path.length - 1;
    if (there !== undefined && last !== (typeof there === "string")) {
      throw keyvalError(
        option,
        `Parameters '${path.slice(0, depth + 1).join(".")}.*' used inconsistently`,
      );
    }
    if (last) {
      Object.defineProperty(node, part, {
        value,
        enumerable: true,
        writable: true,
        configurable: true,
      });
    } else {
      const next: OptionTree = (there as OptionTree | undefined) ?? Object.create(null);
      node[part] = next;
      node = next;
    }
  }
}

/** Turns a node whose keys are all numbers into a list, as keyval does. */
function foldLists(value: OptionValue): OptionValue {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const entries = Object.entries(value).map(([key, v]) => [key, foldLists(v)] as const);
  if (entries.length > 0 && entries.every(([key], i) => key === String(i))) {
    return entries.map(([, v]) => v);
  }
  return Object.fromEntries(entries);
}

function keyvalError(option: string, text: string): BaseError {
  return new BaseError("KEYVAL", { option, text: `${option}: ${text}` });
}
