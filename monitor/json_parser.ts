/** A JSON value out of its tokens, with QEMU's messages (qobject/json-parser.c). */

import type { JsonValue } from "./json.ts";
import type { Token, TokenKind } from "./json_lexer.ts";

/** What is wrong with a text, in QEMU's words without their beginning. */
export class JsonError extends Error {
  override readonly name = "JsonError";
}

/**
 * Parses one value; what stands behind it is left.
 *
 * @throws {JsonError} If the tokens are no value.
 */
export function parseTokens(tokens: readonly Token[]): JsonValue {
  let at = 0;
  const peek = (): Token => {
    const token = tokens[at];
    if (token === undefined) throw new JsonError("premature EOI");
    return token;
  };
  const pop = (): Token => {
    const token = peek();
    at++;
    return token;
  };

  function value(): JsonValue {
    const { kind, bytes } = peek();
    switch (kind) {
      case "{":
        return object();
      case "[":
        return list();
      case "string":
        return unescape(pop().bytes);
      case "integer":
        return integer(pop().bytes);
      case "float":
        return Number(pop().bytes);
      case "keyword":
        at++;
        if (!Object.hasOwn(KEYWORDS, bytes)) throw new JsonError(`invalid keyword '${bytes}'`);
        return KEYWORDS[bytes]!;
      default:
        throw new JsonError("expecting value");
    }
  }

  /** The members between two brackets. */
  function members(close: TokenKind, what: string, member: () => void): void {
    at++;
    if (peek().kind === close) return void at++;
    for (;;) {
      member();
      const { kind } = pop();
      if (kind === close) return;
      if (kind !== ",") throw new JsonError(`expected separator in ${what}`);
    }
  }

  function object(): JsonValue {
    const entries = new Map<string, JsonValue>();
    members("}", "dict", () => {
      const key = value();
      if (typeof key !== "string") throw new JsonError("key is not a string in object");
      if (pop().kind !== ":") throw new JsonError("missing : in object pair");
      const content = value();
      if (entries.has(key)) throw new JsonError("duplicate key");
      entries.set(key, content);
    });
    return Object.fromEntries(entries);
  }

  function list(): JsonValue {
    const items: JsonValue[] = [];
    members("]", "list", () => items.push(value()));
    return items;
  }

  return value();
}

const KEYWORDS: Readonly<Record<string, JsonValue>> = { true: true, false: false, null: null };

/** 64 bits with or without a sign; a larger one is a float, as in QEMU. */
function integer(text: string): number | bigint {
  const number = Number(text);
  if (Number.isSafeInteger(number)) return number === 0 ? 0 : number;
  const exact = BigInt(text);
  return exact >= -(2n ** 63n) && exact < 2n ** 64n ? exact : number;
}

const SIMPLE: Readonly<Record<string, string>> = {
  '"': '"',
  "'": "'",
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

function unescape(token: string): string {
  const bytes = Uint8Array.from(token.slice(1, -1), (c) => c.charCodeAt(0));
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new JsonError("invalid UTF-8 sequence in string");
  }
  return text.replace(
    /\\(?:u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})|u([0-9a-f]{4})|(u.{0,4}|.))/gisu,
    (match, high?: string, low?: string, unit?: string, other?: string) => {
      if (high !== undefined) {
        return String.fromCharCode(parseInt(high, 16), parseInt(low!, 16));
      }
      const code = unit === undefined ? NaN : parseInt(unit, 16);
      if (code < 0xd800 || code > 0xdfff) return String.fromCharCode(code);
      const simple = other === undefined ? undefined : SIMPLE[other];
      if (simple !== undefined) return simple;
      throw new JsonError(
        match.startsWith("\\u")
          // One that is cut off shows with the quote that cuts it off.
          ? `${
            match.padEnd(6, "\0").replace(/\0+/, token.at(-1)!)
          } is not a valid Unicode character`
          : "invalid escape sequence in string",
      );
    },
  );
}
