/** Priority strings: which versions, ciphers, groups and signatures a session may use. */

import type { CredentialSpec, PriorityCheck } from "../session.ts";
import { EngineError } from "../error.ts";
import { Code } from "./error.ts";
import type { Gnutls } from "./library.ts";
import { Arena, Owned, pointerAt } from "./memory.ts";

/**
 * QEMU's `--tls-priority` where a distribution does not set another one, but with ChaCha20 behind
 * all else, whichever side chooses. By the order of `NORMAL` it carries every session of a
 * pre-shared key, which TLS 1.3 binds to SHA-256, and costs more than AES where processors have it.
 */
const DEFAULT = "NORMAL:-CHACHA20-POLY1305:+CHACHA20-POLY1305:%SERVER_PRECEDENCE";

/** What QEMU appends so that keyless sessions can be negotiated (crypto/tlscreds*.c). */
const QEMU_SUFFIX: Readonly<Record<CredentialSpec["kind"], string>> = {
  x509: "",
  psk: ":+ECDHE-PSK:+DHE-PSK:+PSK",
  anon: ":+ANON-DH",
};

/**
 * Parses the priority string of credentials, or the default, as QEMU does for a session.
 *
 * @throws {EngineError} `TLS_CREDENTIALS` with the position of what is wrong.
 */
export function loadPriority(lib: Gnutls, kind: CredentialSpec["kind"], text?: string): Owned {
  const parsed = parse(lib, `${text ?? DEFAULT}${QEMU_SUFFIX[kind]}`);
  if (parsed instanceof Owned) return parsed;
  const value = text ?? DEFAULT;
  throw new EngineError("TLS_CREDENTIALS", {
    option: "priority",
    value,
    offset: parsed.position,
    cause: `priority string '${value}': ${parsed.error} (at character ${parsed.position + 1})`,
    hint: `gnutls-cli --priority '${value}' --list lists what a string allows`,
  });
}

/** Says whether the library reads a priority string, and where it stops. */
export function checkPriority(lib: Gnutls, text: string): PriorityCheck {
  const parsed = parse(lib, text);
  if (!(parsed instanceof Owned)) return { ok: false, ...parsed };
  parsed[Symbol.dispose]();
  return { ok: true };
}

function parse(lib: Gnutls, text: string): Owned | { position: number; error: string } {
  // The library would read no further.
  const nul = text.indexOf("\0");
  if (nul >= 0) return { position: nul, error: lib.text(Code.INVALID_REQUEST) };
  using arena = new Arena();
  const out = arena.bytes(8);
  const stopped = arena.bytes(8);
  const string = arena.text(text)!;
  const code = lib.call.gnutls_priority_init2(out, string, stopped, 0);
  if (code === Code.SUCCESS) return new Owned(pointerAt(out), lib.call.gnutls_priority_deinit);
  const at = Deno.UnsafePointer.value(pointerAt(stopped));
  const start = Deno.UnsafePointer.value(Deno.UnsafePointer.of(string));
  const inside = at >= start && at <= start + BigInt(string.length);
  return { position: inside ? Number(at - start) : 0, error: lib.text(code) };
}
