/** A page of what is known of one mistake. */

/** What is known of one mistake. */
export interface Page {
  /** The code of a finding or error, or a name of its own. */
  readonly code: string;
  /** Texts that programs have for it. */
  readonly says: readonly RegExp[];
  readonly cause: string;
  /** How to see that this is it, a command where there is one. */
  readonly confirm: string;
  /** What mends it, a command where there is one. */
  readonly mend: string;
  /** Instead, where the text names one of libvirt's files. */
  readonly libvirt?: { readonly cause: string; readonly mend: string };
}

/** Makes a page. */
export function page(
  code: string,
  says: readonly RegExp[],
  cause: string,
  confirm: string,
  mend: string,
): Page {
  return { code, says, cause, confirm, mend };
}
