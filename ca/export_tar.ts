/** An export packed into an archive that the host's own `tar` unpacks. */

import { layoutAccount } from "./account.ts";
import { CaError } from "./error.ts";
import type { ExportPlan } from "./export.ts";
import { encodeTar } from "./tar.ts";

/** Where an archive is to be unpacked. */
export interface ExportArchive {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The directory for `tar -C`: `/` or `~`. */
  readonly root: "/" | "~";
}

/**
 * Packs an export, its paths as they are on the host. The same set gives the same bytes: the time
 * of all files is the one from which on it is valid.
 *
 * @throws {CaError} `EXPORT_OPTION` If the path of a file is too long for an archive.
 */
export function packExport({ place, entries, notBefore }: ExportPlan): ExportArchive {
  const root = place.startsWith("/") ? "/" : "~";
  const base = place.replace(/^(\/|~\/)/, "");
  const nobody = layoutAccount("user");
  try {
    const bytes = encodeTar(entries.map(({ path, data, mode, owner, group }) => ({
      path: path === "" ? base : `${base}/${path}`,
      ...(data === undefined ? {} : { data }),
      mode,
      owner: owner ?? nobody,
      group: group ?? nobody,
      modified: notBefore,
    })));
    return { bytes, root };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new CaError("EXPORT_OPTION", {
      option: "--place",
      cause: "an archive has no room for so long a path",
      hint: "choose a shorter one, or write the files with --out",
    }, { cause: error });
  }
}
