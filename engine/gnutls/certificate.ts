/** What the library itself says of a certificate, where QEMU asks it. */

import { EngineError } from "../error.ts";
import type { Gnutls } from "./library.ts";
import { Arena, DATUM_BYTES, make, type Owned, takeDatum } from "./memory.ts";

/** `GNUTLS_X509_FMT_DER`. */
export const FORMAT_DER = 0;
/** `GNUTLS_X509_FMT_PEM`. */
export const FORMAT_PEM = 1;

/**
 * Whether the certificate is for the host, by the library's rules.
 *
 * @throws {EngineError} `CERTIFICATE` if it is no certificate.
 */
export function matchHostname(lib: Gnutls, der: Uint8Array, name: string): boolean {
  using certificate = read(lib, der);
  // The library would take what stands before it for the name.
  if (name.includes("\0")) return false;
  using arena = new Arena();
  return lib.call.gnutls_x509_crt_check_hostname(certificate.pointer, arena.text(name)) !== 0;
}

/**
 * The subject as QEMU compares it with authorization rules: RDNs in the order of their encoding.
 *
 * @throws {EngineError} `CERTIFICATE` if it is no certificate or its subject has no text.
 */
export function dnText(lib: Gnutls, der: Uint8Array): string {
  using certificate = read(lib, der);
  using arena = new Arena();
  const out = arena.bytes(DATUM_BYTES);
  // The call that keeps the encoding's order, unlike gnutls_x509_crt_get_dn3.
  const code = lib.call.gnutls_x509_crt_get_dn2(certificate.pointer, out);
  if (code < 0) throw refuse(lib.text(code));
  return new TextDecoder().decode(takeDatum(lib, out));
}

function read(lib: Gnutls, der: Uint8Array): Owned {
  const { gnutls_x509_crt_init, gnutls_x509_crt_deinit } = lib.call;
  const certificate = make(lib, gnutls_x509_crt_init, gnutls_x509_crt_deinit, refuse);
  using arena = new Arena();
  const data = arena.datum(der);
  const code = lib.call.gnutls_x509_crt_import(certificate.pointer, data, FORMAT_DER);
  if (code >= 0) return certificate;
  certificate[Symbol.dispose]();
  throw refuse(lib.text(code));
}

function refuse(cause: string): EngineError {
  return new EngineError("CERTIFICATE", { cause });
}
