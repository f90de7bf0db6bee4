/** The log as it is shown. */

import { readLedger } from "./ledger.ts";
import type { LogEntry, LogHead, LogSignature } from "./log_entry.ts";
import { refuseWithoutLog } from "./log_verify.ts";
import { parseHostName } from "./host_name.ts";
import { serialText } from "./issued.ts";
import { pkiPaths } from "./pki.ts";

/** An entry for whoever reads it. */
export interface ShownEntry extends LogEntry {
  readonly hash: string;
  readonly signature: LogSignature | undefined;
}

/** Which entries are shown. */
export interface LogOptions {
  /** The authority's directory. */
  readonly dir: string;
  /** A host or a serial; everything by default. */
  readonly target?: string | undefined;
  /** How many of the last ones; all by default. */
  readonly last?: number | undefined;
}

/**
 * Reads the log; changes nothing.
 *
 * @throws {CaError} `LOG` where there is none; `STORE_DAMAGED`, `STORE_VERSION`, `STORE`.
 */
export async function readEntries(options: LogOptions): Promise<ShownEntry[]> {
  const paths = pkiPaths(options.dir);
  refuseWithoutLog(paths);
  const { target, last } = options;
  const [host, serial] = target === undefined ? [] : [hostName(target), serialText(target)];
  await using store = await readLedger(paths);
  const shown: ShownEntry[] = [];
  for await (const { entry, hash, signature } of store.records()) {
    const isWanted = target === undefined || entry.host === host || entry.serial === serial;
    if (isWanted) shown.push({ ...entry, hash, signature });
    if (last !== undefined && shown.length > last) shown.shift();
  }
  return shown;
}

/**
 * Reads a head as `ca log --verify` prints it: `42:5f0a…`.
 *
 * @returns `undefined` for what is none.
 */
export function parseHead(text: string): LogHead | undefined {
  const match = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text.toLowerCase());
  return match === null ? undefined : { seq: Number(match[1]), hash: match[2]! };
}

function hostName(text: string): string | undefined {
  try {
    return parseHostName(text).text;
  } catch {
    return undefined;
  }
}
