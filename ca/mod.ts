/**
 * The authority: a CA on plain files, and directories of credentials that QEMU takes as they are.
 */

export * from "./certificate.ts";
export * from "./crl.ts";
export * from "./error.ts";
export * from "./host_name.ts";
export * from "./init.ts";
export * from "./issue.ts";
export * from "./lock.ts";
export * from "./profile.ts";
export * from "./request.ts";
export * from "./validity.ts";
export { PKI_DIRECTORY } from "./pki.ts";
