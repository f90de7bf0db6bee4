/** The errors of migration: streams, peers, the monitor, QMP. */

import { type ErrorFacts, type ErrorText, VirtcredsError } from "../base/mod.ts";

const MIGRATION_ERRORS = {
  STREAM: (f) => `${f.text}${at(f)}`,
  STREAM_TRUNCATED: (f) => `the stream is not complete: it ends at byte ${f.offset}, ${f.cause}`,
  STREAM_LIMIT: (f) => `cannot read the stream: ${f.cause}${at(f)}`,
  STREAM_UNSUPPORTED: (f) => `cannot read the stream: ${f.cause}${at(f)}`,
  STREAM_END_UNKNOWN: (f) => `cannot tell whether the stream is complete: ${f.cause}`,
  FILE_STREAM: (f) => `${f.file} is no stream that can be sent: ${f.cause}`,
  PEER_CLOSED: (f) => `the peer closed the connection ${f.cause}`,
  PEER_SILENT: (f) => `${f.peer ?? "the peer"} sent nothing for ${f.value}`,
  PEER_FAILED: (f) => f.text ?? `the peer failed: ${f.cause}`,
  BUSY: (f) => `another migration is running: refused ${f.peer}`,
  ABORTED: (f) => `stopped${f.cause === undefined ? "" : ` by ${f.cause}`}`,
  PARAMETER: (f) => f.text ?? `cannot set '${f.option}': ${f.cause}`,
  REFUSED: (f) => f.text ?? `cannot do that: ${f.cause}`,
  MONITOR: (f) => f.text ?? `${f.cause}`,
  GUEST: (f) => `cannot make a guest: ${f.cause}`,
  QMP: (f) => f.text ?? `QMP: ${f.cause}`,
  QMP_CLOSED: (f) => `QMP: the connection ended${f.cause ? `: ${f.cause}` : ""}`,
  QMP_TIMEOUT: (f) => `QMP: no ${f.option} within ${f.value}`,
} satisfies Record<string, ErrorText>;

const NO_STREAM =
  "nothing of it was kept: let a QEMU migrate here, or `deno task migration source`";

/** What mends an error whose place knows nothing better. */
const MIGRATION_HINTS: { readonly [code in MigrationErrorCode]?: string } = {
  STREAM: NO_STREAM,
  STREAM_LIMIT: NO_STREAM,
  STREAM_UNSUPPORTED: NO_STREAM,
  STREAM_TRUNCATED:
    "nothing of it was kept: the source's log says why it ended, then migrate again",
  STREAM_END_UNKNOWN: "the source must describe its devices: no suppress-vmdesc=on in its -machine",
  FILE_STREAM: "record it anew: deno task migration target --incoming tcp:HOST:PORT --out FILE",
  PEER_SILENT: "the peer's log says what it waits for; --idle-timeout SECONDS gives it longer",
  PEER_FAILED: "the cause is in the peer's log",
};

/** What mends a source that has multifd on, where the target has not. */
export const MULTIFD_HINTS: readonly string[] = [
  "if the source has multifd on, add --capability multifd=on here",
  "or switch the capability multifd off at the source",
];

function at(facts: ErrorFacts): string {
  return facts.offset === undefined ? "" : ` at byte ${facts.offset}`;
}

/** The codes of `migration`. */
export type MigrationErrorCode = keyof typeof MIGRATION_ERRORS;

/** An error of a migration. */
export class MigrationError extends VirtcredsError {
  override readonly name = "MigrationError";

  constructor(readonly code: MigrationErrorCode, facts: ErrorFacts = {}, options?: ErrorOptions) {
    super(MIGRATION_ERRORS, code, facts, options);
  }

  override get hints(): readonly string[] {
    const fallback = MIGRATION_HINTS[this.code];
    return this.facts.hint !== undefined || fallback === undefined ? super.hints : [fallback];
  }

  override get exitCode(): 1 | 2 {
    return this.code === "PARAMETER" || this.code === "GUEST" ? 2 : 1;
  }
}

/**
 * Runs what may refuse a part of a stream without knowing where that stands.
 *
 * @param offset Of the part, in bytes.
 * @throws {MigrationError} The same error, with the place.
 */
export function located<T>(offset: number, run: () => T): T {
  try {
    return run();
  } catch (error) {
    const knows = !(error instanceof MigrationError) || error.facts.offset !== undefined;
    throw knows ? error : new MigrationError(error.code, { ...error.facts, offset });
  }
}
