/** Archives as every `tar` reads them: the ustar format (POSIX.1-1988), nothing else. */

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

const BLOCK = 512;

/**
 * Writes an archive; the same entries give the same bytes.
 *
 * @throws {RangeError} If a path, name or number has no room in a header.
 */
export function encodeTar(entries: readonly TarEntry[]): Uint8Array<ArrayBuffer> {
  const parts = entries.flatMap((entry) => {
    const { data } = entry;
    if (data === undefined) return [headerOf(entry)];
    return [headerOf(entry), data, new Uint8Array(-data.length & (BLOCK - 1))];
  });
  // Two blocks of zeros are the end.
  parts.push(new Uint8Array(2 * BLOCK));
  const archive = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    archive.set(part, offset);
    offset += part.length;
  }
  return archive;
}

/** Where each field of a header lies, and how many bytes it has. */
const FIELD = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  type: [156, 1],
  magic: [257, 8],
  uname: [265, 32],
  gname: [297, 32],
  prefix: [345, 155],
} as const;

function headerOf({ path, data, mode, owner, group, modified }: TarEntry): Uint8Array {
  const header = new Uint8Array(BLOCK);
  const text = (field: keyof typeof FIELD, value: string) => {
    const [offset, length] = FIELD[field];
    const bytes = new TextEncoder().encode(value);
    if (bytes.length > length) throw new RangeError(`no room for ${field} ${value}`);
    header.set(bytes, offset);
  };
  const number = (field: keyof typeof FIELD, value: number) => {
    const digits = FIELD[field][1] - 1;
    text(field, `${value.toString(8).padStart(digits, "0")}\0`);
  };
  const [prefix, name] = splitPath(data === undefined ? `${path}/` : path);
  text("name", name);
  text("prefix", prefix);
  number("mode", mode);
  number("uid", owner.id);
  number("gid", group.id);
  number("size", data?.length ?? 0);
  number("mtime", Math.floor(modified.getTime() / 1000));
  text("type", data === undefined ? "5" : "0");
  text("magic", "ustar\x0000");
  text("uname", owner.name);
  text("gname", group.name);
  // Its own field counts as blanks.
  text("checksum", " ".repeat(FIELD.checksum[1]));
  const sum = header.reduce((total, octet) => total + octet, 0);
  text("checksum", `${sum.toString(8).padStart(6, "0")}\0 `);
  return header;
}

/** A long path is parted at a slash that is in neither part. */
function splitPath(path: string): readonly [prefix: string, name: string] {
  const room = FIELD.name[1];
  if (new TextEncoder().encode(path).length <= room) return ["", path];
  for (let at = path.indexOf("/"); at >= 0; at = path.indexOf("/", at + 1)) {
    const name = path.slice(at + 1);
    if (name !== "" && new TextEncoder().encode(name).length <= room) {
      return [path.slice(0, at), name];
    }
  }
  throw new RangeError(`no room for name ${path}`);
}
