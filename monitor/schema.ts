/** What `query-qmp-schema` answers: the commands, events and types, as QEMU numbers them. */

import type { JsonObject, JsonValue } from "./json.ts";

/** A type of the schema (qapi/introspect.json). */
export type SchemaType =
  | { readonly kind: "builtin"; readonly name: string; readonly json: string }
  | { readonly kind: "enum"; readonly values: readonly string[] }
  | { readonly kind: "array"; readonly of: SchemaType }
  | { readonly kind: "alternate"; readonly of: readonly ("str" | "null")[] }
  | {
    readonly kind: "object";
    readonly members: readonly {
      readonly name: string;
      readonly type: SchemaType;
      readonly optional: boolean;
    }[];
  };

/** The type of a thing without members. */
const EMPTY: SchemaType = { kind: "object", members: [] };
const ANY: SchemaType = { kind: "builtin", name: "any", json: "value" };
const SIMPLE: Readonly<Record<"str" | "null", SchemaType>> = {
  str: { kind: "builtin", name: "str", json: "string" },
  null: { kind: "builtin", name: "null", json: "null" },
};

/** What a schema is made of. */
export interface SchemaSource {
  readonly commands: readonly {
    readonly name: string;
    readonly args: SchemaType;
    readonly oob?: boolean;
  }[];
  readonly events: readonly string[];
}

/** Makes the answer. What a command returns is `any`: clients look for names and arguments. */
export function makeSchema({ commands, events }: SchemaSource): JsonValue {
  const types: JsonObject[] = [];
  const names = new Map<string, string>();

  /** The name of a type, made once for what is the same. */
  function nameOf(type: SchemaType): string {
    if (type.kind === "builtin") {
      add(type.name, type.name, { "meta-type": "builtin", "json-type": type.json });
      return type.name;
    }
    const key = JSON.stringify(type);
    const known = names.get(key);
    if (known !== undefined) return known;
    const name = type.kind === "array" ? `[${nameOf(type.of)}]` : String(names.size);
    return add(key, name, entryOf(type));
  }

  function add(key: string, name: string, entry: JsonObject): string {
    if (!names.has(key)) types.push({ name, ...entry });
    names.set(key, name);
    return name;
  }

  function entryOf(type: Exclude<SchemaType, { kind: "builtin" }>): JsonObject {
    switch (type.kind) {
      case "enum":
        return {
          "meta-type": "enum",
          members: type.values.map((name) => ({ name })),
          values: type.values,
        };
      case "array":
        return { "meta-type": "array", "element-type": nameOf(type.of) };
      case "alternate":
        return {
          "meta-type": "alternate",
          members: type.of.map((name) => ({ type: nameOf(SIMPLE[name]) })),
        };
      case "object":
        return {
          "meta-type": "object",
          members: type.members.map(({ name, type, optional }) => ({
            name,
            // A default of null is how the schema says that a member may be left out.
            ...(optional ? { default: null } : {}),
            type: nameOf(type),
          })),
        };
    }
  }

  const entries: JsonObject[] = [
    ...commands.map(({ name, args, oob }) => ({
      name,
      ...(oob ? { "allow-oob": true } : {}),
      "ret-type": nameOf(ANY),
      "meta-type": "command",
      "arg-type": nameOf(args),
    })),
    ...events.map((name) => ({ name, "meta-type": "event", "arg-type": nameOf(EMPTY) })),
  ];
  return [...entries, ...types];
}
