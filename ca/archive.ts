/** Files in a stream of tar: written with pax headers where a path is long, read with a limit. */

/** A file of an archive. */
export interface ArchiveFile {
  /** Relative, with slashes. */
  readonly path: string;
  /** Permission bits. */
  readonly mode: number;
  /** Ms since 1970. */
  readonly modified: number;
  readonly data: Uint8Array;
}

const BLOCK = 512;

/** The longest path that is read. */
const LONGEST_PATH = 1024;

const encoder = new TextEncoder();

/** Writes an archive (POSIX.1-2001 pax), one file at a time. */
export async function* writeArchive(files: AsyncIterable<ArchiveFile>): AsyncIterable<Uint8Array> {
  for await (const { path, mode, modified, data } of files) {
    if (encoder.encode(path).length > 100) {
      const text = encoder.encode(paxRecord("path", path));
      yield header({ path: "pax", mode, modified, size: text.length, type: "x" });
      yield text;
      yield padding(text.length);
    }
    yield header({ path: path.slice(0, 100), mode, modified, size: data.length, type: "0" });
    yield data;
    yield padding(data.length);
  }
  yield new Uint8Array(2 * BLOCK);
}

/**
 * Reads an archive.
 *
 * @throws {RangeError} If it is none, has other things than files and directories, or a path that
 * leads out of where it is unpacked.
 */
export async function* readArchive(pieces: AsyncIterable<Uint8Array>): AsyncIterable<ArchiveFile> {
  const take = reader(pieces);
  let long: string | undefined;
  for (;;) {
    const block = await take(BLOCK);
    if (block.every((octet) => octet === 0)) return;
    const size = parseHeader(block);
    const data = await take(size.size);
    await take(-size.size & (BLOCK - 1));
    if (size.type === "x") {
      long = paxPath(new TextDecoder().decode(data));
      continue;
    }
    const path = (long ?? size.path).replace(/^(\.\/)+/, "");
    long = undefined;
    if (size.type === "5") continue;
    if (size.type !== "0") throw new RangeError(`it has more than files: ${size.type}`);
    checkPath(path);
    yield { path, mode: size.mode & 0o777, modified: size.modified, data };
  }
}

function checkPath(path: string): void {
  const isPlain = path.length > 0 && path.length <= LONGEST_PATH && !path.includes("\0") &&
    path.split("/").every((part) => part !== "" && part !== "." && part !== "..");
  if (!isPlain) throw new RangeError("it has a path that leads elsewhere");
}

interface Header {
  readonly path: string;
  readonly mode: number;
  readonly modified: number;
  readonly size: number;
  readonly type: string;
}

/** Where each field lies, and how long it is. */
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
} as const;

function header({ path, mode, modified, size, type }: Header): Uint8Array {
  const block = new Uint8Array(BLOCK);
  const put = ([at, length]: readonly [number, number], text: string) =>
    encoder.encodeInto(text, block.subarray(at, at + length));
  const octal = (field: readonly [number, number], value: number) =>
    put(field, value.toString(8).padStart(field[1] - 1, "0"));
  put(FIELD.name, path);
  octal(FIELD.mode, mode);
  octal(FIELD.uid, 0);
  octal(FIELD.gid, 0);
  octal(FIELD.size, size);
  octal(FIELD.mtime, Math.max(0, Math.floor(modified / 1000)));
  put(FIELD.type, type);
  put(FIELD.magic, "ustar\x0000");
  put(FIELD.checksum, `${checksum(block).toString(8).padStart(6, "0")}\0 `);
  return block;
}

function parseHeader(block: Uint8Array): Header {
  const text = ([at, length]: readonly [number, number]) =>
    new TextDecoder().decode(block.subarray(at, at + length)).replace(/\0.*$/s, "");
  const octal = (field: readonly [number, number]) => {
    const value = parseInt(text(field).trim() || "0", 8);
    if (!Number.isSafeInteger(value)) throw new RangeError("it is no tar archive");
    return value;
  };
  if (octal(FIELD.checksum) !== checksum(block)) throw new RangeError("it is no tar archive");
  return {
    path: text(FIELD.name),
    mode: octal(FIELD.mode),
    size: octal(FIELD.size),
    modified: octal(FIELD.mtime) * 1000,
    type: text(FIELD.type) || "0",
  };
}

/** The sum of all octets, the field itself counted as blanks. */
function checksum(block: Uint8Array): number {
  const [at, length] = FIELD.checksum;
  return block.reduce(
    (sum, octet, i) => sum + (i >= at && i < at + length ? 0x20 : octet),
    0,
  );
}

/** `LENGTH path=VALUE\n`, the length counting its own digits. */
function paxRecord(name: string, value: string): string {
  const rest = encoder.encode(` ${name}=${value}\n`).length;
  let length = rest;
  while (String(length).length + rest !== length) length = String(length).length + rest;
  return `${length} ${name}=${value}\n`;
}

function paxPath(text: string): string | undefined {
  return /^\d+ path=(.*)$/m.exec(text)?.[1];
}

function padding(size: number): Uint8Array {
  return new Uint8Array(-size & (BLOCK - 1));
}

/** Gives exactly as many bytes as are asked for, whatever the pieces are. */
function reader(pieces: AsyncIterable<Uint8Array>): (size: number) => Promise<Uint8Array> {
  const iterator = pieces[Symbol.asyncIterator]();
  let piece = new Uint8Array(0) as Uint8Array;
  return async (size) => {
    const out = new Uint8Array(Math.min(size, LARGEST));
    if (size > LARGEST) throw new RangeError("it has a file of more than 2 GiB");
    for (let have = 0; have < size;) {
      if (piece.length === 0) {
        const { value, done } = await iterator.next();
        if (done) throw new RangeError("it ends too early");
        piece = value;
        continue;
      }
      const part = piece.subarray(0, size - have);
      out.set(part, have);
      have += part.length;
      piece = piece.subarray(part.length);
    }
    return out;
  };
}

/** The largest file that is read, in bytes. */
const LARGEST = 2 ** 31;
