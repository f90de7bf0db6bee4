/** QEMU's socket character devices: their options, the server and the client, TLS on either. */

export * from "./error.ts";
export * from "./options.ts";
