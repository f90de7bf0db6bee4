/** libc by FFI where Deno has no call. Without `--allow-ffi` each function says that it cannot. */

export * from "./exchange.ts";
export * from "./sync.ts";
