/** Credentials in the library's memory, shared by the sessions that use them. */

import { EngineError } from "../error.ts";
import type { CredentialSpec, Endpoint, IdentityPem, TlsCredentials } from "../session.ts";
import { FORMAT_PEM } from "./certificate.ts";
import { addCrls } from "./crl.ts";
import type { Gnutls } from "./library.ts";
import { Arena, make, Owned } from "./memory.ts";
import { loadPriority } from "./priority.ts";
import { type PskKeys, pskKeys, type PskLookup, setClientKey } from "./psk.ts";

/** `GNUTLS_CRD_…`. */
const CREDENTIAL_TYPE = { x509: 1, anon: 2, psk: 4 } as const;

/**
 * `GNUTLS_SEC_PARAM_MEDIUM`: the strength of the DH group for peers that name none, 2048 bits,
 * which is also what QEMU computes where there is no `dh-params.pem`.
 */
const DH_STRENGTH = 35;

/** Credentials of this engine. */
export class GnutlsCredentials implements TlsCredentials {
  readonly kind: CredentialSpec["kind"];
  readonly endpoint: Endpoint;
  /** A client's own name in a PSK session. */
  readonly pskUser: string | undefined;
  /** A server's keys in PSK sessions. */
  readonly keys: PskKeys | undefined;
  readonly #handle: Owned;
  readonly #priority: Owned;
  #users = 1;
  #disposed = false;

  /** @throws {EngineError} `TLS_CREDENTIALS`. */
  constructor(readonly lib: Gnutls, spec: CredentialSpec, lookup: PskLookup) {
    this.kind = spec.kind;
    this.endpoint = spec.endpoint;
    this.#priority = loadPriority(lib, spec.kind, spec.priority);
    try {
      const loaded = load(lib, spec, lookup);
      this.#handle = loaded.handle;
      this.keys = loaded.keys;
      this.pskUser = loaded.user;
    } catch (error) {
      this.#priority[Symbol.dispose]();
      throw error;
    }
  }

  /** Type and pointer for `gnutls_credentials_set`. */
  get type(): number {
    return CREDENTIAL_TYPE[this.kind];
  }

  get pointer(): Deno.PointerObject {
    return this.#handle.pointer;
  }

  get priority(): Deno.PointerObject {
    return this.#priority.pointer;
  }

  /**
   * Keeps them alive for a session, whatever their owner does.
   *
   * @throws {EngineError} `TLS_CREDENTIALS` if the owner has disposed of them.
   */
  acquire(): void {
    if (this.#disposed) {
      throw new EngineError("TLS_CREDENTIALS", { text: "the TLS credentials were disposed of" });
    }
    this.#users++;
  }

  release(): void {
    if (--this.#users > 0) return;
    this.#handle[Symbol.dispose]();
    this.#priority[Symbol.dispose]();
    this.keys?.[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.release();
  }
}

interface Loaded {
  readonly handle: Owned;
  readonly keys?: PskKeys;
  readonly user?: string;
}

function load(lib: Gnutls, spec: CredentialSpec, lookup: PskLookup): Loaded {
  switch (spec.kind) {
    case "x509":
      return { handle: loadX509(lib, spec) };
    case "psk":
      return spec.endpoint === "server"
        ? loadPskServer(lib, spec.keys, lookup)
        : loadPskClient(lib, spec.keys);
    case "anon":
      return { handle: loadAnonymous(lib, spec.endpoint) };
  }
}

/** In QEMU's order: trust, identities, CRLs (crypto/tlscredsx509.c). */
function loadX509(lib: Gnutls, spec: CredentialSpec & { kind: "x509" }): Owned {
  const { call } = lib;
  const handle = allocate(
    lib,
    call.gnutls_certificate_allocate_credentials,
    call.gnutls_certificate_free_credentials,
  );
  try {
    using arena = new Arena();
    const trust = arena.datum(spec.trust);
    step(lib, call.gnutls_certificate_set_x509_trust_mem(handle.pointer, trust, FORMAT_PEM), {
      option: "trust",
    });
    spec.identities.forEach((identity, index) =>
      step(lib, addIdentity(lib, handle.pointer, identity), {
        option: "identity",
        value: String(index),
      })
    );
    if (spec.crl !== undefined) {
      step(lib, addCrls(lib, handle.pointer, spec.crl), { option: "crl" });
    }
    if (spec.endpoint === "server") {
      call.gnutls_certificate_set_known_dh_params(handle.pointer, DH_STRENGTH);
    }
    return handle;
  } catch (error) {
    handle[Symbol.dispose]();
    throw error;
  }
}

function addIdentity(
  lib: Gnutls,
  credentials: Deno.PointerObject,
  { certificate, key, password }: IdentityPem,
): number {
  using arena = new Arena();
  return lib.call.gnutls_certificate_set_x509_key_mem2(
    credentials,
    arena.datum(certificate),
    arena.datum(key),
    FORMAT_PEM,
    arena.text(password),
    0,
  );
}

function loadPskServer(
  lib: Gnutls,
  keys: Readonly<Record<string, Uint8Array>>,
  lookup: PskLookup,
): Loaded {
  const { call } = lib;
  const handle = allocate(
    lib,
    call.gnutls_psk_allocate_server_credentials,
    call.gnutls_psk_free_server_credentials,
  );
  call.gnutls_psk_set_server_credentials_function2(handle.pointer, lookup.pointer);
  call.gnutls_psk_set_server_known_dh_params(handle.pointer, DH_STRENGTH);
  return { handle, keys: pskKeys(keys) };
}

function loadPskClient(lib: Gnutls, keys: Readonly<Record<string, Uint8Array>>): Loaded {
  const [entry, ...more] = Object.entries(keys);
  if (entry === undefined || more.length > 0) {
    throw new EngineError("TLS_CREDENTIALS", { option: "psk", cause: "a client has one PSK user" });
  }
  const { call } = lib;
  const handle = allocate(
    lib,
    call.gnutls_psk_allocate_client_credentials,
    call.gnutls_psk_free_client_credentials,
  );
  const [user, key] = entry;
  try {
    step(lib, setClientKey(lib, handle.pointer, user, key), { option: "psk", value: user });
  } catch (error) {
    handle[Symbol.dispose]();
    throw error;
  }
  return { handle, user };
}

function loadAnonymous(lib: Gnutls, endpoint: Endpoint): Owned {
  const { call } = lib;
  if (endpoint === "client") {
    return allocate(
      lib,
      call.gnutls_anon_allocate_client_credentials,
      call.gnutls_anon_free_client_credentials,
    );
  }
  const handle = allocate(
    lib,
    call.gnutls_anon_allocate_server_credentials,
    call.gnutls_anon_free_server_credentials,
  );
  call.gnutls_anon_set_server_known_dh_params(handle.pointer, DH_STRENGTH);
  return handle;
}

function allocate(
  lib: Gnutls,
  init: (out: Uint8Array<ArrayBuffer>) => number,
  free: (pointer: Deno.PointerObject) => void,
): Owned {
  return make(lib, init, free, (cause) => new EngineError("TLS_CREDENTIALS", { cause }));
}

function step(lib: Gnutls, code: number, part: { option: string; value?: string }): void {
  if (code < 0) throw new EngineError("TLS_CREDENTIALS", { ...part, cause: lib.text(code) });
}
