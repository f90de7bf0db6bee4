/** The C library, opened once, where this system has one that is known and FFI is allowed. */

const SYMBOLS = {
  // int open(const char *, int, ...): without a mode, which only O_CREAT reads.
  open: { parameters: ["buffer", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  // int syncfs(int): waits for a disk, so not on the thread that runs everything.
  syncfs: { parameters: ["i32"], result: "i32", nonblocking: true },
  // int renameat2(int, const char *, int, const char *, unsigned): glibc 2.28, musl has none.
  renameat2: {
    parameters: ["i32", "buffer", "i32", "buffer", "u32"],
    result: "i32",
    optional: true,
  },
} as const;

/** The functions of the C library that are called. */
export type Libc = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

let opened: { readonly libc: Libc | undefined } | undefined;

/** Gives the C library, or `undefined` where it cannot be used. */
export function libc(): Libc | undefined {
  opened ??= { libc: open() };
  return opened.libc;
}

function open(): Libc | undefined {
  if (Deno.build.os !== "linux") return undefined;
  // Asked first: opening without the permission would prompt a person on a terminal.
  if (Deno.permissions.querySync({ name: "ffi" }).state !== "granted") return undefined;
  try {
    return Deno.dlopen("libc.so.6", SYMBOLS).symbols;
  } catch {
    return undefined;
  }
}

/** Text as C takes it. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${text}\0`);
}
