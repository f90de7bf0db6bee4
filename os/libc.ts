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
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  // int fcntl(int, int, ...): with one argument, which some commands do not read.
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
  // int poll(struct pollfd *, unsigned long, int): waits, so not on the thread that runs everything.
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32", nonblocking: true },
  // The same without a thread, for a time-out of 0.
  pollNow: { name: "poll", parameters: ["buffer", "u64", "i32"], result: "i32" },
  posix_openpt: { parameters: ["i32"], result: "i32" },
  grantpt: { parameters: ["i32"], result: "i32" },
  unlockpt: { parameters: ["i32"], result: "i32" },
  ptsname_r: { parameters: ["i32", "buffer", "usize"], result: "i32" },
  tcgetattr: { parameters: ["i32", "buffer"], result: "i32" },
  tcsetattr: { parameters: ["i32", "i32", "buffer"], result: "i32" },
  cfmakeraw: { parameters: ["buffer"], result: "void" },
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  listen: { parameters: ["i32", "i32"], result: "i32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  getpeername: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  accept4: { parameters: ["i32", "buffer", "buffer", "i32"], result: "i32" },
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
  recvmsg: { parameters: ["i32", "buffer", "i32"], result: "isize" },
  __errno_location: { parameters: [], result: "pointer" },
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

/** The number of the last call's failure; to be read right after a call that did not wait. */
export function errno(): number {
  const location = libc()?.__errno_location() ?? null;
  return location === null ? 0 : new Deno.UnsafePointerView(location).getInt32();
}

/** Text as C takes it. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${text}\0`);
}
