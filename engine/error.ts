/** The errors of both engines. */

import { type ErrorFacts, type ErrorText, VirtcredsError } from "../base/mod.ts";

const ENGINE_ERRORS = {
  ENGINE_UNAVAILABLE: (f) => `cannot use the ${f.option} engine: ${f.cause}`,
  ENGINE_UNKNOWN: (f) => `${f.option} does not take '${f.value}'`,
  ENGINE_UNSUPPORTED: (f) => `the ${f.value} engine cannot do ${f.option}${because(f)}`,
  TLS_CREDENTIALS: (f) => f.text ?? `cannot load TLS credentials: ${f.cause}`,
  TLS_HANDSHAKE: (f) => `TLS handshake failed: ${f.cause}`,
  TLS_TIMEOUT: (f) => `TLS handshake failed: ${f.peer ?? "the peer"} did not finish in ${f.value}`,
  TLS_READ: (f) => `Cannot read from TLS channel: ${f.cause}`,
  TLS_WRITE: (f) => `Cannot write to TLS channel: ${f.cause}`,
  TLS_CLOSED: () => "the TLS session is closed",
  KEY: (f) => f.text ?? `cannot use private key${f.file ? ` ${f.file}` : ""}: ${f.cause}`,
  CERTIFICATE: (f) => `cannot use a certificate: ${f.cause}`,
  SIGNATURE: (f) => `cannot check a signature: ${f.cause}`,
} satisfies Record<string, ErrorText>;

function because(facts: ErrorFacts): string {
  return facts.cause === undefined ? "" : `: ${facts.cause}`;
}

/** The codes of `engine`. */
export type EngineErrorCode = keyof typeof ENGINE_ERRORS;

/** An error of TLS, keys or signatures. */
export class EngineError extends VirtcredsError {
  override readonly name = "EngineError";

  constructor(readonly code: EngineErrorCode, facts: ErrorFacts = {}, options?: ErrorOptions) {
    super(ENGINE_ERRORS, code, facts, options);
  }

  override get exitCode(): 1 | 2 {
    return this.code === "ENGINE_UNKNOWN" ? 2 : 1;
  }
}
