/** The files of a CA that another tool made, read and sorted by what is in them. */

import { BaseError, decodePem, fileError, readFileLimited } from "../base/mod.ts";
import { type Certificate, parseCertificate, parseCrl, type RevocationList } from "../creds/mod.ts";
import { CaError } from "./error.ts";
import { type IndexEntry, parseIndex } from "./import_index.ts";
import { CRL_LABEL } from "./revoked.ts";

/** A certificate and where it lies. */
export interface FoundCertificate {
  readonly file: string;
  readonly certificate: Certificate;
}

/** A private key, not opened yet. */
export interface FoundKey {
  readonly file: string;
  /** The one block, headers and all. */
  readonly pem: string;
}

/** What a CA's files have. */
export interface Material {
  readonly certificates: readonly FoundCertificate[];
  readonly keys: readonly FoundKey[];
  readonly crls: readonly { readonly file: string; readonly crl: RevocationList }[];
  readonly index: readonly IndexEntry[];
  /** The number that the next CRL was to have. */
  readonly crlNumber: bigint;
  /** Which tool the files speak of. */
  readonly kind: "easy-rsa" | "openssl" | "certtool";
  /** Files that look like what is sought and cannot be read. */
  readonly unreadable: readonly { readonly file: string; readonly cause: string }[];
}

/** Where the material is sought. */
export interface MaterialOptions {
  /** Folders, looked at with all below them. */
  readonly folders: readonly string[];
  /** Single files beside. */
  readonly files: readonly string[];
  /** An index of another name than `index.txt`. */
  readonly index?: string | undefined;
}

/** Folders deeper than this, and files larger than this in bytes, are another matter. */
const DEEPEST = 8;
const LARGEST = 64 * 1024 * 1024;

/** The most files that are read: a limit against a wrong folder such as `/`. */
const MOST_FILES = 1_000_000;

/** Names under which tools keep certificates, keys and lists. */
const LIKELY = /(\.(pem|crt|cer|der|key|crl|txt)|(^|\/)(crlnumber|serial))$/i;

/**
 * Reads what lies there; nothing is changed.
 *
 * @throws {CaError} `IMPORT` If an index cannot be read.
 * @throws {BaseError} `FILE_NOT_FOUND`, `FILE_NOT_READABLE`.
 */
export function readMaterial(options: MaterialOptions): Material {
  const names = [...options.files, ...options.folders.flatMap((folder) => listFiles(folder))];
  const found = {
    certificates: [] as FoundCertificate[],
    keys: [] as FoundKey[],
    crls: [] as { file: string; crl: RevocationList }[],
    unreadable: [] as { file: string; cause: string }[],
  };
  const index: IndexEntry[] = [];
  let crlNumber = 0n;
  for (const file of new Set(names)) {
    const name = file.replace(/.*\//, "");
    if (name === "index.txt" || file === options.index) continue;
    const bytes = readFileLimited(file, LARGEST);
    if (name === "crlnumber") crlNumber = parseNumber(bytes, file);
    else readBlocks(file, bytes, found);
  }
  const indexes = options.index === undefined
    ? [...new Set(names)].filter((file) => /(^|\/)index\.txt$/.test(file))
    : [options.index];
  for (const file of indexes) {
    index.push(...parseIndex(new TextDecoder().decode(readFileLimited(file, LARGEST)), file));
  }
  const isEasy = names.some((file) => /easyrsa|certs_by_serial/.test(file));
  const kind = isEasy ? "easy-rsa" : indexes.length > 0 ? "openssl" : "certtool";
  return { ...found, index, crlNumber, kind };
}

function readBlocks(
  file: string,
  bytes: Uint8Array,
  found: {
    certificates: FoundCertificate[];
    keys: FoundKey[];
    crls: { file: string; crl: RevocationList }[];
    unreadable: { file: string; cause: string }[];
  },
): void {
  const text = new TextDecoder("latin1").decode(bytes);
  const blocks = text.includes("-----BEGIN ")
    ? decodePem(text)
    : bytes[0] === 0x30
    ? [{ label: "DER", der: bytes }]
    : [];
  for (const { label, der } of blocks) {
    try {
      if (label === "CERTIFICATE") {
        found.certificates.push({ file, certificate: parseCertificate(der) });
      } else if (label === CRL_LABEL) found.crls.push({ file, crl: parseCrl(der) });
      else if (label === "DER") readDerFile(file, der, found);
    } catch (error) {
      if (!(error instanceof BaseError)) throw error;
      found.unreadable.push({ file, cause: error.facts.cause ?? error.message });
    }
  }
  // The headers of a traditional encrypted key are a part of it.
  for (const [pem] of text.matchAll(KEY)) found.keys.push({ file, pem: `${pem}\n` });
}

const KEY = /-----BEGIN ([A-Z ]*PRIVATE KEY)-----[\s\S]*?-----END \1-----/g;

/** A file in DER may be either; what is neither is somebody else's. */
function readDerFile(file: string, der: Uint8Array, found: Parameters<typeof readBlocks>[2]): void {
  try {
    found.certificates.push({ file, certificate: parseCertificate(der) });
  } catch {
    if (/\.crl$/i.test(file)) found.crls.push({ file, crl: parseCrl(der) });
  }
}

function parseNumber(bytes: Uint8Array, file: string): bigint {
  const text = new TextDecoder().decode(bytes).trim();
  if (/^[0-9a-f]{1,40}$/i.test(text)) return BigInt(`0x${text}`);
  throw new CaError("IMPORT", {
    file,
    cause: "it has no hexadecimal number",
    hint: "openssl writes one there: openssl crl -in crl.pem -noout -crlnumber",
  });
}

function listFiles(folder: string): string[] {
  const files: string[] = [];
  const walk = (path: string, depth: number) => {
    for (const entry of entriesOf(path)) {
      const at = `${path}/${entry.name}`;
      if (entry.isDirectory && depth < DEEPEST) walk(at, depth + 1);
      else if (LIKELY.test(at) && isFile(at)) files.push(at);
      if (files.length > MOST_FILES) {
        throw new CaError("IMPORT", {
          file: folder,
          cause: `it has more than ${MOST_FILES} files`,
          hint: "name the CA's own folder",
        });
      }
    }
  };
  walk(folder.length > 1 ? folder.replace(/\/+$/, "") : folder, 0);
  return files;
}

function entriesOf(path: string): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(path)].sort((a, b) => a.name < b.name ? -1 : 1);
  } catch (error) {
    throw fileError(error, path, "read");
  }
}

/** A link to a file is one; a dangling one is none. */
function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
