/**
 * What QEMU calls the tls-creds, secret and authz objects: parsing them, loading them, QEMU's
 * verdict on a directory, and the judgement of a peer after the handshake.
 */

export * from "./certificate.ts";
export * from "./crl.ts";
export * from "./dn.ts";
export * from "./error.ts";
export * from "./hostname.ts";
export * from "./registry.ts";
export * from "./session.ts";
export * from "./types.ts";
export * from "./verdict.ts";
