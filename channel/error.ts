/** The errors of channels: addresses, sockets, and what the kernel says of them, in QEMU's words. */

import { type ErrorFacts, type ErrorText, kernelText, VirtcredsError } from "../base/mod.ts";

const CHANNEL_ERRORS = {
  ADDRESS_INVALID: (f) => f.text ?? `cannot use address '${f.value}': ${f.cause}`,
  ADDRESS_UNRESOLVED: (f) => `address resolution failed for ${f.peer}: ${f.cause}`,
  CONNECT_FAILED: (f) => `Failed to connect to '${f.peer}': ${f.cause}`,
  LISTEN_FAILED: (f) => f.text ?? `Failed to bind socket: ${f.cause}`,
  ACCEPT_FAILED: (f) => `Unable to accept connection: ${f.cause}`,
  CHANNEL_READ: (f) => `Unable to read from socket: ${f.cause}`,
  CHANNEL_WRITE: (f) => `Unable to write to socket: ${f.cause}`,
  FILE: (f) => `cannot open ${f.peer}: ${f.cause}`,
  DESCRIPTOR: (f) => f.text ?? `cannot use ${f.peer}: ${f.cause}`,
  COMMAND_FAILED: (f) => `${f.peer} ended with exit code ${f.value}`,
  CROWDED: (f) => `it was silent and made room: ${f.value} connections wait at once`,
  CHANNEL_CLOSED: (f) => `the channel${f.peer ? ` to ${f.peer}` : ""} is closed`,
} satisfies Record<string, ErrorText>;

/** The codes of `channel`. */
export type ChannelErrorCode = keyof typeof CHANNEL_ERRORS;

/** An error of an address, a listener or a connection. */
export class ChannelError extends VirtcredsError {
  override readonly name = "ChannelError";

  constructor(readonly code: ChannelErrorCode, facts: ErrorFacts = {}, options?: ErrorOptions) {
    super(CHANNEL_ERRORS, code, facts, options);
  }

  override get exitCode(): 1 | 2 {
    return this.code === "ADDRESS_INVALID" ? 2 : 1;
  }
}

/**
 * What the kernel or the resolver said, without Deno's wrapping:
 * `Connection refused (os error 111)` → `Connection refused`.
 */
export function kernelReason(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return kernelText(message).replace(/^failed to lookup address information: /, "");
}
