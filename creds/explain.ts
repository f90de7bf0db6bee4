/** What the codes of this toolkit and the texts of QEMU, GnuTLS and libvirt mean. */

import { quote } from "./_mend.ts";
import type { Page } from "./_page.ts";
import { CERTIFICATE_PAGES } from "./_pages_certificates.ts";
import { FILE_PAGES } from "./_pages_files.ts";
import { SERVICE_PAGES } from "./_pages_services.ts";
import { SESSION_PAGES } from "./_pages_session.ts";
import { STRICT_PAGES } from "./_pages_strict.ts";

export type { Page } from "./_page.ts";

/** All pages; of those that fit a text the first is the most telling. */
export const PAGES: readonly Page[] = [
  ...CERTIFICATE_PAGES,
  ...FILE_PAGES,
  ...SESSION_PAGES,
  ...STRICT_PAGES,
  ...SERVICE_PAGES,
];

/** Longest text in characters that is looked at; a message is on one line. */
const LONGEST = 4096;

/**
 * Explains a code, or a text that a program printed, in which files and names may stand.
 *
 * @example A line of a log
 * ```ts
 * import { explain } from "@virtcreds/virtcreds/creds";
 * import { assertEquals } from "@std/assert";
 *
 * const page = explain("qemu: Certificate does not match the hostname 192.0.2.1");
 * assertEquals(page?.code, "PEER_HOSTNAME");
 * assertEquals(explain("all is well"), undefined);
 * ```
 *
 * @returns The page with the directory and the file of the text in its commands, if there is one.
 */
export function explain(text: string): Page | undefined {
  const wanted = text.trim().slice(0, LONGEST);
  const byCode = PAGES.find(({ code }) => code === wanted.toUpperCase());
  if (byCode !== undefined) return byCode;
  const found = PAGES.find(({ says }) => says.some((pattern) => pattern.test(wanted)));
  return found && fillIn(found, wanted);
}

/** Puts the places that a text names into the commands. */
function fillIn(page: Page, text: string): Page {
  const place = placeIn(text);
  if (place === undefined) return page;
  const { dir, name } = place;
  const host = /(?:^|\/)hosts\/([^/]+)$/.exec(dir)?.[1];
  const fill = (command: string) =>
    command.replaceAll(/\bFILE\b/g, () => quote(`${dir}/${name}`))
      .replaceAll(/\bDIR\b/g, () => quote(dir))
      .replaceAll(/\bHOST\b/g, () => host === undefined ? "HOST" : quote(host));
  const { cause, mend } = page.libvirt !== undefined && LIBVIRT_NAME.test(name)
    ? page.libvirt
    : page;
  return { ...page, cause, confirm: fill(page.confirm), mend: fill(mend) };
}

const LIBVIRT_NAME = /^(ca|server|client)(cert|key|crl)\.pem$/;

/**
 * Ways to tell a path, most certain first: quoted, absolute, behind the word for what it is, and
 * one without blanks. A blank before a slash begins another path.
 */
const PLACES: readonly RegExp[] = [
  /['“‘]((?:(?! \/)[^'“”‘’])*)\/([\w.-]+\.pem)['”’]/,
  /(?:^|[\s=,(])(\.{0,2}\/(?:(?! \/)[^'":&])*?)\/([\w.-]+\.pem)/,
  /(?:certificate|credentials|list|from|against) (?!list )((?:(?! \/)[^'":&])+?)\/([\w.-]+\.pem)/i,
  /((?:\/|[\w.-]+\/)[^\s'":&]*)\/([\w.-]+\.pem)/,
];

function placeIn(text: string): { readonly dir: string; readonly name: string } | undefined {
  for (const pattern of PLACES) {
    const found = pattern.exec(text);
    if (found !== null) return { dir: found[1]!, name: found[2]! };
  }
  return undefined;
}
