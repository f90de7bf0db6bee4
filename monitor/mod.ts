/**
 * QEMU's monitor as a server: QMP for programs and the human monitor for people, with commands that
 * other rooms write down, on standard input and output, unix sockets and TCP.
 */

export * from "./address.ts";
export * from "./command.ts";
export * from "./completion.ts";
export * from "./error.ts";
export * from "./hmp.ts";
export * from "./hmp_execute.ts";
export * from "./json.ts";
export * from "./json_stream.ts";
export * from "./qmp.ts";
export * from "./schema.ts";
export * from "./serve.ts";
export * from "./shape.ts";
export * from "./stdio.ts";
export * from "./version.ts";
