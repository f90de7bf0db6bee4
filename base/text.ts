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

/**
 * Quotes a word for a shell, where it needs that, so that a command in a hint can be pasted.
 *
 * @example A path with a blank
 * ```ts
 * import { shellWord } from "@virtcreds/virtcreds/base";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(`ls -l ${shellWord("my pki/it's")}`, "ls -l 'my pki/it'\\''s'");
 * ```
 */
export function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/**
 * Maps a host name to its A-labels (UTS 46, as URLs do); what is ASCII without A-labels stays as it
 * is, and a text that is no internationalized name has none.
 *
 * @example An umlaut
 * ```ts
 * import { toAscii } from "@virtcreds/virtcreds/base";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(toAscii("zürich.example"), "xn--zrich-kva.example");
 * assertEquals(toAscii("zürich/example"), undefined);
 * ```
 */
export function toAscii(name: string): string | undefined {
  if (/^\p{ASCII}*$/u.test(name) && !/(^|\.)xn--/i.test(name)) return name;
  // In the text of a URL an `@` or `/` would mean something.
  if (/[^A-Za-z0-9.\-\u0080-\u{10ffff}]/u.test(name)) return undefined;
  try {
    const { hostname } = new URL(`http://${name}`);
    return /^[a-z0-9.-]+$/.test(hostname) ? hostname : undefined;
  } catch {
    return undefined;
  }
}
