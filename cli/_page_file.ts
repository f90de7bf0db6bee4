/** Pages that are written into files: they replace an earlier one, and nothing else. */

import { BaseError, fileError, shellWord, writeFileAtomic } from "../base/mod.ts";

/** How every page of this toolkit starts. */
const START = /^<!doctype html>\s*<html lang="en">[^]*<meta name="generator" content="virtcreds">/;

/** Within so many bytes. */
const HEAD = 512;

/**
 * Writes a page, readable for all.
 *
 * @throws {BaseError} `FILE_NOT_WRITABLE`, as {@linkcode refuseOtherFile}.
 */
export function writePage(file: string, html: string): void {
  refuseOtherFile(file);
  writeFileAtomic(file, html, 0o644);
}

/**
 * Checks early what {@linkcode writePage} will need, so that a mistake shows before long work.
 *
 * @throws {BaseError} `FILE_NOT_WRITABLE`.
 */
export function checkPageFile(file: string): void {
  refuseOtherFile(file);
  const probe = `${file}.${crypto.randomUUID().slice(0, 8)}.tmp`;
  try {
    Deno.openSync(probe, { write: true, createNew: true }).close();
    Deno.removeSync(probe);
  } catch (error) {
    const known = fileError(error, file, "write");
    if (!(known instanceof BaseError) || !(error instanceof Deno.errors.NotFound)) throw known;
    const folder = file.replace(/\/?[^/]*$/, "") || "/";
    const hint = `create the folder first: mkdir -p ${shellWord(folder)}`;
    throw new BaseError(known.code, { ...known.facts, hint }, { cause: error });
  }
}

/**
 * Refuses a place where something is that no page may replace; an empty file is nothing to lose.
 *
 * @throws {BaseError} `FILE_NOT_WRITABLE`.
 */
export function refuseOtherFile(file: string): void {
  const refuse = (cause: string) =>
    new BaseError("FILE_NOT_WRITABLE", {
      file,
      cause: `${cause}, and would be lost`,
      hint: ["take another name, such as page.html", `what it is: ls -l ${shellWord(file)}`],
    });
  try {
    const { isFile, size } = Deno.lstatSync(file);
    if (!isFile) throw refuse("it is not a regular file");
    if (size > 0 && !START.test(headOf(file))) throw refuse("it is no page of this toolkit");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw fileError(error, file, "write");
  }
}

function headOf(file: string): string {
  using handle = Deno.openSync(file, { read: true });
  const bytes = new Uint8Array(HEAD);
  return new TextDecoder().decode(bytes.subarray(0, handle.readSync(bytes) ?? 0));
}
