/**
 * One family of errors: a stable code, facts, and the text made from them in one place.
 *
 * A room declares its codes once, as a table from code to text, and derives its class from
 * {@linkcode VirtcredsError}; the closed union of all codes is in `mod.ts` at the root.
 */

import { shellWord } from "./text.ts";

/** What an error knows beside its code; every member is safe to print. */
export interface ErrorFacts {
  /** The file the error is about, as the user wrote it or can find it. */
  readonly file?: string;
  /** The option, flag, property or inventory column the error is about. */
  readonly option?: string;
  /** The refused value. Never a secret. */
  readonly value?: string;
  /** The other side of a connection. */
  readonly peer?: string;
  /** Why, in words: what the library or the kernel said. */
  readonly cause?: string;
  /** Offset in bytes in a stream or a string. */
  readonly offset?: number;
  /** What mends it, best as a command; several lines are several hints. */
  readonly hint?: string | readonly string[];
  /** The whole text where it is somebody else's wording (QEMU's, GnuTLS's). */
  readonly text?: string;
}

/** Makes the one-line text of an error from its facts. */
export type ErrorText = (facts: ErrorFacts) => string;

/** The codes of a room and the text each one makes. */
export type ErrorTable = Readonly<Record<string, ErrorText>>;

/** The base of all errors that this toolkit throws on purpose. */
export abstract class VirtcredsError extends Error {
  /** Stable, in capitals: what programs may compare. */
  abstract readonly code: string;
  /** What is known beside the code. */
  readonly facts: ErrorFacts;

  constructor(table: ErrorTable, code: string, facts: ErrorFacts, options?: ErrorOptions) {
    super((table[code] ?? (() => code))(facts), options);
    this.facts = facts;
  }

  /** The lines that say how to mend it. */
  get hints(): readonly string[] {
    const { hint } = this.facts;
    return hint === undefined ? [] : typeof hint === "string" ? [hint] : hint;
  }

  /** What a program that ends with this error exits with: 1 the work failed, 2 wrong usage. */
  get exitCode(): 1 | 2 {
    return 1;
  }
}

const BASE_ERRORS = {
  USAGE: (f) => f.text ?? `wrong usage of ${f.option}${f.cause ? `: ${f.cause}` : ""}`,
  KEYVAL: (f) => f.text ?? `cannot parse ${f.option}: ${f.cause}`,
  FILE_NOT_FOUND: (f) => `cannot read ${f.file}: no such file or directory`,
  FILE_NOT_READABLE: (f) => `cannot read ${f.file}: ${f.cause ?? "permission denied"}`,
  FILE_NOT_WRITABLE: (f) => `cannot write ${f.file}: ${f.cause ?? "permission denied"}`,
  FILE_EXISTS: (f) => `cannot create ${f.file}: it exists already`,
  FILE_TOO_LARGE: (f) => `cannot read ${f.file}: ${f.cause}`,
  DER: (f) => `cannot decode ${f.file ?? "DER"}: ${f.cause}${at(f)}`,
  PEM: (f) => `cannot decode ${f.file ?? "PEM"}: ${f.cause}`,
  TIMEOUT: (f) => `${f.option ?? "operation"} timed out${f.cause ? `: ${f.cause}` : ""}`,
  UNEXPECTED: (f) => f.text ?? `cannot go on: ${f.cause}`,
  PERMISSION: (f) => `cannot go on: ${f.cause}`,
} satisfies Record<string, ErrorText>;

/** The way out where who throws knows no better one. */
const BASE_HINTS: Readonly<Record<string, (facts: ErrorFacts) => string | undefined>> = {
  KEYVAL: ({ option }) =>
    option !== "--object"
      ? undefined
      : "TYPE,id=ID,NAME=VALUE,… with a comma in a value doubled, or JSON: " +
        "--object tls-creds-x509,id=tls0,dir=/etc/pki/qemu,endpoint=server",
  FILE_NOT_FOUND: ({ file = "" }) => `what is there: ls -l ${folderOf(file)}`,
  FILE_NOT_READABLE: ({ file = "" }) =>
    `who may read it, and what it is: ls -ld ${shellWord(file)}`,
  FILE_NOT_WRITABLE: ({ file = "" }) =>
    `who may write there, and whether there is room: ls -ld ${folderOf(file)}; df ${
      folderOf(file)
    }`,
  FILE_EXISTS: () => "take another name, or move it away first",
  FILE_TOO_LARGE: ({ file = "" }) =>
    `whether it is the file that was meant: ls -l ${shellWord(file)}`,
};

function folderOf(file: string): string {
  return shellWord(file.replace(/[^/]*\/*$/, "") || ".");
}

/** The codes of `base`. */
export type BaseErrorCode = keyof typeof BASE_ERRORS;

/** An error of what every room needs: usage, files, encodings, time. */
export class BaseError extends VirtcredsError {
  override readonly name = "BaseError";

  constructor(readonly code: BaseErrorCode, facts: ErrorFacts = {}, options?: ErrorOptions) {
    const hint = facts.hint ?? BASE_HINTS[code]?.(facts);
    super(BASE_ERRORS, code, hint === undefined ? facts : { ...facts, hint }, options);
  }

  override get exitCode(): 1 | 2 {
    return this.code === "USAGE" || this.code === "KEYVAL" ? 2 : 1;
  }
}

function at(facts: ErrorFacts): string {
  return facts.offset === undefined ? "" : ` at byte ${facts.offset}`;
}

/**
 * Turns what the operating system said of a file into a {@linkcode BaseError}; anything else
 * comes back as it is.
 */
export function fileError(error: unknown, file: string, doing: "read" | "write"): unknown {
  if (error instanceof VirtcredsError || !(error instanceof Error)) return error;
  // An abort is one of these, with a number for a code that is not the system's.
  if (error instanceof DOMException) return error;
  if (error instanceof Deno.errors.NotFound) {
    return doing === "read"
      ? new BaseError("FILE_NOT_FOUND", { file }, { cause: error })
      : new BaseError("FILE_NOT_WRITABLE", { file, cause: "no such directory" }, { cause: error });
  }
  if (error instanceof Deno.errors.AlreadyExists) {
    return new BaseError("FILE_EXISTS", { file }, { cause: error });
  }
  if (error instanceof Deno.errors.NotCapable) {
    return new BaseError("PERMISSION", {
      cause: `Deno may not ${doing} ${file}`,
      hint: `run with --allow-${doing}`,
    }, { cause: error });
  }
  if (!("code" in error) && !isSystemError(error)) return error;
  const code = doing === "read" ? "FILE_NOT_READABLE" : "FILE_NOT_WRITABLE";
  return new BaseError(code, { file, cause: systemReason(error) }, { cause: error });
}

function isSystemError(error: Error): boolean {
  return Object.values(Deno.errors).some((kind) => error instanceof kind) ||
    /\(os error \d+\)/.test(error.message);
}

/** `Permission denied (os error 13): open '/x'` → `Permission denied`. */
export function kernelText(message: string): string {
  return message.replace(/ \(os error \d+\).*$/s, "");
}

/** As {@linkcode kernelText}, to go on a sentence with: `permission denied`. */
export function systemReason(error: Error): string {
  const reason = kernelText(error.message);
  return reason.charAt(0).toLowerCase() + reason.slice(1);
}
