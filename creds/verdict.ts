/** What QEMU says of a directory of credentials. */

import type { Endpoint } from "../engine/mod.ts";

/** How much a finding matters. */
export type Severity = "error" | "warning" | "info";

/** One thing found in a directory. */
export interface Finding {
  /** Stable, in capitals. */
  readonly code: string;
  readonly severity: Severity;
  readonly file: string;
  /** QEMU's own text where QEMU says something. */
  readonly message: string;
  readonly cause: string;
  /** A command, where one mends it. */
  readonly mend: string;
}

/** QEMU's verdict on one endpoint of a directory, and all that was found beside it. */
export interface Verdict {
  readonly dir: string;
  readonly endpoint: Endpoint;
  /** The version it holds for. */
  readonly qemu: string;
  readonly ok: boolean;
  /** QEMU's text; empty where it accepts. */
  readonly message: string;
  readonly findings: readonly Finding[];
}
