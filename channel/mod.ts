/** What QEMU calls QIOChannel: sockets, commands, descriptors and files, and TLS on top of any channel. */

export * from "./address.ts";
export * from "./connect.ts";
export * from "./descriptor.ts";
export * from "./error.ts";
export * from "./exec.ts";
export * from "./file.ts";
export { listen, type Listener } from "./listen.ts";
export * from "./listen_passing.ts";
export * from "./service.ts";
export * from "./socket.ts";
export * from "./tls.ts";
export * from "./transport.ts";
export * from "./waiting.ts";
