/** The shapes of arguments: what a command takes, checked with QEMU's messages. */

import { refused } from "./error.ts";
import { isJsonObject, type JsonValue } from "./json.ts";
import type { SchemaType } from "./schema.ts";

/** What a value has to be. */
export interface Shape<T> {
  /**
   * Gives the value, read.
   *
   * @param name The path to it in messages: `capabilities[0].state`.
   * @throws {MonitorError} `GENERIC` in QEMU's words if it is something else.
   */
  read(value: JsonValue, name: string): T;
  /** How `query-qmp-schema` tells of it. */
  readonly schema: SchemaType;
  /** May be left out. */
  readonly optional?: boolean;
}

/** The members of an object, in the order in which they are checked. */
export type Members = Readonly<Record<string, Shape<unknown>>>;

/** What the members give; one that may be left out is `undefined` then. */
export type Values<M extends Members> = {
  readonly [K in keyof M]: M[K] extends Shape<infer T> ? T : never;
};

/** Text. */
export const text: Shape<string> = {
  schema: { kind: "builtin", name: "str", json: "string" },
  read(value, name) {
    if (typeof value !== "string") throw wrongType(name, "string");
    return value;
  },
};

/** `true` or `false`. */
export const bool: Shape<boolean> = {
  schema: { kind: "builtin", name: "bool", json: "boolean" },
  read(value, name) {
    if (typeof value !== "boolean") throw wrongType(name, "boolean");
    return value;
  },
};

/** An integer of 64 bits with a sign. */
export const int: Shape<bigint> = {
  schema: { kind: "builtin", name: "int", json: "int" },
  read(value, name) {
    const number = integerOf(value);
    if (number === undefined || number >= 2n ** 63n) throw wrongType(name, "integer");
    return number;
  },
};

/** Text, or null, which stands for the empty text. */
export const textOrNull: Shape<string> = {
  schema: { kind: "alternate", of: ["str", "null"] },
  read(value, name) {
    if (value === null) return "";
    if (typeof value !== "string") throw wrongType(name, "StrOrNull");
    return value;
  },
};

/** Any value at all. */
export const anything: Shape<JsonValue> = {
  schema: { kind: "builtin", name: "any", json: "value" },
  read: (value) => value,
};

/** An integer without sign; a negative one of 64 bits wraps around, as in QEMU. */
export function unsigned(bits: 8 | 16 | 32 | 64): Shape<bigint> {
  return {
    schema: { kind: "builtin", name: bits === 64 ? "uint64" : `uint${bits}`, json: "int" },
    read(value, name) {
      const number = integerOf(value);
      if (number === undefined) throw refused(`Parameter '${name}' expects uint64`);
      const wrapped = BigInt.asUintN(64, number);
      if (wrapped < 2n ** BigInt(bits)) return wrapped;
      throw refused(`Parameter '${name}' expects uint${bits}_t`);
    },
  };
}

/** One of some words. */
export function oneOf<const W extends readonly string[]>(words: W): Shape<W[number]> {
  return {
    schema: { kind: "enum", values: words },
    read(value, name) {
      const word = text.read(value, name);
      if (words.includes(word)) return word;
      throw refused(`Parameter '${leaf(name)}' does not accept value '${word}'`);
    },
  };
}

/** A list of values of one shape. */
export function listOf<T>(item: Shape<T>): Shape<readonly T[]> {
  return {
    schema: { kind: "array", of: item.schema },
    read(value, name) {
      if (!Array.isArray(value)) throw wrongType(name, "array");
      return value.map((one, i) => item.read(one, `${name}[${i}]`));
    },
  };
}

/** An object with these members and no others. */
export function struct<M extends Members>(members: M): Shape<Values<M>> {
  return {
    schema: { kind: "object", members: schemaMembers(members) },
    read(value, name) {
      if (!isJsonObject(value)) throw wrongType(name, "object");
      return readMembers(members, value, `${name}.`);
    },
  };
}

/** The same, that may be left out. */
export function optional<T>(shape: Shape<T>): Shape<T | undefined> {
  return { ...shape, optional: true };
}

/**
 * Reads the members of an object.
 *
 * @param prefix In front of their names in messages.
 * @throws {MonitorError} `GENERIC` if one is missing, wrong, or not known.
 */
export function readMembers<M extends Members>(
  members: M,
  object: Readonly<Record<string, JsonValue>>,
  prefix = "",
): Values<M> {
  const values: Record<string, unknown> = {};
  for (const [name, shape] of Object.entries(members)) {
    const value = Object.hasOwn(object, name) ? object[name] : undefined;
    if (value !== undefined) values[name] = shape.read(value, prefix + name);
    else if (!shape.optional) throw refused(`Parameter '${prefix}${name}' is missing`);
  }
  const unknown = Object.keys(object).find((name) => !Object.hasOwn(members, name));
  if (unknown !== undefined) throw refused(`Parameter '${prefix}${unknown}' is unexpected`);
  return values as Values<M>;
}

/** The members as the schema lists them. */
export function schemaMembers(
  members: Members,
): readonly { readonly name: string; readonly type: SchemaType; readonly optional: boolean }[] {
  return Object.entries(members).map(([name, { schema, optional }]) => ({
    name,
    type: schema,
    optional: optional === true,
  }));
}

function integerOf(value: JsonValue): bigint | undefined {
  if (typeof value === "bigint") return value;
  return typeof value === "number" && Number.isSafeInteger(value) ? BigInt(value) : undefined;
}

/** The last part of a path; an item of a list has no name in QEMU, and shows as one. */
function leaf(name: string): string {
  return name.endsWith("]") ? "null" : name.slice(name.lastIndexOf(".") + 1);
}

function wrongType(name: string, expected: string): Error {
  return refused(`Invalid parameter type for '${name}', expected: ${expected}`);
}
