/** The tokens of QMP's JSON, byte by byte, with QEMU's extensions and its way out of an error. */

/** What a token is; a structural character is its own kind. */
export type TokenKind =
  | "{"
  | "}"
  | "["
  | "]"
  | ":"
  | ","
  | "string"
  | "integer"
  | "float"
  | "keyword"
  | "error";

/** A piece of JSON. */
export interface Token {
  readonly kind: TokenKind;
  /** The bytes, one a character. */
  readonly bytes: string;
}

/** Where in a token the lexer is (qobject/json-lexer.c has the same states). */
type State =
  | "start"
  | "recovery"
  | "keyword"
  | "double"
  | "double-escape"
  | "single"
  | "single-escape"
  | "sign"
  | "zero"
  | "digits"
  | "point"
  | "fraction"
  | "exponent"
  | "exponent-sign"
  | "exponent-digits";

/** What the next byte does: the state after it, or `end` before it, `last` with it, or an error. */
type Step = State | "end" | "last" | "error";

const isDigit = (c: string): boolean => c >= "0" && c <= "9";
const isStructural = (c: string): boolean => c.length === 1 && "{}[]:,".includes(c);
/** What cannot be in a string: control characters, and the bytes that UTF-8 never has. */
const isForbidden = (c: string): boolean => c < " " || c >= "\xfe";

const FINAL: { readonly [state in State]?: TokenKind } = {
  keyword: "keyword",
  zero: "integer",
  digits: "integer",
  fraction: "float",
  "exponent-digits": "float",
};

const STEPS: { readonly [state in State]: (c: string) => Step } = {
  start: (c) => {
    if (" \t\r\n".includes(c)) return "start";
    if (isStructural(c)) return "last";
    if (c === '"') return "double";
    if (c === "'") return "single";
    if (c === "-") return "sign";
    if (c === "0") return "zero";
    if (isDigit(c)) return "digits";
    return c >= "a" && c <= "z" ? "keyword" : "error";
  },
  recovery: (c) => isForbidden(c) || isStructural(c) ? "end" : "recovery",
  keyword: (c) => c >= "a" && c <= "z" ? "keyword" : "end",
  double: (c) => c === '"' ? "last" : c === "\\" ? "double-escape" : inString("double", c),
  "double-escape": (c) => inString("double", c),
  single: (c) => c === "'" ? "last" : c === "\\" ? "single-escape" : inString("single", c),
  "single-escape": (c) => inString("single", c),
  sign: (c) => c === "0" ? "zero" : isDigit(c) ? "digits" : "error",
  zero: (c) => isDigit(c) ? "error" : c === "." ? "point" : "end",
  digits: (c) => isDigit(c) ? "digits" : c === "." ? "point" : /[eE]/.test(c) ? "exponent" : "end",
  point: (c) => isDigit(c) ? "fraction" : "error",
  fraction: (c) => isDigit(c) ? "fraction" : /[eE]/.test(c) ? "exponent" : "end",
  exponent: (c) => isDigit(c) ? "exponent-digits" : /[+-]/.test(c) ? "exponent-sign" : "error",
  "exponent-sign": (c) => isDigit(c) ? "exponent-digits" : "error",
  "exponent-digits": (c) => isDigit(c) ? "exponent-digits" : "end",
};

function inString(state: State, c: string): Step {
  return isForbidden(c) ? "error" : state;
}

/** Takes bytes, gives tokens. */
export interface Lexer {
  /** One byte, as a character; the tokens that end with it, or before it. */
  push(byte: string): Token[];
  /** Bytes of the token that is not over. */
  readonly pending: number;
  /** Drops the token that is not over, and what follows up to a byte that can begin anew. */
  recover(): void;
}

/** Makes a lexer. */
export function makeLexer(): Lexer {
  let state: State = "start";
  let bytes = "";

  function step(c: string): Token[] {
    const next = STEPS[state](c);
    switch (next) {
      case "end": {
        const kind = FINAL[state];
        const token = kind === undefined ? [] : [{ kind, bytes }];
        [state, bytes] = ["start", ""];
        // A control character ends the recovery and is dropped with it.
        return [...token, ...(kind === undefined && !isStructural(c) ? [] : step(c))];
      }
      case "last": {
        bytes += c;
        const kind = isStructural(bytes) ? bytes as TokenKind : "string";
        const token = { kind, bytes };
        [state, bytes] = ["start", ""];
        return [token];
      }
      case "error": {
        const token: Token = { kind: "error", bytes: bytes + c };
        [state, bytes] = ["recovery", ""];
        return [token];
      }
      case "start":
      case "recovery":
        state = next;
        return [];
      default:
        state = next;
        bytes += c;
        return [];
    }
  }

  return {
    push: step,
    get pending() {
      return bytes.length;
    },
    recover() {
      [state, bytes] = ["recovery", ""];
    },
  };
}
