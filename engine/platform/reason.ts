/** Why a session failed, in words. */

import { kernelText, VirtcredsError } from "../../base/mod.ts";

/** GnuTLS's words for a connection that ended without close_notify. */
export const TERMINATED = "The TLS connection was non-properly terminated.";

/** GnuTLS's words, which QEMU's users know, for what Deno's TLS says in its own. */
const SAYINGS: readonly (readonly [RegExp, string])[] = [
  [/before secure TLS connection|socket hang up/, TERMINATED],
  [/wrong version number|InvalidContentType/, "An unexpected TLS packet was received."],
];

/** What the peer or the library said. */
export function reason(error: unknown): string {
  if (error instanceof VirtcredsError) return error.facts.cause ?? error.message;
  const message = error instanceof Error ? error.message : String(error);
  return SAYINGS.find(([pattern]) => pattern.test(message))?.[1] ??
    kernelText(message.replace(/ \(SSL routines:.*\)$/, ""));
}
