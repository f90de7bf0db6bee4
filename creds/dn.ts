/** Distinguished names, and their text as GnuTLS prints it for QEMU's authz. */

/** A distinguished name. */
export interface Name {
  /** The Name, DER. */
  readonly raw: Uint8Array;
  /** As an authz rule has to spell it. */
  readonly text: string;
}

/** The text of a DER Name. */
export function dnText(_name: Uint8Array): string {
  return "";
}
