/** `libgnutls.so.30` loaded once: its version, its texts, its memory. */

import { EngineError } from "../error.ts";
import { Code } from "./error.ts";
import { SYMBOLS, type Symbols } from "./symbols.ts";

const LIBRARY = "libgnutls.so.30";

/** Oldest version that is bound; Debian 11 has 3.7.1. */
const OLDEST = "3.7.0";

/** The loaded library. */
export interface Gnutls {
  readonly call: Symbols;
  /** Such as `3.7.9`. */
  readonly version: string;
  /** The library's allocator, for what it frees itself. */
  malloc(bytes: number): Deno.PointerObject;
  /** Frees what the library gave away. */
  free(pointer: Deno.PointerValue): void;
  /** The library's text for a code: `Decryption has failed.`. */
  text(code: number): string;
}

/**
 * Loads the library.
 *
 * @throws {EngineError} `ENGINE_UNAVAILABLE` with the one thing that is missing: the permission,
 * the library, a symbol, a new enough version.
 */
export function loadLibrary(name = LIBRARY): Gnutls {
  // Asked first, since opening a library without it would prompt on a terminal.
  const permission = Deno.permissions.querySync({ name: "ffi" });
  if (permission.state !== "granted" || permission.partial) {
    throw unavailable("Deno may not load libraries", "run with --allow-ffi (without a path)");
  }
  const call = open(name);
  const version = readText(call.gnutls_check_version(null)) ?? "";
  if (call.gnutls_check_version(cString(OLDEST)) === null) {
    throw unavailable(`GnuTLS ${version} is older than ${OLDEST}`, "install a newer libgnutls30");
  }
  const texts = new Map<number, string>();
  const text = (code: number) => {
    let known = texts.get(code);
    if (known === undefined) {
      known = readText(call.gnutls_strerror(code)) ?? `error ${code}`;
      texts.set(code, known);
    }
    return known;
  };
  const started = call.gnutls_global_init();
  if (started !== Code.SUCCESS) throw unavailable(`GnuTLS does not start: ${text(started)}`);
  const malloc = new Deno.UnsafeFnPointer(
    pointee(call.gnutls_malloc),
    { parameters: ["usize"], result: "pointer" } as const,
  );
  const free = new Deno.UnsafeFnPointer(
    pointee(call.gnutls_free),
    { parameters: ["pointer"], result: "void" } as const,
  );
  return {
    call,
    version,
    text,
    malloc(bytes) {
      const pointer = malloc.call(BigInt(bytes));
      if (pointer === null) throw new RangeError(`no memory for ${bytes} bytes`);
      return pointer;
    },
    free: (pointer) => free.call(pointer),
  };
}

function open(name: string): Symbols {
  try {
    return Deno.dlopen(name, SYMBOLS).symbols;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const symbol = /register symbol (\w+)/.exec(message)?.[1];
    throw symbol === undefined
      ? unavailable(`${name} cannot be loaded`, "apt-get install libgnutls30")
      : unavailable(`${name} lacks ${symbol}`, "install a newer libgnutls30");
  }
}

function unavailable(cause: string, hint?: string): EngineError {
  return new EngineError("ENGINE_UNAVAILABLE", {
    option: "gnutls",
    cause,
    ...(hint === undefined ? {} : { hint }),
  });
}

function pointee(pointer: Deno.PointerValue): Deno.PointerObject<never> {
  const value = pointer === null ? null : new Deno.UnsafePointerView(pointer).getPointer();
  if (value === null) throw unavailable(`${LIBRARY} has no allocator`);
  return value as Deno.PointerObject<never>;
}

/** A C string for a call that is made at once. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${text}\0`);
}

/** Reads a C string that the library keeps. */
export function readText(pointer: Deno.PointerValue): string | undefined {
  return pointer === null ? undefined : Deno.UnsafePointerView.getCString(pointer);
}
