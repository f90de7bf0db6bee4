/** libc by FFI where Deno has no call. Without `--allow-ffi` each function says that it cannot. */

export * from "./descriptor.ts";
export * from "./errno.ts";
export * from "./exchange.ts";
export * from "./open.ts";
export * from "./pty.ts";
export * from "./socket_name.ts";
export * from "./sync.ts";
export * from "./unix_socket.ts";
