/** A CA whose certificate is not where it should be: the way back depends on what is left of it. */

import { shellWord } from "../base/mod.ts";
import { CaError } from "./error.ts";
import { heldHosts } from "./held.ts";
import { CA_CERTIFICATE_FILE, isThere, type PkiPaths } from "./pki.ts";

/** The error that there is no CA. */
export function missingAuthority(paths: PkiPaths): CaError {
  const hint = wayBack(paths) ?? `make one: deno task ca init --dir ${shellWord(paths.root)}`;
  return new CaError("CA_MISSING", { file: paths.caCertificate, hint });
}

/** How a lost certificate comes back, where the key that it is of is still there. */
export function wayBack(paths: PkiPaths): readonly string[] | undefined {
  const key = [paths.caKey, paths.caKeyUri].find(isThere);
  if (key === undefined || isThere(paths.caCertificate)) return undefined;
  const copy = heldHosts(paths).map((host) => `${paths.hosts}/${host}/${CA_CERTIFICATE_FILE}`)
    .find(isThere);
  return [
    copy === undefined
      ? `${key} is there: put its certificate back as ${paths.caCertificate}, from a host or a backup`
      : `${key} is there, and its certificate lies with a host: cp ${shellWord(copy)} ${
        shellWord(paths.caCertificate)
      }`,
    `or begin anew elsewhere: deno task ca init --dir DIR`,
  ];
}
