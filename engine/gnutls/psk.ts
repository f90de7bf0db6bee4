/** Pre-shared keys: a client's own, and a server's by user name. */

import type { Gnutls } from "./library.ts";
import { Arena, copyDatum, DATUM_BYTES, LITTLE_ENDIAN } from "./memory.ts";
import { size } from "./symbols.ts";

/** `GNUTLS_PSK_KEY_HEX`: the library then refuses keys under four bytes, as it does QEMU's. */
const KEY_HEX = 1;

/** What the library's call-back says for "no such user": it then goes on with a random key. */
const UNKNOWN_USER = 1;

/** Keys by user name, wiped when disposed. */
export interface PskKeys extends Disposable {
  get(user: string): Uint8Array | undefined;
}

/** Copies the keys of a server. */
export function pskKeys(keys: Readonly<Record<string, Uint8Array>>): PskKeys {
  const copies = new Map(Object.entries(keys).map(([user, key]) => [user, key.slice()] as const));
  return {
    get: (user) => copies.get(user),
    [Symbol.dispose]() {
      for (const key of copies.values()) key.fill(0);
      copies.clear();
    },
  };
}

/** Gives a client its name and key; a negative code if the library refuses them. */
export function setClientKey(
  lib: Gnutls,
  credentials: Deno.PointerObject,
  user: string,
  key: Uint8Array,
): number {
  using arena = new Arena();
  const name = arena.datum(new TextEncoder().encode(user));
  const hex = new TextEncoder().encode(key.toHex());
  const datum = arena.datum(hex);
  hex.fill(0);
  return lib.call.gnutls_psk_set_client_credentials2(credentials, name, datum, KEY_HEX);
}

const callback = {
  parameters: ["pointer", "pointer", "pointer"],
  result: "i32",
} as const;

/** The one call-back that finds a server's key; it lives as long as the library. */
export type PskLookup = Deno.UnsafeCallback<typeof callback>;

/** Makes the call-back; `keysOf` knows the credentials of the session with a number. */
export function pskLookup(
  lib: Gnutls,
  keysOf: (session: number) => PskKeys | undefined,
): PskLookup {
  return new Deno.UnsafeCallback(callback, (session, name, out) => {
    try {
      if (session === null || name === null || out === null) return UNKNOWN_USER;
      const user = readName(name);
      const key = user === undefined
        ? undefined
        : keysOf(lib.call.gnutls_transport_get_ptr(session))?.get(user);
      if (key === undefined) return UNKNOWN_USER;
      giveKey(lib, out, key);
      return 0;
    } catch {
      return UNKNOWN_USER;
    }
  });
}

function readName(datum: Deno.PointerObject): string | undefined {
  const place = new Uint8Array(DATUM_BYTES);
  Deno.UnsafePointerView.copyInto(datum, place);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(copyDatum(place));
  } catch {
    return undefined;
  }
}

/** The library frees the key, so it is made with the library's own allocator. */
function giveKey(lib: Gnutls, out: Deno.PointerObject, key: Uint8Array): void {
  const memory = lib.malloc(Math.max(1, key.length));
  lib.call.memcpy(memory, key.subarray(0), size(key.length));
  const datum = new Uint8Array(DATUM_BYTES);
  const view = new DataView(datum.buffer);
  view.setBigUint64(0, Deno.UnsafePointer.value(memory), LITTLE_ENDIAN);
  view.setUint32(8, key.length, LITTLE_ENDIAN);
  // Its last word is padding; the caller's own is as long.
  lib.call.memcpy(out, datum, size(DATUM_BYTES));
}
