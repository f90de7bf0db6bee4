/** The parameters of a migration that a user sets before it, named as QEMU names them. */

import { MigrationError } from "./error.ts";
import {
  type NumberParameter,
  PARAMETERS,
  type ParameterSpec,
  UNSHOWN,
} from "./parameter_table.ts";

/** What a parameter of a kind holds. */
type Held<S extends ParameterSpec> = S extends { kind: "number" } ? number
  : S extends { kind: "flag" } ? boolean
  : S extends { kind: "word"; words: readonly (infer W)[] } ? W
  : string;

/** The name of a parameter. */
export type ParameterName = keyof typeof PARAMETERS;

/** All parameters; {@linkcode PARAMETERS} says what each one is. An empty text was never set. */
export type MigrationParameters = {
  -readonly [N in ParameterName]: Held<(typeof PARAMETERS)[N]>;
};

/** Longest text that is taken. */
const MAX_TEXT = 255;
const UNITS = "KMGTPE";

/** Parameters as a program starts with them: QEMU's defaults. */
export function defaultParameters(): MigrationParameters {
  const values = Object.entries<ParameterSpec>(PARAMETERS).map(([name, spec]) => [
    name,
    spec.kind === "text" ? "" : spec.kind === "word" ? spec.words[0] : spec.default,
  ]);
  return Object.fromEntries(values);
}

/**
 * Sets one parameter from text, as QEMU's human monitor reads it: sizes take K, M, G or T, and
 * `max-bandwidth` without one is megabytes a second.
 *
 * @throws {MigrationError} `PARAMETER` in QEMU's words if there is no such parameter, or it does
 * not take the value.
 */
export function setParameter(
  parameters: MigrationParameters,
  name: string,
  value: string,
): void {
  const known = parameterName(name);
  setParameters(parameters, { [known]: parseParameter(known, value) });
}

/**
 * Sets parameters together: all of them, or with an error none.
 * @throws {MigrationError} `PARAMETER` in QEMU's words if one does not take its value.
 */
export function setParameters(
  parameters: MigrationParameters,
  values: Partial<MigrationParameters>,
): void {
  const all = { ...parameters, ...values };
  for (const name of Object.keys(PARAMETERS) as ParameterName[]) {
    if (values[name] !== undefined) checkParameter(name, all);
  }
  Object.assign(parameters, values);
}

/** The parameters as `info migrate_parameters` of QEMU 7.2 shows them. */
export function describeParameters(parameters: Readonly<MigrationParameters>): string {
  const names = (Object.keys(PARAMETERS) as ParameterName[]).filter((name) => !UNSHOWN.has(name));
  return names.map((name) => `${name}: ${show(PARAMETERS[name], parameters[name])}`).join("\n");
}

function show(spec: ParameterSpec, value: string | number | boolean): string {
  switch (spec.kind) {
    case "text":
      return `'${value}'`;
    case "flag":
      return value ? "on" : "off";
    case "word":
      return String(value);
    case "number":
      return `${value}${spec.unit ?? ""}`;
  }
}

/**
 * Finds a parameter.
 *
 * @throws {MigrationError} `PARAMETER` If there is none of that name.
 */
export function parameterName(name: string): ParameterName {
  if (Object.hasOwn(PARAMETERS, name)) return name as ParameterName;
  if (name === "block-bitmap-mapping") {
    throw refusedParameter(name, "The block-bitmap-mapping parameter can only be set through QMP");
  }
  const names = `one of: ${Object.keys(PARAMETERS).join(", ")}`;
  throw refusedParameter(cut(name), `invalid parameter value: ${cut(name)}`, names);
}

function parseParameter(name: ParameterName, text: string): string | number | boolean {
  const spec: ParameterSpec = PARAMETERS[name];
  switch (spec.kind) {
    case "text":
      return text;
    case "word":
      if (spec.words.includes(text)) return text;
      throw refusedParameter(
        name,
        `Parameter '${name}' does not accept value '${cut(text)}'`,
        `one of: ${spec.words.join(", ")}`,
      );
    case "flag":
      // qapi/opts-visitor.c takes all of these.
      if (/^(on|yes|true|y)$/.test(text)) return true;
      if (/^(off|no|false|n)$/.test(text)) return false;
      throw refusedParameter(name, `Parameter '${name}' expects 'on' or 'off'`);
    case "number":
      return parseNumber(name, spec, text);
  }
}

function parseNumber(name: ParameterName, spec: NumberParameter, text: string): number {
  if (spec.typed === "count") {
    const value = /^\s*-?(?:0x[0-9a-f]{1,16}|\d{1,20})$/i.test(text) ? Number(text) : NaN;
    if (Number.isNaN(value)) throw refusedParameter(name, `Parameter '${name}' expects uint64`);
    if (value >= 0 && value < 2 ** spec.bits) return value;
    throw refusedParameter(name, `Parameter '${name}' expects uint${spec.bits}_t`);
  }
  const value = parseSize(text, spec.typed === "megabytes" ? 2 ** 20 : 1);
  if (value !== undefined) return value;
  throw refusedParameter(
    name,
    spec.typed === "megabytes" ? `Invalid size ${cut(text)}` : `Parameter '${name}' ${NOT_A_SIZE}`,
  );
}

const NOT_A_SIZE = [
  "expects a non-negative number below 2^64",
  "Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-",
  "and exabytes, respectively.",
].join("\n");

/** A number with a unit (util/cutils.c, `qemu_strtosz`). */
function parseSize(text: string, bare: number): number | undefined {
  const match = /^(0x[0-9a-f]{1,16}|\d{1,20}(\.\d{1,18})?)([BKMGTPE]?)$/i.exec(text);
  if (match === null) return undefined;
  const [, digits = "", fraction, letter = ""] = match;
  const power = UNITS.indexOf(letter.toUpperCase() || "-") + 1;
  const unit = letter === "" ? bare : 2 ** (10 * power);
  const value = Math.trunc(Number(digits) * unit);
  // Half a byte is none.
  return (fraction !== undefined && unit === 1) || value >= 2 ** 64 ? undefined : value;
}

function checkParameter(name: ParameterName, all: MigrationParameters): void {
  const spec: ParameterSpec = PARAMETERS[name];
  const value = all[name];
  if (spec.kind === "text" && (String(value).length > MAX_TEXT || /\p{Cc}/u.test(String(value)))) {
    throw refusedParameter(
      name,
      `parameter '${name}' takes up to ${MAX_TEXT} printable characters`,
      name === "tls-hostname"
        ? "it is a name in the destination's certificate"
        : "it is the id of an --object",
    );
  }
  if (spec.kind !== "number") return;
  const number = Number(value);
  const isPower = name !== "xbzrle-cache-size" || Number.isInteger(Math.log2(number));
  const least = name === "max-cpu-throttle" ? all["cpu-throttle-initial"] : spec.least;
  if (number >= least && number <= spec.most && isPower) return;
  throw refusedParameter(
    name,
    `Parameter '${name.replaceAll("-", "_")}' expects ${spec.range}`,
    `it is ${spec.default}${spec.unit ?? ""} where nobody sets it`,
  );
}

function refusedParameter(option: string, text: string, hint?: string): MigrationError {
  return new MigrationError("PARAMETER", {
    option,
    text,
    ...(hint === undefined ? {} : { hint }),
  });
}

function cut(text: string): string {
  return text.slice(0, MAX_TEXT);
}
