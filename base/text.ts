/** Foreign text made fit for a line of output. */

const LONGEST_SHOWN = 200;

/**
 * Makes a piece of foreign text safe to print on one line: control and format characters are
 * escaped, and what is longer than a line bears is cut.
 *
 * @param longest Most characters that are kept.
 *
 * @example A name with a newline in it
 * ```ts
 * import { printable } from "@virtcreds/virtcreds/base";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(printable("a\nb"), "a\\u{a}b");
 * ```
 */
export function printable(text: string, longest = LONGEST_SHOWN): string {
  const clean = [...text.slice(0, longest + 1)].map((c) =>
    /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/u.test(c) ? `\\u{${c.codePointAt(0)!.toString(16)}}` : c
  ).join("");
  return clean.length > longest ? `${clean.slice(0, longest)}…` : clean;
}
