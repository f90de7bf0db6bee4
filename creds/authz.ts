/** QEMU's authorization objects: who may come in, by identity (for TLS the distinguished name). */

import type { OptionValue } from "../base/mod.ts";
import {
  ANY,
  choice,
  type ObjectOptions,
  optionError,
  type Schema,
  STRING,
} from "./_properties.ts";

/** Properties of `authz-simple`. */
export const AUTHZ_SIMPLE_SCHEMA: Schema = { identity: { ...STRING, required: true } };

/** Properties of `authz-list`. */
export const AUTHZ_LIST_SCHEMA: Schema = { policy: choice("deny", "allow"), rules: ANY };

/** An authorization object. */
export interface Authz extends Disposable {
  readonly id: string;
  readonly kind: "authz";
  allows(identity: string): boolean;
  /** Why it lets nobody in, after a check: a list in a file that cannot be used. */
  readonly fault?: string | undefined;
}

/** Makes an `authz-simple`: one identity, exactly. */
export function makeAuthzSimple(options: ObjectOptions): Authz {
  const wanted = options.text("identity");
  return authz(options.id, (identity) => identity === wanted);
}

/** Makes an `authz-list`: the first rule that matches decides, else the policy. */
export function makeAuthzList(options: ObjectOptions): Authz {
  const otherwise = options.text("policy") === "allow";
  return authz(options.id, makeAuthzRules(options.value("rules") ?? [], otherwise, options.isJson));
}

/**
 * Makes the decision of a list.
 *
 * @throws {CredsError} `OBJECT_OPTION` with QEMU's text if the rules are none.
 */
export function makeAuthzRules(
  value: OptionValue,
  otherwise: boolean,
  isJson: boolean,
): (identity: string) => boolean {
  const rules = readRules(value, isJson);
  return (identity) => {
    const rule = rules.find(({ matches }) => matches(identity));
    return rule === undefined ? otherwise : rule.allow;
  };
}

interface Rule {
  readonly allow: boolean;
  matches(identity: string): boolean;
}

function readRules(value: OptionValue, isJson: boolean): Rule[] {
  if (!Array.isArray(value)) {
    throw optionError("rules", "Invalid parameter type for 'rules', expected: array", RULE_EXAMPLE);
  }
  return value.map((rule, i) => readRule(rule, isJson ? `rules[${i}]` : `rules.${i}`));
}

const RULE_EXAMPLE =
  "for example authz-list,id=az,rules.0.match=CN=vm*,rules.0.policy=allow,rules.0.format=glob";

function readRule(value: OptionValue, where: string): Rule {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw optionError(
      where,
      `Invalid parameter type for '${where}', expected: object`,
      RULE_EXAMPLE,
    );
  }
  const member = (name: string, values?: readonly string[]): string | undefined => {
    const given = Object.hasOwn(value, name) ? value[name] : undefined;
    if (given === undefined) return undefined;
    if (typeof given !== "string") {
      const text = `Invalid parameter type for '${where}.${name}', expected: string`;
      throw optionError(`${where}.${name}`, text, RULE_EXAMPLE);
    }
    if (values !== undefined && !values.includes(given)) {
      const text = `Parameter '${name}' does not accept value '${given}'`;
      throw optionError(`${where}.${name}`, text, `one of: ${values.join(", ")}`);
    }
    return given;
  };
  const match = member("match");
  const policy = member("policy", ["deny", "allow"]);
  const format = member("format", ["exact", "glob"]) ?? "exact";
  for (const [name, given] of [["match", match], ["policy", policy]]) {
    if (given !== undefined) continue;
    throw optionError(`${where}.${name}`, `Parameter '${where}.${name}' is missing`, RULE_EXAMPLE);
  }
  const unknown = Object.keys(value).find((name) => !["match", "policy", "format"].includes(name));
  if (unknown !== undefined) {
    const text = `Parameter '${where}.${unknown}' is unexpected`;
    throw optionError(`${where}.${unknown}`, text, RULE_EXAMPLE);
  }
  const matches = format === "glob" ? glob(match!) : (identity: string) => identity === match;
  return { allow: policy === "allow", matches };
}

/** GLib's patterns: `*` is any run of characters, `?` one of them, and nothing else is special. */
function glob(pattern: string): (identity: string) => boolean {
  const wanted = [...pattern];
  return (identity) => {
    const text = [...identity];
    let [at, star, retry] = [0, -1, 0];
    for (let i = 0; i < text.length;) {
      if (wanted[at] === "*") [star, retry] = [at++, i];
      else if (at < wanted.length && (wanted[at] === "?" || wanted[at] === text[i])) {
        [at, i] = [at + 1, i + 1];
      } else if (star >= 0) [at, i] = [star + 1, ++retry];
      else return false;
    }
    return wanted.slice(at).every((rest) => rest === "*");
  };
}

function authz(id: string, allows: (identity: string) => boolean): Authz {
  return { id, kind: "authz", allows, [Symbol.dispose]: () => {} };
}
