/** What a reader has learnt of a stream. */

import type { RamBlock, RamPages } from "./stream_ram.ts";

/** A device's state: one section of type FULL. */
export interface DeviceSection {
  readonly sectionId: number;
  /** Printable ASCII. */
  readonly idstr: string;
  readonly instanceId: number;
  readonly versionId: number;
  /** Offset in bytes of the section's type byte in the stream. */
  readonly offset: number;
  /** Bytes of the payload, header and footer not counted. */
  readonly length: number;
}

/** How far the content was checked. */
export type Validation =
  /** Every section was walked, and the description at the end says the same of each device. */
  | { readonly kind: "sections"; readonly devices: number }
  /** The end marker was reached, and the description says other than what was found. */
  | { readonly kind: "mismatch"; readonly cause: string }
  /** The end marker was reached over parts that cannot be walked without the device's model. */
  | { readonly kind: "end"; readonly cause: string };

/** The structure of a stream. */
export interface StreamSummary {
  /** Bytes up to and with the end marker, or read so far. */
  readonly bytes: number;
  /** Machine type with its version, such as `pc-i440fx-7.2`; absent before 2.4. */
  readonly machine?: string;
  /** Bytes of a page of the target. */
  readonly pageSize: number;
  /** Validated capabilities that were on, such as `x-ignore-shared`. */
  readonly capabilities: readonly string[];
  readonly uuid?: string;
  readonly blocks: readonly RamBlock[];
  readonly pages: RamPages;
  /** Rounds over the memory. */
  readonly ramParts: number;
  readonly devices: readonly DeviceSection[];
  /** Names of the commands, each once, in the order they came. */
  readonly commands: readonly string[];
  /** Whether the source waits for SHUT on the way back. */
  readonly returnPath: boolean;
  /** Bytes of the description at the end. */
  readonly vmdescription?: number;
  /** Present once the end marker was read. */
  readonly validation?: Validation;
}
