/**
 * What a command has decided to publish and perhaps not finished. The journal is written whole and
 * durable after all that it names is; from then on this command or the next one publishes it.
 */

import { BaseError, readTextLimited, writeFileAtomic } from "../base/mod.ts";
import { CaError } from "./error.ts";
import { parseHostName } from "./host_name.ts";
import { decodeRecord } from "./log_entry.ts";
import {
  CA_KEY_FILE,
  CA_KEY_URI_FILE,
  FORMER_DIRECTORY,
  isThere,
  NEXT_DIRECTORY,
  type PkiPaths,
  removeAll,
} from "./pki.ts";

/** A host's set that lies in the staging directory, or lay there. */
export interface StagedHost {
  readonly host: string;
  /** Tells the new set from the old one once their places are exchanged. */
  readonly digest: string;
}

/** What of a CA's own can go with a roll-over. */
export const REMOVABLE = [CA_KEY_FILE, CA_KEY_URI_FILE, NEXT_DIRECTORY, FORMER_DIRECTORY] as const;

/** One of {@linkcode REMOVABLE}. */
export type Removable = typeof REMOVABLE[number];

/** What is to be published. */
export interface Journal {
  /** Whether the CA's own files are in it. */
  readonly authority: boolean;
  /** Whether they take the place of those that are there. */
  readonly replaces?: boolean;
  readonly hosts: readonly StagedHost[];
  /** What of the CA's own goes, once all else of it is in its place. */
  readonly removes?: readonly Removable[];
  /** Whether copies of a CRL are in it. */
  readonly crl?: boolean;
  /** Whether single files of hosts are in it. */
  readonly files?: boolean;
  /** What the log is to have of it, as lines of the log's file; the store may have it already. */
  readonly records?: readonly string[];
}

const VERSION = 1;

/** The most that a journal may hold, in bytes: a batch of hosts has some hundred certificates. */
const LARGEST = 512 * 1024 * 1024;

/** Writes the journal: the moment at which a change is decided. */
export function writeJournal(paths: PkiPaths, journal: Journal): void {
  writeFileAtomic(paths.journal, JSON.stringify({ version: VERSION, ...journal }) + "\n", 0o600);
}

/** Removes the journal once everything in it is published. */
export function removeJournal(paths: PkiPaths): void {
  removeAll(paths.journal);
}

/**
 * Reads the journal that an interrupted command left, if one did.
 *
 * @throws {CaError} `JOURNAL` If it is not one that this version wrote.
 */
export function readJournal(paths: PkiPaths): Journal | undefined {
  if (!isThere(paths.journal)) return undefined;
  const refuse = (cause: string) =>
    new CaError("JOURNAL", {
      file: paths.journal,
      cause,
      hint: `if ${paths.hosts} is as you want it, remove ${paths.journal} and ${paths.staging}`,
    });
  let data: unknown;
  try {
    data = JSON.parse(readTextLimited(paths.journal, LARGEST));
  } catch (error) {
    if (error instanceof BaseError) throw error;
    throw refuse("it is no JSON");
  }
  if (typeof data !== "object" || data === null) throw refuse("it is no object");
  const { version, authority, replaces, hosts, crl, files, records = [], removes = [] } =
    data as Record<string, unknown>;
  if (version !== VERSION) throw refuse(`its version is not ${VERSION}`);
  if (typeof authority !== "boolean" || !Array.isArray(hosts) || !hosts.every(isStagedHost)) {
    throw refuse("a part of it is missing");
  }
  if (!Array.isArray(records) || !records.every((line) => decodeRecord(line) !== undefined)) {
    throw refuse("what it has for the log is damaged");
  }
  if (!Array.isArray(removes) || !removes.every((name) => REMOVABLE.includes(name))) {
    throw refuse("what it takes away is none of the CA's");
  }
  return {
    authority,
    replaces: replaces === true,
    removes,
    hosts,
    crl: crl === true,
    files: files === true,
    records,
  };
}

/** A path is made of the name: what is in a file is no better than what comes from a user. */
function isStagedHost(value: unknown): value is StagedHost {
  if (typeof value !== "object" || value === null) return false;
  const { host, digest } = value as Record<string, unknown>;
  if (typeof host !== "string" || typeof digest !== "string") return false;
  try {
    return parseHostName(host).text === host;
  } catch {
    return false;
  }
}
