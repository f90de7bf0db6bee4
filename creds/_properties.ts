/** The properties of QEMU's objects: which there are, how their values are read, QEMU's errors. */

import { type OptionTree, type OptionValue, parseOptionTree } from "../base/mod.ts";
import { CredsError } from "./error.ts";

/** What a property holds. */
export type PropertyKind =
  | { readonly kind: "string" }
  | { readonly kind: "boolean" }
  | { readonly kind: "enum"; readonly values: readonly string[] }
  /** QEMU knows it and lets nobody set it. */
  | { readonly kind: "readonly" }
  | { readonly kind: "any" };

/** The properties of one type of object, in the order in which QEMU reads them. */
export type Schema = Readonly<Record<string, PropertyKind & { readonly required?: true }>>;

/** An object as the user asked for it. */
export interface ObjectOptions {
  readonly type: string;
  readonly id: string;
  /** Whether it was JSON, not key=value. */
  readonly isJson: boolean;
  text(property: string): string | undefined;
  flag(property: string, otherwise: boolean): boolean;
  value(property: string): OptionValue | undefined;
}

export const STRING = { kind: "string" } as const;
export const BOOLEAN = { kind: "boolean" } as const;
export const READONLY = { kind: "readonly" } as const;
export const ANY = { kind: "any" } as const;
/** A string out of a list. */
export function choice(...values: readonly string[]): PropertyKind {
  return { kind: "enum", values };
}

const EXAMPLE = "for example --object tls-creds-x509,id=tls0,dir=/etc/pki/qemu,endpoint=server";

/**
 * Reads the text of `--object` by the schema of its type.
 *
 * @throws {CredsError} `OBJECT_OPTION` or `OBJECT_TYPE` with QEMU's text.
 */
export function parseObject(
  text: string,
  schemas: Readonly<Record<string, Schema>>,
): ObjectOptions {
  const tree = parseOptionTree(text, "qom-type", "--object");
  const isJson = text.startsWith("{");
  const type = requireText(tree, "qom-type");
  const schema = Object.hasOwn(schemas, type) ? schemas[type] : undefined;
  if (schema === undefined) {
    throw new CredsError("OBJECT_TYPE", {
      value: type,
      text: `Parameter 'qom-type' does not accept value '${type}'`,
      hint: `one of: ${Object.keys(schemas).join(", ")}`,
    });
  }
  const id = requireText(tree, "id");
  const values = new Map<string, OptionValue>();
  for (const [property, kind] of Object.entries(schema)) {
    const value = Object.hasOwn(tree, property) ? tree[property] : undefined;
    if (value !== undefined) values.set(property, readValue(property, kind, value, isJson, type));
    else if (kind.required) throw missing(property, exampleOf(type));
  }
  const unknown = Object.keys(tree).find((property) =>
    property !== "qom-type" && property !== "id" && !Object.hasOwn(schema, property)
  );
  if (unknown !== undefined) {
    throw optionError(unknown, `Parameter '${unknown}' is unexpected`, [
      ...isJson ? [] : doubledComma(unknown, tree[unknown], values.get("identity")),
      `${type} takes ${Object.keys(schema).join(", ")}`,
    ]);
  }
  if (!/^[A-Za-z][A-Za-z0-9._-]*$/.test(id)) {
    throw optionError("id", "Parameter 'id' expects an identifier", IDENTIFIER_HINT);
  }
  return {
    type,
    id,
    isJson,
    text: (property) => values.get(property) as string | undefined,
    flag: (property, otherwise) => values.get(property) as boolean | undefined ?? otherwise,
    value: (property) => values.get(property),
  };
}

const IDENTIFIER_HINT =
  "Identifiers consist of letters, digits, '-', '.', '_', starting with a letter.";

/** An error about a property, in QEMU's words. */
export function optionError(
  option: string,
  text: string,
  hint: string | readonly string[] = EXAMPLE,
): CredsError {
  return new CredsError("OBJECT_OPTION", { option, text, hint });
}

function requireText(tree: OptionTree, property: string): string {
  const value = Object.hasOwn(tree, property) ? tree[property] : undefined;
  if (value === undefined) throw missing(property);
  if (typeof value !== "string") throw wrongType(property, "string");
  return value;
}

function readValue(
  property: string,
  kind: PropertyKind,
  value: OptionValue,
  isJson: boolean,
  type: string,
): OptionValue {
  if (kind.kind === "any") return value;
  if (kind.kind === "readonly") {
    throw optionError(property, `Property '${type}.${property}' is not writable`);
  }
  if (kind.kind === "boolean") return readBoolean(property, value, isJson);
  if (typeof value !== "string") throw wrongType(property, "string");
  if (kind.kind === "enum" && !kind.values.includes(value)) {
    const text = `Parameter '${property}' does not accept value '${value}'`;
    throw optionError(property, text, `one of: ${kind.values.join(", ")}`);
  }
  return value;
}

function readBoolean(property: string, value: OptionValue, isJson: boolean): boolean {
  if (isJson) {
    if (typeof value !== "boolean") throw wrongType(property, "boolean");
    return value;
  }
  if (typeof value !== "string") throw wrongType(property, "boolean");
  if (["on", "yes", "true", "y"].includes(value)) return true;
  if (["off", "no", "false", "n"].includes(value)) return false;
  throw optionError(property, `Parameter '${property}' expects 'on' or 'off'`);
}

function missing(property: string, example?: string): CredsError {
  return optionError(property, `Parameter '${property}' is missing`, example);
}

/** What an authorization is given, for which credentials are no example. */
function exampleOf(type: string): string | undefined {
  return type === "authz-simple"
    ? "for example --object 'authz-simple,id=az,identity=O=virtcreds CA,,CN=console.example'"
    : undefined;
}

/** A distinguished name whose comma is not doubled ends at it. */
function doubledComma(property: string, value: unknown, identity: unknown): string[] {
  if (typeof identity !== "string" || typeof value !== "string") return [];
  return [`a comma inside a name is doubled: identity=${identity},,${property}=${value}`];
}

function wrongType(property: string, expected: string): CredsError {
  return optionError(
    property,
    `Invalid parameter type for '${property}', expected: ${expected}`,
  );
}
