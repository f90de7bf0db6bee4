/** The header that stands before each file of a tar archive: ustar (POSIX.1-1988), pax included. */

/** Bytes of a header; what follows is filled up to a multiple of it. */
export const TAR_BLOCK = 512;

/** What a header says. */
export interface TarHeader {
  readonly name: string;
  /** What stands before the name and a slash; empty for nothing. */
  readonly prefix?: string;
  /** Permission bits. */
  readonly mode: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly uname?: string;
  readonly gname?: string;
  /** Bytes. */
  readonly size: number;
  /** Ms since 1970; whole seconds are kept. */
  readonly modified: number;
  /** `0` a file, `5` a directory, `x` a pax header. */
  readonly type: string;
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

type Field = keyof typeof FIELD;

/** Bytes of the longest name that needs no prefix. */
export const TAR_NAME_MAX: number = FIELD.name[1];

/**
 * Encodes a header.
 *
 * @throws {RangeError} If a name or number has no room.
 */
export function encodeTarHeader(header: TarHeader): Uint8Array {
  const block = new Uint8Array(TAR_BLOCK);
  const text = (field: Field, value: string) => {
    const [offset, length] = FIELD[field];
    const bytes = new TextEncoder().encode(value);
    if (bytes.length > length) throw new RangeError(`no room for ${field} ${value}`);
    block.set(bytes, offset);
  };
  const number = (field: Field, value: number) =>
    text(field, `${value.toString(8).padStart(FIELD[field][1] - 1, "0")}\0`);
  text("name", header.name);
  text("prefix", header.prefix ?? "");
  number("mode", header.mode);
  number("uid", header.uid ?? 0);
  number("gid", header.gid ?? 0);
  number("size", header.size);
  number("mtime", Math.floor(header.modified / 1000));
  text("type", header.type);
  text("magic", "ustar\x0000");
  text("uname", header.uname ?? "");
  text("gname", header.gname ?? "");
  text("checksum", `${checksum(block).toString(8).padStart(6, "0")}\0 `);
  return block;
}

/**
 * Parses what files, directories and pax headers say of themselves.
 *
 * @throws {RangeError} If it is no header.
 */
export function parseTarHeader(
  block: Uint8Array,
): Pick<TarHeader, "name" | "mode" | "size" | "modified" | "type"> {
  const text = (field: Field) => {
    const [at, length] = FIELD[field];
    return new TextDecoder().decode(block.subarray(at, at + length)).replace(/\0.*$/s, "");
  };
  const octal = (field: Field) => {
    const value = parseInt(text(field).trim() || "0", 8);
    if (!Number.isSafeInteger(value)) throw new RangeError("it is no tar archive");
    return value;
  };
  if (octal("checksum") !== checksum(block)) throw new RangeError("it is no tar archive");
  return {
    name: text("name"),
    mode: octal("mode"),
    size: octal("size"),
    modified: octal("mtime") * 1000,
    type: text("type") || "0",
  };
}

/** The zeros behind so many bytes of data. */
export function tarPadding(size: number): Uint8Array {
  return new Uint8Array(-size & (TAR_BLOCK - 1));
}

/** The sum of all octets, its own field counted as blanks. */
function checksum(block: Uint8Array): number {
  const [at, length] = FIELD.checksum;
  return block.reduce(
    (sum, octet, i) => sum + (i >= at && i < at + length ? 0x20 : octet),
    0,
  );
}
