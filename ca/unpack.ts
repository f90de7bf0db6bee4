/** The files of a backup written to a folder. */

import { createFile, fileError, syncDirectory } from "../base/mod.ts";
import type { ArchiveFile } from "./archive.ts";

/** How files are written. */
export interface UnpackOptions {
  /** Whether they have to outlive a crash of the machine. */
  readonly durable: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Writes the files of a backup into an empty folder, with their modes and times.
 *
 * @returns Their paths, in order.
 * @throws {BaseError} `FILE_NOT_WRITABLE`.
 */
export async function unpack(
  folder: string,
  files: AsyncIterable<ArchiveFile>,
  { durable, signal }: UnpackOptions,
): Promise<string[]> {
  const made = new Set<string>();
  const paths: string[] = [];
  for await (const { path, mode, modified, data } of files) {
    signal?.throwIfAborted();
    const parts = path.split("/").slice(0, -1);
    for (const i of parts.keys()) makeOnce(`${folder}/${parts.slice(0, i + 1).join("/")}`, made);
    createFile(`${folder}/${path}`, data, mode, durable);
    Deno.utimeSync(`${folder}/${path}`, modified / 1000, modified / 1000);
    paths.push(path);
  }
  if (durable) { for (const one of [...made, folder]) syncDirectory(one); }
  return paths;
}

function makeOnce(path: string, made: Set<string>): void {
  if (made.has(path)) return;
  try {
    Deno.mkdirSync(path, { mode: 0o755 });
    Deno.chmodSync(path, 0o755);
  } catch (error) {
    throw fileError(error, path, "write");
  }
  made.add(path);
}
