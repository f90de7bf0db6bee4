/** What every room needs and no field owns: errors, option syntax, DER and PEM, files, time. */

export * from "./abort.ts";
export * from "./bytes.ts";
export * from "./clock.ts";
export * from "./der.ts";
export * from "./error.ts";
export * from "./files.ts";
export * from "./invocation.ts";
export * from "./keyval.ts";
export * from "./pem.ts";
export * from "./version.ts";
export * from "./text.ts";
