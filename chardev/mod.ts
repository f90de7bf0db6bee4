/** QEMU's socket character devices: their options, the server and the client, TLS on either. */

export * from "./describe.ts";
export * from "./dial.ts";
export * from "./error.ts";
export * from "./hang_up.ts";
export * from "./local.ts";
export * from "./log.ts";
export * from "./options.ts";
export * from "./roles.ts";
export * from "./run_client.ts";
export * from "./run_server.ts";
export * from "./serve.ts";
export * from "./session.ts";
export * from "./splice.ts";
export * from "./stdio.ts";
export * from "./terminal.ts";
export * from "./typed.ts";
