/**
 * Where an authority keeps what it has done: its log, and what follows from it.
 *
 * Everything is written as entries of the log; certificates, revocations and CRL numbers are what
 * the entries say. So a store can be made anew from its log, and two stores with one log are equal.
 */

import type { LogEntry, LogHead, LogRecord } from "./log_entry.ts";
import { sha256 } from "./log_entry.ts";

/** A certificate that was issued or taken over. */
export interface StoredCertificate {
  /** Its issuer, as {@linkcode issuerId} names it. */
  readonly issuer: string;
  /** In lower-case hexadecimal, whole octets, without leading zero octets. */
  readonly serial: string;
  /** The host that it was issued for; empty for a CA's own. */
  readonly host: string;
  /** DER. */
  readonly certificate: Uint8Array;
}

/** A certificate that is revoked; the store need not have it. */
export interface StoredRevocation {
  readonly serial: string;
  readonly date: Date;
  /** CRLReason (RFC 5280 5.3.1); absent for none. */
  readonly reason?: number;
}

/**
 * A store. The contract, which `tests/ca/store_contract.ts` holds every implementation to:
 *
 * - **Transactions.** {@linkcode Store.append} takes all of its records or none, and nobody ever
 *   sees a part of them. One call is one change: an implementation makes it cost about one write to
 *   a disk, whether it has one record or a thousand.
 * - **Durability.** When the promise of `append` is fulfilled, the records outlive a crash of the
 *   process and of the machine. When it is rejected, or the process dies before, either all of them
 *   are there or none is; the head tells which.
 * - **The chain.** The first record follows the head (its `seq` one higher, its `prev` the head's
 *   digest), each further one the record before. Nothing that was appended is ever changed or
 *   removed. Digests are computed by the caller; an implementation compares, it does not hash.
 * - **Uniqueness.** Of one issuer no two certificates have one serial. The CRL numbers of an issuer
 *   only rise. The first revocation of a certificate stands; a later one changes nothing.
 * - **Concurrency.** Any number of processes may use a store at once. Of two that append behind the
 *   same head one wins, the other is told `STORE_CONFLICT`, may read the new head and try again.
 *   A reader sees the store as it was at some moment between call and result, for `records` at some
 *   moment for each piece; it may wait for a writer, but not for longer than ten seconds.
 * - **Order.** `records` come by `seq`, certificates in the order in which they were appended.
 * - **Errors.** All are `CaError`: `STORE_CONFLICT` for what the rules above refuse, after which
 *   nothing has changed; `STORE_DAMAGED` when what is kept cannot be read as a store;
 *   `STORE_VERSION` when a newer version of this toolkit made it; `STORE` for all else (no room, no
 *   permission, no connection), with what the system said. No key is ever given to a store.
 * - **Empty.** A new store has a head of `{seq: 0, hash: GENESIS}` and no records.
 */
export interface Store extends AsyncDisposable {
  /** Where the log ends. */
  head(): Promise<LogHead>;
  /**
   * Adds to the log, and takes in what the records say.
   *
   * @throws {CaError} `STORE_CONFLICT`, `STORE_DAMAGED`, `STORE`.
   */
  append(records: readonly LogRecord[]): Promise<void>;
  /** The log behind an entry, from its beginning by default. */
  records(after?: number): AsyncIterable<LogRecord>;
  /** What was issued for a host. */
  certificatesOf(host: string): Promise<readonly StoredCertificate[]>;
  /** The certificates with a serial; several only where there were several issuers. */
  certificatesWith(serial: string): Promise<readonly StoredCertificate[]>;
  /** What an issuer has revoked, by serial. */
  revocations(issuer: string): Promise<readonly StoredRevocation[]>;
  /** The highest CRL number of an issuer; zero for none. */
  crlNumber(issuer: string): Promise<bigint>;
}

/** Identifies an issuer by its name (DER): 64 bits of the name's SHA-256, in hexadecimal. */
export function issuerId(name: Uint8Array): string {
  return sha256(name).slice(0, 16);
}

/** What a record says beside being an entry; the one place that reads entries so. */
export interface Effects {
  readonly certificate?: StoredCertificate;
  readonly revocation?: StoredRevocation & { readonly issuer: string };
  readonly crl?: { readonly issuer: string; readonly number: bigint };
}

/** Reads what follows from a record. */
export function effectsOf({ entry, certificate }: LogRecord): Effects {
  const { issuer, serial, host = "", revoked, reason, number } = entry;
  if (issuer === undefined) return {};
  return {
    ...(certificate === undefined || serial === undefined
      ? {}
      : { certificate: { issuer, serial, host, certificate } }),
    ...(revoked === undefined || serial === undefined
      ? {}
      : { revocation: { issuer, serial, ...revocationOf(revoked, reason) } }),
    ...(number === undefined ? {} : { crl: { issuer, number: BigInt(number) } }),
  };
}

function revocationOf(revoked: string, reason: LogEntry["reason"]) {
  return { date: new Date(revoked), ...(reason === undefined ? {} : { reason }) };
}
