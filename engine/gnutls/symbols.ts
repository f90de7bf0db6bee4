/**
 * What is used of `libgnutls.so.30`, with types: gnutls.h, x509.h and abstract.h of GnuTLS 3.7.
 *
 * `ssize_t` results are declared `i32`: no call here can give more than 2 GiB, and a 64-bit
 * result would be a BigInt. A `size_t` on the path of every record is declared `pointer` and
 * comes from {@linkcode size}: 64 bits wide as the ABI wants it, and twenty times cheaper to pass
 * than `usize`.
 */

const CODE = "i32";
const HANDLE = "pointer";
/** `T **` or another place that the library writes to. */
const OUT = "buffer";
/** `const gnutls_datum_t *`. */
const DATUM = "buffer";
/** `const char *`. */
const TEXT = "buffer";
const SIZE = "pointer";

const free = { parameters: [HANDLE], result: "void" } as const;
const allocate = { parameters: [OUT], result: CODE } as const;
const getNumber = { parameters: [HANDLE], result: "i32" } as const;
const getName = { parameters: ["i32"], result: "pointer" } as const;
const setCallback = { parameters: [HANDLE, "function"], result: "void" } as const;

/** The symbols by the names they have in the library, aliases aside. */
export const SYMBOLS = {
  // Data symbols: the address of a pointer to the function, which an application may have replaced.
  gnutls_malloc: { type: "pointer" },
  gnutls_free: { type: "pointer" },

  gnutls_global_init: { parameters: [], result: CODE },
  gnutls_check_version: { parameters: [TEXT], result: "pointer" },
  gnutls_strerror: getName,
  gnutls_error_is_fatal: { parameters: ["i32"], result: "i32" },
  gnutls_alert_get: getNumber,
  gnutls_alert_get_name: getName,

  gnutls_priority_init2: { parameters: [OUT, TEXT, OUT, "u32"], result: CODE },
  gnutls_priority_deinit: free,
  gnutls_priority_set: { parameters: [HANDLE, HANDLE], result: CODE },

  gnutls_certificate_allocate_credentials: allocate,
  gnutls_certificate_free_credentials: free,
  gnutls_certificate_set_x509_trust_mem: { parameters: [HANDLE, DATUM, "u32"], result: CODE },
  gnutls_certificate_set_x509_crl_mem: { parameters: [HANDLE, DATUM, "u32"], result: CODE },
  gnutls_certificate_set_x509_key_mem2: {
    parameters: [HANDLE, DATUM, DATUM, "u32", TEXT, "u32"],
    result: CODE,
  },
  gnutls_certificate_set_known_dh_params: { parameters: [HANDLE, "u32"], result: CODE },

  gnutls_psk_allocate_client_credentials: allocate,
  gnutls_psk_free_client_credentials: free,
  gnutls_psk_set_client_credentials2: {
    parameters: [HANDLE, DATUM, DATUM, "u32"],
    result: CODE,
  },
  gnutls_psk_allocate_server_credentials: allocate,
  gnutls_psk_free_server_credentials: free,
  gnutls_psk_set_server_credentials_function2: setCallback,
  gnutls_psk_set_server_known_dh_params: { parameters: [HANDLE, "u32"], result: CODE },
  gnutls_psk_server_get_username2: { parameters: [HANDLE, OUT], result: CODE },

  gnutls_anon_allocate_client_credentials: allocate,
  gnutls_anon_free_client_credentials: free,
  gnutls_anon_allocate_server_credentials: allocate,
  gnutls_anon_free_server_credentials: free,
  gnutls_anon_set_server_known_dh_params: { parameters: [HANDLE, "u32"], result: CODE },

  gnutls_init: { parameters: [OUT, "u32"], result: CODE },
  gnutls_deinit: free,
  gnutls_credentials_set: { parameters: [HANDLE, "u32", HANDLE], result: CODE },
  gnutls_certificate_server_set_request: { parameters: [HANDLE, "u32"], result: "void" },
  gnutls_server_name_set: { parameters: [HANDLE, "u32", TEXT, "usize"], result: CODE },
  gnutls_transport_set_ptr: { parameters: [HANDLE, "pointer"], result: "void" },
  gnutls_transport_get_ptr: { parameters: [HANDLE], result: "u32" },
  gnutls_transport_set_pull_function: setCallback,
  gnutls_transport_set_push_function: setCallback,
  gnutls_transport_set_pull_timeout_function: setCallback,
  gnutls_transport_set_errno: { parameters: [HANDLE, "i32"], result: "void" },
  gnutls_handshake: { parameters: [HANDLE], result: CODE },
  gnutls_bye: { parameters: [HANDLE, "u32"], result: CODE },
  gnutls_record_recv: { parameters: [HANDLE, "buffer", SIZE], result: CODE },
  gnutls_record_send: { parameters: [HANDLE, "buffer", SIZE], result: CODE },
  gnutls_record_check_pending: { parameters: [HANDLE], result: "u32" },

  gnutls_session_ticket_key_generate: { parameters: [OUT], result: CODE },
  gnutls_session_ticket_enable_server: { parameters: [HANDLE, DATUM], result: CODE },

  gnutls_protocol_get_version: getNumber,
  // Since 3.7.4; Ubuntu 22.04 has 3.7.3.
  gnutls_ciphersuite_get: { parameters: [HANDLE], result: "pointer", optional: true },
  gnutls_cipher_suite_get_name: { parameters: ["i32", "i32", "i32"], result: "pointer" },
  gnutls_kx_get: getNumber,
  gnutls_cipher_get: getNumber,
  gnutls_mac_get: getNumber,
  gnutls_group_get: getNumber,
  gnutls_group_get_name: getName,
  gnutls_sign_algorithm_get: getNumber,
  gnutls_sign_get_name: getName,
  gnutls_certificate_get_peers: { parameters: [HANDLE, OUT], result: "pointer" },
  gnutls_certificate_client_get_request_status: getNumber,
  gnutls_certificate_verify_peers2: { parameters: [HANDLE, OUT], result: CODE },

  gnutls_x509_crt_init: allocate,
  gnutls_x509_crt_deinit: free,
  gnutls_x509_crt_import: { parameters: [HANDLE, DATUM, "u32"], result: CODE },
  gnutls_x509_crt_check_hostname: { parameters: [HANDLE, TEXT], result: "u32" },
  gnutls_x509_crt_get_dn2: { parameters: [HANDLE, OUT], result: CODE },

  gnutls_x509_privkey_init: allocate,
  gnutls_x509_privkey_deinit: free,
  gnutls_x509_privkey_import2: { parameters: [HANDLE, DATUM, "u32", TEXT, "u32"], result: CODE },
  gnutls_x509_privkey_generate: { parameters: [HANDLE, "i32", "u32", "u32"], result: CODE },
  gnutls_x509_privkey_generate_aside: {
    name: "gnutls_x509_privkey_generate",
    parameters: [HANDLE, "i32", "u32", "u32"],
    result: CODE,
    nonblocking: true,
  },
  gnutls_x509_privkey_export2_pkcs8: {
    parameters: [HANDLE, "u32", TEXT, "u32", OUT],
    result: CODE,
  },

  gnutls_privkey_init: allocate,
  gnutls_privkey_deinit: free,
  gnutls_privkey_import_x509: { parameters: [HANDLE, HANDLE, "u32"], result: CODE },
  gnutls_pubkey_get_pk_algorithm: { parameters: [HANDLE, OUT], result: CODE },
  gnutls_privkey_sign_data2: {
    parameters: [HANDLE, "i32", "u32", DATUM, OUT],
    result: CODE,
  },

  gnutls_privkey_import_url: { parameters: [HANDLE, TEXT, "u32"], result: CODE },
  gnutls_privkey_set_pin_function: {
    parameters: [HANDLE, "function", "pointer"],
    result: "void",
  },

  gnutls_pubkey_init: allocate,
  gnutls_pubkey_deinit: free,
  gnutls_pubkey_import: { parameters: [HANDLE, DATUM, "u32"], result: CODE },
  gnutls_pubkey_import_privkey: { parameters: [HANDLE, HANDLE, "u32", "u32"], result: CODE },
  gnutls_pubkey_export2: { parameters: [HANDLE, "u32", OUT], result: CODE },
  gnutls_pubkey_verify_data2: {
    parameters: [HANDLE, "i32", "u32", DATUM, DATUM],
    result: CODE,
  },

  memcpy: { parameters: ["pointer", "buffer", SIZE], result: "void" },
  gnutls_memset: { parameters: ["pointer", "i32", "usize"], result: "void" },
  memcpy_out: { name: "memcpy", parameters: ["buffer", "pointer", SIZE], result: "void" },
} as const satisfies Deno.ForeignLibraryInterface;

/** The library's functions. */
export type Symbols = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

/** One for each size up to the largest that is kept; made when it is first asked for. */
const sizes = new Array<Deno.PointerValue | undefined>(0x1_0001);

/** A `size_t` in the guise of a `pointer`; sizes up to 64 KiB are kept. */
export function size(bytes: number): Deno.PointerValue {
  if (bytes >= sizes.length) return Deno.UnsafePointer.create(BigInt(bytes));
  return sizes[bytes] ??= Deno.UnsafePointer.create(BigInt(bytes));
}
