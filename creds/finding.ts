/** What is found in a directory of credentials. */

/** How much a finding matters: an error breaks something, a warning will, an info explains. */
export type Severity = "error" | "warning" | "info";

/** One thing found in a directory. */
export interface Finding {
  /** Stable, in capitals: what programs may compare. */
  readonly code: string;
  readonly severity: Severity;
  /** Path of the file it is about. */
  readonly file: string;
  /** QEMU's own text; empty where QEMU says nothing. */
  readonly message: string;
  readonly cause: string;
  /** What mends it, a command where there is one. */
  readonly mend: string;
  /** Who says so where QEMU does not, such as `RFC 5280 4.2.1.3`; of the strict look only. */
  readonly reference?: string;
}
