/** JSON values out of a stream of bytes: where one ends decides its brackets, not its line. */

import { printable } from "../base/mod.ts";
import type { JsonValue } from "./json.ts";
import { makeLexer, type Token } from "./json_lexer.ts";
import { JsonError, parseTokens } from "./json_parser.ts";

/** Most bytes of one value; QEMU takes 64 MiB. */
export const MAX_JSON_BYTES = 1024 * 1024;
/** Most tokens of one value; QEMU takes 2 Mi. */
export const MAX_JSON_TOKENS = 64 * 1024;
/** Most brackets that are open at once, as in QEMU (qobject/json-streamer.c). */
export const MAX_JSON_NESTING = 1024;

/** What came: a value, or what is wrong in QEMU's words. */
export type JsonInput =
  | { readonly kind: "value"; readonly value: JsonValue }
  | { readonly kind: "error"; readonly text: string };

/**
 * Reads values out of bytes as QEMU does: what is broken costs one error, and reading goes on
 * behind it.
 *
 * @example Two commands in one piece
 * ```ts
 * import { readJson } from "@virtcreds/virtcreds/monitor";
 * import { assertEquals } from "@std/assert";
 *
 * const push = readJson();
 * assertEquals([...push(new TextEncoder().encode("[1] {'a': "))].length, 1);
 * assertEquals([...push(new TextEncoder().encode("2}"))], [{ kind: "value", value: { a: 2 } }]);
 * ```
 */
export function readJson(): (bytes: Uint8Array) => Generator<JsonInput, void, void> {
  const lexer = makeLexer();
  let tokens: Token[] = [];
  let [braces, brackets, size] = [0, 0, 0];

  function reset(): Token[] {
    const all = tokens;
    [tokens, braces, brackets, size] = [[], 0, 0, 0];
    return all;
  }

  function* take(token: Token): Generator<JsonInput, void, void> {
    if (token.kind === "error") {
      reset();
      return yield { kind: "error", text: `JSON parse error, stray '${shown(token.bytes)}'` };
    }
    if (token.kind === "{") braces++;
    else if (token.kind === "}") braces--;
    else if (token.kind === "[") brackets++;
    else if (token.kind === "]") brackets--;
    tokens.push(token);
    size += token.bytes.length;
    if (braces < 0 || brackets < 0 || (braces === 0 && brackets === 0)) return yield parse(reset());
    const limit = size > MAX_JSON_BYTES
      ? "token size"
      : tokens.length > MAX_JSON_TOKENS
      ? "token count"
      : braces + brackets > MAX_JSON_NESTING
      ? "nesting depth"
      : undefined;
    if (limit === undefined) return;
    reset();
    yield { kind: "error", text: `JSON ${limit} limit exceeded` };
  }

  return function* (bytes) {
    for (const byte of bytes) {
      for (const token of lexer.push(String.fromCharCode(byte))) yield* take(token);
      if (lexer.pending <= MAX_JSON_BYTES) continue;
      lexer.recover();
      reset();
      yield { kind: "error", text: "JSON token size limit exceeded" };
    }
  };
}

function parse(tokens: readonly Token[]): JsonInput {
  try {
    return { kind: "value", value: parseTokens(tokens) };
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    return { kind: "error", text: `JSON parse error, ${error.message}` };
  }
}

/** Foreign bytes, as QEMU puts them into a message; cut, for they come back to whoever sent them. */
function shown(bytes: string): string {
  const text = new TextDecoder().decode(
    Uint8Array.from(bytes.slice(0, 200), (c) => c.charCodeAt(0)),
  );
  return /\p{Cc}/u.test(text) ? text : printable(text);
}
