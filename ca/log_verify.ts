/** Whether the log is what was written: its two copies, its chain, its signatures, the files. */

import { decodePem, VirtcredsError } from "../base/mod.ts";
import { parseCertificate, parseCrl } from "../creds/mod.ts";
import type { KeyEngine } from "../engine/mod.ts";
import { CaError } from "./error.ts";
import { refuseWithoutAuthority } from "./issue.ts";
import { readAuthority } from "./issuer.ts";
import { type Chain, compareChains, type LogFault, walkFile, walkStore } from "./log_chain.ts";
import { type LogHead, type LogRecord, sha256, signedText } from "./log_entry.ts";
import { type NotedGap, notedGaps } from "./log_gap.ts";
import { type LockOptions, shareLock } from "./lock.ts";
import { CA_CRL_FILE, isThere, type PkiPaths, pkiPaths } from "./pki.ts";
import { heldHosts } from "./held.ts";
import { CRL_LABEL, crlNumberOf, readRevoked } from "./revoked.ts";
import { algorithmIdentifier } from "./signed.ts";
import { effectsOf, issuerId } from "./store.ts";
import { findUnknown, type Known, traceOfStore } from "./take_over.ts";

/** What a look at the whole log came to. */
export interface LogVerdict {
  /** Empty where nothing is wrong; of each copy the first fault alone, as all after it follows. */
  readonly faults: readonly LogFault[];
  readonly head: LogHead;
  /** The last entry that a key of the CA's certificate has signed, and with it all before; or 0. */
  readonly signed: number;
  /** Entries that say that the log's file had lost some before them, which it has again. */
  readonly gaps: readonly NotedGap[];
}

/** How a log is verified. */
export interface LogVerifyOptions extends LockOptions {
  /** The authority's directory. */
  readonly dir: string;
  readonly engine: KeyEngine;
  /** Where the log ended some time ago, as it was kept elsewhere. */
  readonly head?: LogHead | undefined;
}

/**
 * Verifies the log. Alterations, entries taken out or put elsewhere break the chain; a chain made
 * anew breaks the signatures; an end that was cut off shows where files, a CRL, the other copy or a
 * head that was kept elsewhere know more. Whoever holds the CA's key, alters both copies and every
 * file, is found by a head kept elsewhere alone.
 *
 * @example The end of the log, to be kept elsewhere
 * ```ts
 * import { initAuthority, verifyLog } from "@virtcreds/virtcreds/ca";
 * import { chooseEngine } from "@virtcreds/virtcreds/engine";
 * import { assertEquals } from "@std/assert";
 *
 * const dir = Deno.makeTempDirSync();
 * const engine = await chooseEngine();
 * await initAuthority({ dir, engine });
 * const { faults, head, signed } = await verifyLog({ dir, engine });
 * assertEquals([faults, head.seq, signed], [[], 2, 2]);
 * Deno.removeSync(dir, { recursive: true });
 * ```
 *
 * @throws {CaError} `LOG` where there is none, `CA_MISSING`, `CA_CERTIFICATE`, `STORE_VERSION`,
 * `STORE`.
 */
export async function verifyLog(options: LogVerifyOptions): Promise<LogVerdict> {
  const paths = pkiPaths(options.dir);
  refuseWithoutLog(paths);
  // Half of a change would look like an alteration.
  using _lock = await shareLock(paths.lock, options);
  const chains = [await walkStore(paths), await walkFile(paths)];
  const faults = chains.flatMap(({ fault }) => fault ?? []);
  const [stored, written] = chains as [Chain, Chain];
  if (faults.length === 0) faults.push(...compareChains(paths, stored, written));
  const chain = stored.head.seq >= written.head.seq ? stored : written;
  const { signed, fault } = checkSignatures(paths, chain, options.engine);
  if (fault !== undefined) faults.push(fault);
  if (options.head !== undefined) faults.push(...checkHead(chain, options.head));
  faults.push(...checkFiles(paths, chain));
  return { faults, head: chain.head, signed, gaps: notedGaps(chain.records) };
}

/**
 * Refuses a directory that has no log yet.
 *
 * @throws {CaError} `LOG`, `CA_MISSING`.
 */
export function refuseWithoutLog(paths: PkiPaths): void {
  if (isThere(paths.store) || isThere(paths.log)) return;
  refuseWithoutAuthority(paths);
  throw new CaError("LOG", {
    file: paths.log,
    cause: "there is none yet",
    hint: traceOfStore(paths) === undefined
      ? `the next change begins one: deno task ca crl --dir ${paths.root}`
      : `make it anew from the other files: deno task ca rebuild --dir ${paths.root}`,
  });
}

/**
 * The last signature by a key that the CA's certificate has covers all before it; those of earlier
 * keys are checked where the log has their certificate.
 */
function checkSignatures(
  paths: PkiPaths,
  { file, records }: Chain,
  engine: KeyEngine,
): { signed: number; fault?: LogFault } {
  const keys = new Map<string, Uint8Array>();
  for (const { der } of decodePem(readAuthority(paths).certificatePem)) {
    const { spki } = parseCertificate(der);
    keys.set(sha256(spki), spki);
  }
  let signed = 0;
  for (const { entry: { seq }, hash, signature } of records) {
    const publicKey = signature === undefined ? undefined : keys.get(signature.key);
    if (signature === undefined || publicKey === undefined) continue;
    if (!isSigned(engine, publicKey, { seq, hash }, signature)) {
      const cause = `the CA's key did not sign it: something after entry ${signed} was altered`;
      return { signed, fault: { file, seq, cause } };
    }
    signed = seq;
  }
  return { signed };
}

function isSigned(
  engine: KeyEngine,
  publicKey: Uint8Array,
  head: LogHead,
  { algorithm, value }: NonNullable<LogRecord["signature"]>,
): boolean {
  try {
    return engine.verify({
      publicKey,
      algorithm: algorithmIdentifier(algorithm),
      data: signedText(head),
      signature: Uint8Array.fromBase64(value),
    });
  } catch {
    return false;
  }
}

function checkHead({ file, records, head }: Chain, kept: LogHead): LogFault[] {
  const record = records[kept.seq - 1];
  if (record?.hash === kept.hash) return [];
  const cause = record === undefined
    ? `it is missing: the log ends with entry ${head.seq}`
    : "it is another one than the one that was kept elsewhere";
  return [{ file, seq: kept.seq, cause }];
}

/** What lies in the directory and no entry tells of, and the other way round. */
function checkFiles(paths: PkiPaths, { file, records }: Chain): LogFault[] {
  const certificates = new Set<string>();
  const revocations = new Map<string, LogRecord>();
  const numbers = new Map<string, bigint>();
  for (const record of records) {
    const { issuer = "", serial = "", sha256: digest } = record.entry;
    if (digest !== undefined) certificates.add(`${issuer} ${serial}`);
    const { revocation, crl } = effectsOf(record);
    if (revocation !== undefined) revocations.set(`${issuer} ${serial}`, record);
    if (crl !== undefined) numbers.set(crl.issuer, crl.number);
  }
  const known: Known = {
    certificate: (issuer, serial) => certificates.has(`${issuer} ${serial}`),
    revocation: (issuer, serial) => revocations.has(`${issuer} ${serial}`),
    crlNumber: (issuer) => numbers.get(issuer) ?? 0n,
  };
  const faults = findUnknown(paths, known).map((act): LogFault => ({
    file,
    cause: act.certificate !== undefined
      ? `no entry has the certificate ${act.serial} of ${act.host ?? "the CA"}`
      : act.revoked !== undefined
      ? `no entry revokes ${act.serial}, which ${paths.caCrl} does`
      : `no entry has CRL ${act.number}, which ${paths.caCrl} is`,
  }));
  const { subject } = readAuthority(paths);
  const issuer = issuerId(subject);
  faults.push(...newerCopies(paths, issuer, known.crlNumber(issuer), file));
  const { entries } = readRevoked(paths, subject);
  for (const { entry: { seq, issuer: by, serial = "" } } of revocations.values()) {
    if (by !== issuer || entries.has(serial)) continue;
    faults.push({
      file: paths.caCrl,
      seq,
      cause: `it does not revoke ${serial}, as the entry does`,
    });
  }
  return faults;
}

/** Hosts' copies of a CRL that the log knows nothing of. */
function newerCopies(paths: PkiPaths, issuer: string, last: bigint, file: string): LogFault[] {
  for (const host of heldHosts(paths)) {
    const copy = `${paths.hosts}/${host}/${CA_CRL_FILE}`;
    try {
      if (!isThere(copy)) continue;
      for (const { label, der } of decodePem(Deno.readTextFileSync(copy))) {
        const crl = label === CRL_LABEL ? parseCrl(der) : undefined;
        if (crl === undefined || issuerId(crl.issuer.raw) !== issuer) continue;
        const number = crlNumberOf(crl);
        if (number > last) return [{ file, cause: `no entry has CRL ${number}, which ${copy} is` }];
      }
    } catch (error) {
      // What cannot be read proves nothing.
      if (!(error instanceof VirtcredsError || error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return [];
}
