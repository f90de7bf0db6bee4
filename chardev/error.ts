/** The errors of character devices: their options, their local end, their log. */

import { type ErrorFacts, type ErrorText, VirtcredsError } from "../base/mod.ts";
import { ChannelError } from "../channel/mod.ts";
import { CredsError } from "../creds/mod.ts";
import { EngineError } from "../engine/mod.ts";

const CHARDEV_ERRORS = {
  OPTION: (f) => f.text ?? `cannot use option '${f.option}': ${f.cause}`,
  UNSUPPORTED: (f) => `cannot do ${f.option} here: ${f.cause}`,
  NO_EFFECT: (f) => `option '${f.option}' has no effect ${f.cause}`,
  ROLE: (f) => f.text ?? `cannot start TLS: ${f.cause}`,
  HUNG_UP: (f) => `the peer ended the session: ${f.cause}`,
  SPEAKS_TLS: () => "the peer speaks TLS, and this device does not",
  WEBSOCKET: (f) => `no WebSocket: ${f.cause}`,
  DEVICE: (f) => f.text ?? `cannot find chardev ${f.value}`,
  BACKEND: (f) => f.text ?? `cannot open ${f.option}: ${f.cause}`,
  LOG: (f) => `Could not create '${f.file}': ${f.cause}`,
  LOG_WRITE: (f) => `cannot write to log ${f.file}: ${f.cause}`,
} satisfies Record<string, ErrorText>;

/** Codes that mean that the user's text was wrong, not that the work failed. */
const USAGE: ReadonlySet<string> = new Set(["OPTION", "UNSUPPORTED", "NO_EFFECT"]);

/** Codes that mean that the peer was not what it should be. */
const FROM_PEER: ReadonlySet<string> = new Set(["HUNG_UP", "SPEAKS_TLS", "WEBSOCKET"]);

/** The codes of `chardev`. */
export type ChardevErrorCode = keyof typeof CHARDEV_ERRORS;

/** An error of a character device. */
export class ChardevError extends VirtcredsError {
  override readonly name = "ChardevError";

  constructor(readonly code: ChardevErrorCode, facts: ErrorFacts = {}, options?: ErrorOptions) {
    super(CHARDEV_ERRORS, code, facts, options);
  }

  override get exitCode(): 1 | 2 {
    return USAGE.has(this.code) ? 2 : 1;
  }
}

/** Whether an error came from the connection or its peer, so that another try may do better. */
export function isPeerFault(error: unknown): error is VirtcredsError {
  return error instanceof ChannelError || error instanceof EngineError ||
    error instanceof CredsError ||
    (error instanceof ChardevError && FROM_PEER.has(error.code));
}
