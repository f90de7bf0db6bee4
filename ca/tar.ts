/** Archives as every `tar` reads them: the ustar format (POSIX.1-1988), nothing else. */

import { encodeTarHeader, TAR_BLOCK, TAR_NAME_MAX, tarPadding } from "./tar_header.ts";

/** What an archive has of a file or directory. */
export interface TarEntry {
  /** Without a slash at its start or end. */
  readonly path: string;
  /** A directory has none. */
  readonly data?: Uint8Array;
  /** Permission bits. */
  readonly mode: number;
  readonly owner: TarAccount;
  readonly group: TarAccount;
  readonly modified: Date;
}

/** Who something belongs to: whoever unpacks it takes the name where it is known, else the number. */
export interface TarAccount {
  /** Empty for the number alone. */
  readonly name: string;
  readonly id: number;
}

/**
 * Writes an archive; the same entries give the same bytes.
 *
 * @throws {RangeError} If a path, name or number has no room in a header.
 */
export function encodeTar(entries: readonly TarEntry[]): Uint8Array<ArrayBuffer> {
  const parts = entries.flatMap((entry) => {
    const { data } = entry;
    if (data === undefined) return [headerOf(entry)];
    return [headerOf(entry), data, tarPadding(data.length)];
  });
  // Two blocks of zeros are the end.
  parts.push(new Uint8Array(2 * TAR_BLOCK));
  const archive = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    archive.set(part, offset);
    offset += part.length;
  }
  return archive;
}

function headerOf({ path, data, mode, owner, group, modified }: TarEntry): Uint8Array {
  const [prefix, name] = splitPath(data === undefined ? `${path}/` : path);
  return encodeTarHeader({
    ...{ name, prefix, mode },
    ...{ uid: owner.id, gid: group.id, uname: owner.name, gname: group.name },
    size: data?.length ?? 0,
    modified: modified.getTime(),
    type: data === undefined ? "5" : "0",
  });
}

/** A long path is parted at a slash that is in neither part. */
function splitPath(path: string): readonly [prefix: string, name: string] {
  if (new TextEncoder().encode(path).length <= TAR_NAME_MAX) return ["", path];
  for (let at = path.indexOf("/"); at >= 0; at = path.indexOf("/", at + 1)) {
    const name = path.slice(at + 1);
    if (name !== "" && new TextEncoder().encode(name).length <= TAR_NAME_MAX) {
      return [path.slice(0, at), name];
    }
  }
  throw new RangeError(`no room for name ${path}`);
}
