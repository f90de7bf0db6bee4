/** Private keys: made, read, signed with, written; wiped by the library when freed. */

import { encodePem } from "../../base/mod.ts";
import { EngineError } from "../error.ts";
import { tidyPkcs8 } from "../ec_key.ts";
import type { KeyType, SignatureAlgorithm, SigningKey } from "../key.ts";

import { FORMAT_DER, FORMAT_PEM } from "./certificate.ts";
import { Code } from "./error.ts";
import type { Gnutls } from "./library.ts";
import { Arena, DATUM_BYTES, make, numberAt, type Owned, takeDatum, takeSecret } from "./memory.ts";
import { describeKey, importPublicKey, Pk, SIGN } from "./signature.ts";

/** `GNUTLS_CURVE_TO_BITS` of `gnutls_ecc_curve_t`. */
const curve = (number: number) => (0x8000_0000 | number) >>> 0;

const KINDS: Readonly<Record<KeyType, { readonly pk: number; readonly bits: number }>> = {
  "ec-p256": { pk: Pk.ECDSA, bits: curve(2) },
  "ec-p384": { pk: Pk.ECDSA, bits: curve(3) },
  "rsa-2048": { pk: Pk.RSA, bits: 2048 },
  "rsa-3072": { pk: Pk.RSA, bits: 3072 },
  "rsa-4096": { pk: Pk.RSA, bits: 4096 },
  "ed25519": { pk: Pk.ED25519, bits: curve(7) },
};

/** `GNUTLS_PKCS_PLAIN`. */
const PKCS_PLAIN = 1;

/** Makes a key. */
export async function generateKey(lib: Gnutls, type: KeyType): Promise<SigningKey> {
  const { call } = lib;
  const key = makeKey(lib);
  try {
    const { pk, bits } = KINDS[type];
    // Only primes take long enough to be worth another thread.
    const generate = pk === Pk.RSA
      ? call.gnutls_x509_privkey_generate_aside
      : call.gnutls_x509_privkey_generate;
    const code = await generate(key.pointer, pk, bits, 0);
    if (code < 0) throw refuse(lib.text(code));
    return new GnutlsKey(lib, signer(lib, key), key);
  } catch (error) {
    key[Symbol.dispose]();
    throw error;
  }
}

/**
 * Reads a key in PEM, encrypted or not, in every form that the library knows.
 *
 * @throws {EngineError} `KEY`.
 */
export function importKey(lib: Gnutls, pem: string, passphrase?: string): SigningKey {
  const key = makeKey(lib);
  try {
    using arena = new Arena();
    const bytes = new TextEncoder().encode(pem);
    const data = arena.datum(bytes);
    bytes.fill(0);
    const password = arena.text(passphrase);
    const { gnutls_x509_privkey_import2 } = lib.call;
    const code = gnutls_x509_privkey_import2(key.pointer, data, FORMAT_PEM, password, 0);
    if (code === Code.DECRYPTION_FAILED) {
      throw passphrase === undefined
        ? refuse("it is encrypted and no passphrase was given")
        : refuse("the passphrase is wrong, or the key is damaged");
    }
    if (code < 0) throw refuse(lib.text(code));
    return new GnutlsKey(lib, signer(lib, key), key);
  } catch (error) {
    key[Symbol.dispose]();
    throw error;
  }
}

/** A key of the library's; `stored` is what can be written, which a token's key has not. */
export class GnutlsKey implements SigningKey {
  readonly type: KeyType | undefined;
  readonly algorithm: SignatureAlgorithm;
  readonly publicKey: Uint8Array<ArrayBuffer>;

  constructor(
    private readonly lib: Gnutls,
    private readonly signer: Owned,
    private readonly stored?: Owned,
  ) {
    try {
      const { pk, bits, spki } = readPublicKey(lib, signer);
      const kind = describeKey(pk, bits);
      if (kind === undefined) throw refuse("it is of a kind that cannot sign certificates here");
      this.type = kind.type;
      this.algorithm = kind.algorithm;
      this.publicKey = spki;
    } catch (error) {
      signer[Symbol.dispose]();
      throw error;
    }
  }

  sign(data: Uint8Array): Promise<Uint8Array> {
    return Promise.try(() => {
      using arena = new Arena();
      const out = arena.bytes(DATUM_BYTES);
      const code = this.lib.call.gnutls_privkey_sign_data2(
        this.#alive(this.signer),
        SIGN[this.algorithm],
        0,
        arena.datum(data),
        out,
      );
      if (code < 0) throw refuse(this.lib.text(code));
      return takeDatum(this.lib, out);
    });
  }

  async exportPem(passphrase?: string): Promise<string> {
    const pkcs8 = tidyPkcs8(this.#exportPkcs8());
    try {
      if (passphrase === undefined) return encodePem("PRIVATE KEY", pkcs8);
      const { encryptPkcs8 } = await import("../pbes2.ts");
      return encodePem("ENCRYPTED PRIVATE KEY", await encryptPkcs8(pkcs8, passphrase));
    } finally {
      pkcs8.fill(0);
    }
  }

  #exportPkcs8(): Uint8Array<ArrayBuffer> {
    if (this.stored === undefined) throw refuse("it cannot leave its token");
    using arena = new Arena();
    const out = arena.bytes(DATUM_BYTES);
    const code = this.lib.call.gnutls_x509_privkey_export2_pkcs8(
      this.#alive(this.stored),
      FORMAT_DER,
      null,
      PKCS_PLAIN,
      out,
    );
    if (code < 0) throw refuse(this.lib.text(code));
    return takeSecret(this.lib, out);
  }

  [Symbol.dispose](): void {
    this.signer[Symbol.dispose]();
    this.stored?.[Symbol.dispose]();
  }

  #alive(owned: Owned): Deno.PointerObject {
    if (!owned.live) throw refuse("it was disposed of");
    return owned.pointer;
  }
}

function makeKey(lib: Gnutls): Owned {
  const { gnutls_x509_privkey_init, gnutls_x509_privkey_deinit } = lib.call;
  return make(lib, gnutls_x509_privkey_init, gnutls_x509_privkey_deinit, refuse);
}

/** What signs with a key; it refers to the key, which must be freed after it. */
function signer(lib: Gnutls, key: Owned): Owned {
  const { call } = lib;
  const made = make(lib, call.gnutls_privkey_init, call.gnutls_privkey_deinit, refuse);
  const code = call.gnutls_privkey_import_x509(made.pointer, key.pointer, 0);
  if (code >= 0) return made;
  made[Symbol.dispose]();
  throw refuse(lib.text(code));
}

/** The public half with what kind it is. */
function readPublicKey(
  lib: Gnutls,
  signer: Owned,
): { readonly pk: number; readonly bits: number; readonly spki: Uint8Array<ArrayBuffer> } {
  const { call } = lib;
  using key = make(lib, call.gnutls_pubkey_init, call.gnutls_pubkey_deinit, refuse);
  using arena = new Arena();
  const bits = arena.bytes(4);
  const out = arena.bytes(DATUM_BYTES);
  let code = call.gnutls_pubkey_import_privkey(key.pointer, signer.pointer, 0, 0);
  if (code >= 0) code = call.gnutls_pubkey_export2(key.pointer, FORMAT_DER, out);
  if (code < 0) throw refuse(lib.text(code));
  const spki = takeDatum(lib, out);
  const pk = call.gnutls_pubkey_get_pk_algorithm(key.pointer, bits);
  if (numberAt(bits) === 0) {
    // A token does not tell how long its key is; what it exported does.
    using again = importPublicKey(lib, spki);
    call.gnutls_pubkey_get_pk_algorithm(again.pointer, bits);
  }
  return { pk, bits: numberAt(bits), spki };
}

/** An error about a private key. */
export function refuse(cause: string): EngineError {
  return new EngineError("KEY", { cause });
}
