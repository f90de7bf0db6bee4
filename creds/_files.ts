/** The files of a directory of credentials, as QEMU comes to see them. */

import { BaseError, fileError, kernelText, MAX_CREDENTIAL_FILE } from "../base/mod.ts";
import { readFileLimited } from "../base/mod.ts";
import type { Endpoint } from "../engine/mod.ts";
import { latin1 } from "./_pem.ts";

/** A file of a directory; `path` is spelled as QEMU spells it. */
export interface CredentialFile {
  readonly path: string;
  readonly state: FileState;
}

/** What there is of a file. */
export type FileState =
  | { readonly kind: "absent" }
  /** It cannot be looked up; the kernel's words. */
  | { readonly kind: "inaccessible"; readonly reason: string }
  /** It is there and cannot be read. */
  | { readonly kind: "unreadable"; readonly reason: string; readonly isDirectory: boolean }
  | {
    readonly kind: "present";
    readonly bytes: Uint8Array;
    /** The same, one character for each octet. */
    readonly text: string;
    /** Permission bits, where the system has them. */
    readonly mode: number | undefined;
    /** Whether there is more of it than is looked at. */
    readonly isCut?: true;
  };

/** The names QEMU looks for. */
export const FILE = {
  caCert: "ca-cert.pem",
  caCrl: "ca-crl.pem",
  dhParams: "dh-params.pem",
} as const;

/** The name of an endpoint's certificate or key; from QEMU 10.2 on there are numbered ones too. */
export function identityFile(endpoint: Endpoint, part: "cert" | "key", number?: number): string {
  return `${endpoint}-${part}${number === undefined ? "" : `-${number}`}.pem`;
}

/** Finds the files of a directory by name; each is looked up and read once. */
export type FileFinder = (name: string) => CredentialFile;

/** Opens a directory; it needs not exist. */
export function openDirectory(dir: string): FileFinder {
  const names = listNames(dir);
  const known = new Map<string, CredentialFile>();
  return (name) => {
    let file = known.get(name);
    if (file === undefined) {
      const path = `${dir}/${name}`;
      const isAbsent = names !== undefined && !names.has(name);
      file = { path, state: isAbsent ? { kind: "absent" } : readState(path) };
      known.set(name, file);
    }
    return file;
  };
}

/** Opens files that lie under other names; one without a path is not there. */
export function openPaths(
  dir: string,
  paths: Readonly<Partial<Record<string, string>>>,
): FileFinder {
  const known = new Map<string, CredentialFile>();
  return (name) => {
    let file = known.get(name);
    if (file === undefined) {
      const path = paths[name];
      file = path === undefined
        ? { path: `${dir}/${name}`, state: { kind: "absent" } }
        : { path, state: readState(path) };
      known.set(name, file);
    }
    return file;
  };
}

/** Files that whoever wrote them still has: none is read again, and no other one is there. */
export function givenFiles(dir: string, files: ReadonlyMap<string, GivenFile>): FileFinder {
  const known = new Map<string, CredentialFile>();
  for (const [name, { bytes, text, mode }] of files) {
    const state = { kind: "present", bytes, text, mode } as const;
    known.set(name, { path: `${dir}/${name}`, state });
  }
  return (name) => known.get(name) ?? { path: `${dir}/${name}`, state: { kind: "absent" } };
}

/** A file as it was written. */
export interface GivenFile {
  readonly bytes: Uint8Array;
  /** The same, one character for each octet. */
  readonly text: string;
  /** Permission bits. */
  readonly mode: number;
}

/** One listing is cheaper than a failed look-up of each file that is not there. */
function listNames(dir: string): ReadonlySet<string> | undefined {
  try {
    return new Set(Array.from(Deno.readDirSync(dir), ({ name }) => name));
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    return undefined;
  }
}

function readState(path: string): FileState {
  let info: Deno.FileInfo;
  try {
    info = Deno.statSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { kind: "absent" };
    return { kind: "inaccessible", reason: kernelReason(error) };
  }
  try {
    const isCut = info.isFile && info.size > MAX_CREDENTIAL_FILE;
    const bytes = isCut ? readBeginning(path) : readFileLimited(path);
    const mode = info.mode ?? undefined;
    return { kind: "present", bytes, text: latin1(bytes), mode, ...(isCut ? { isCut } : {}) };
  } catch (error) {
    if (!(error instanceof BaseError)) throw error;
    const reason = error.facts.cause ?? error.message;
    return { kind: "unreadable", reason, isDirectory: info.isDirectory };
  }
}

/** QEMU reads files of any size; a verdict on the beginning of a huge one is better than none. */
function readBeginning(path: string): Uint8Array<ArrayBuffer> {
  try {
    using file = Deno.openSync(path, { read: true });
    const bytes = new Uint8Array(MAX_CREDENTIAL_FILE);
    let length = 0;
    for (
      let count: number | null = 1;
      count !== null && length < bytes.length;
      length += count ?? 0
    ) {
      count = file.readSync(bytes.subarray(length));
    }
    return bytes.subarray(0, length);
  } catch (error) {
    throw fileError(error, path, "read");
  }
}

/** Whether a file is there, readable or not. */
export function exists(file: CredentialFile): boolean {
  return file.state.kind === "present" || file.state.kind === "unreadable";
}

/** `Permission denied (os error 13): stat '/x'` → `Permission denied`. */
function kernelReason(error: unknown): string {
  if (error instanceof Deno.errors.NotCapable || !(error instanceof Error)) throw error;
  return kernelText(error.message);
}
