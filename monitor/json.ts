/** JSON as QMP has it: integers of 64 bits, and text written as QEMU writes it. */

/** A value; an integer that a `number` cannot hold is a `bigint`. */
export type JsonValue = null | boolean | number | bigint | string | JsonList | JsonObject;

/** A list. */
export type JsonList = readonly JsonValue[];

/** An object. */
export type JsonObject = { readonly [key: string]: JsonValue };

/** Whether a value is an object, and neither a list nor null. */
export function isJsonObject(value: JsonValue): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Writes a value as QEMU does (qobject/json-writer.c): ASCII alone, `, ` and `: ` between.
 *
 * @example An answer
 * ```ts
 * import { writeJson } from "@virtcreds/virtcreds/monitor";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(writeJson({ return: {}, id: "ä" }), '{"return": {}, "id": "\\u00E4"}');
 * ```
 */
export function writeJson(value: JsonValue): string {
  switch (typeof value) {
    case "string":
      return writeString(value);
    case "number":
      return writeNumber(value);
    case "object":
      break;
    default:
      return String(value);
  }
  if (value === null) return "null";
  if (Array.isArray(value)) return `[${value.map(writeJson).join(", ")}]`;
  const members = Object.entries(value).map(([k, v]) => `${writeString(k)}: ${writeJson(v)}`);
  return `{${members.join(", ")}}`;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};

function writeString(text: string): string {
  const escaped = text.replace(
    /[^\x20\x21\x23-\x5b\x5d-\x7e]/g,
    (unit) =>
      ESCAPES[unit] ?? `\\u${unit.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`,
  );
  return `"${escaped}"`;
}

/** As C's `%.17g`. */
function writeNumber(value: number): string {
  if (Number.isSafeInteger(value)) return Object.is(value, -0) ? "-0" : String(value);
  if (!Number.isFinite(value)) return String(value).replace("Infinity", "inf").toLowerCase();
  const [digits = "", exponent = "0"] = value.toExponential(16).split("e");
  const power = Number(exponent);
  if (power >= -4 && power < 17) {
    return trimZeros(value.toFixed(16 - power > 100 ? 100 : 16 - power));
  }
  const sign = power < 0 ? "-" : "+";
  return `${trimZeros(digits)}e${sign}${String(Math.abs(power)).padStart(2, "0")}`;
}

function trimZeros(text: string): string {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}
