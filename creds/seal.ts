/** Encrypted secrets in the form that QEMU's `secret` object reads. */

import { createCipheriv } from "node:crypto";
import { CredsError } from "./error.ts";

/** A secret as `-object secret,format=base64,…` takes it; both in base64. */
export interface SealedSecret {
  readonly data: string;
  readonly iv: string;
}

/**
 * Encrypts a secret with AES-256-CBC and PKCS#7 padding, as QEMU decrypts it (crypto/secret_common.c).
 *
 * @example A passphrase for QEMU's command line
 * ```ts
 * import { sealSecret } from "@virtcreds/virtcreds/creds";
 * import { assertEquals } from "@std/assert";
 *
 * const key = new Uint8Array(32);
 * const { data, iv } = sealSecret(new TextEncoder().encode("123456"), key);
 * assertEquals([data.length, iv.length], [24, 24]);
 * ```
 *
 * @param key Bytes of the secret that `keyid` names: 32 of them.
 * @param iv 16 bytes that are used for one secret only; chosen by chance when absent.
 * @throws {CredsError} `SECRET` if the key or the vector has another length.
 */
export function sealSecret(
  secret: Uint8Array,
  key: Uint8Array,
  iv: Uint8Array = crypto.getRandomValues(new Uint8Array(16)),
): SealedSecret {
  if (key.length !== 32) {
    throw new CredsError("SECRET", {
      text: "Key should be 32 bytes in length",
      hint: "head -c 32 /dev/urandom >master.key",
    });
  }
  if (iv.length !== 16) {
    throw new CredsError("SECRET", { text: `IV should be 16 bytes in length not ${iv.length}` });
  }
  const cipher = createCipheriv("aes-256-cbc", key, iv);
  const data = new Uint8Array([...cipher.update(secret), ...cipher.final()]);
  return { data: data.toBase64(), iv: iv.toBase64() };
}
