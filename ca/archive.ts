/** Files in a stream of tar: written with pax headers where a path is long, read with a limit. */

import {
  encodeTarHeader,
  parseTarHeader,
  TAR_BLOCK,
  TAR_NAME_MAX,
  tarPadding,
} from "./tar_header.ts";

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

/** The longest path that is read. */
const LONGEST_PATH = 1024;

const encoder = new TextEncoder();

/** Writes an archive (POSIX.1-2001 pax), one file at a time. */
export async function* writeArchive(files: AsyncIterable<ArchiveFile>): AsyncIterable<Uint8Array> {
  for await (const { path, mode, data, ...file } of files) {
    const modified = Math.max(0, file.modified);
    if (encoder.encode(path).length > TAR_NAME_MAX) {
      const text = encoder.encode(paxRecord("path", path));
      yield encodeTarHeader({ name: "pax", mode, modified, size: text.length, type: "x" });
      yield text;
      yield tarPadding(text.length);
    }
    yield encodeTarHeader({ name: cutToName(path), mode, modified, size: data.length, type: "0" });
    yield data;
    yield tarPadding(data.length);
  }
  yield new Uint8Array(2 * TAR_BLOCK);
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
    const block = await take(TAR_BLOCK);
    if (block.every((octet) => octet === 0)) return;
    const header = parseTarHeader(block);
    const data = await take(header.size);
    await take(tarPadding(header.size).length);
    if (header.type === "x") {
      long = paxPath(new TextDecoder().decode(data));
      continue;
    }
    const path = (long ?? header.name).replace(/^(\.\/)+/, "");
    long = undefined;
    if (header.type === "5") continue;
    if (header.type !== "0") throw new RangeError(`it has more than files: ${header.type}`);
    checkPath(path);
    yield { path, mode: header.mode & 0o777, modified: header.modified, data };
  }
}

function checkPath(path: string): void {
  const isPlain = path.length > 0 && path.length <= LONGEST_PATH && !path.includes("\0") &&
    path.split("/").every((part) => part !== "" && part !== "." && part !== "..");
  if (!isPlain) throw new RangeError("it has a path that leads elsewhere");
}

/** As much of a path as has room, for readers without pax. */
function cutToName(path: string): string {
  const name = new Uint8Array(TAR_NAME_MAX);
  return path.slice(0, encoder.encodeInto(path, name).read);
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
