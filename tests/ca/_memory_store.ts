/** A second store, as small as the contract allows: what shows that the contract is not SQLite's. */

import { CaError } from "../../ca/error.ts";
import { EMPTY_LOG, type LogRecord } from "../../ca/log_entry.ts";
import { effectsOf, type Store, type StoredCertificate } from "../../ca/store.ts";

interface State {
  log: readonly LogRecord[];
}

const STATES = new Map<string, State>();

/** Opens the store at a place, which lasts as long as the process. */
export function openMemoryStore(place: string): Store {
  if (!STATES.has(place)) STATES.set(place, { log: [] });
  return storeOf(STATES.get(place)!);
}

function storeOf(state: State): Store {
  const headOf = (log: readonly LogRecord[]) => {
    const last = log.at(-1);
    return last === undefined ? EMPTY_LOG : { seq: last.entry.seq, hash: last.hash };
  };
  const certificates = (log: readonly LogRecord[]) =>
    log.flatMap((record) => effectsOf(copy(record)).certificate ?? []);
  const crlNumber = (log: readonly LogRecord[], issuer: string) =>
    log.map((record) => effectsOf(record).crl).findLast((crl) => crl?.issuer === issuer)?.number ??
      0n;
  const check = (log: readonly LogRecord[], record: LogRecord) => {
    const { certificate: added, crl } = effectsOf(record);
    const head = headOf(log);
    const isTaken = added !== undefined && certificates(log).some((one) => isSame(one, added));
    if (
      record.entry.seq !== head.seq + 1 || record.entry.prev !== head.hash || isTaken ||
      crl !== undefined && crl.number <= crlNumber(log, crl.issuer)
    ) throw new CaError("STORE_CONFLICT", { file: "memory", cause: "no" });
  };
  const append = (records: readonly LogRecord[]) => {
    const log = [...state.log];
    const isSmall = records.length < 100;
    for (const record of records) {
      if (isSmall) check(log, record);
      log.push(copy(record));
    }
    state.log = log;
  };
  return {
    // A turn of the loop each, as with a real connection.
    head: () => Promise.resolve().then(() => headOf(state.log)),
    append: (records) => Promise.resolve().then(() => append(records)),
    async *records(after = 0) {
      for (const record of state.log.slice(after)) yield await Promise.resolve(copy(record));
    },
    certificatesOf: (host) =>
      Promise.resolve(certificates(state.log).filter((one) => one.host === host)),
    certificatesWith: (serial) =>
      Promise.resolve(certificates(state.log).filter((one) => one.serial === serial)),
    revocations(issuer) {
      const all = state.log.flatMap((record) => effectsOf(record).revocation ?? [])
        .filter((one) => one.issuer === issuer).reverse()
        .map(({ issuer: _, ...revocation }) => [revocation.serial, revocation] as const);
      const sorted = [...new Map(all).values()].sort((a, b) => a.serial < b.serial ? -1 : 1);
      return Promise.resolve(sorted);
    },
    crlNumber: (issuer) => Promise.resolve(crlNumber(state.log, issuer)),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function isSame(a: StoredCertificate, b: StoredCertificate): boolean {
  return a.issuer === b.issuer && a.serial === b.serial;
}

function copy(record: LogRecord): LogRecord {
  const { certificate } = record;
  return certificate === undefined ? record : { ...record, certificate: certificate.slice() };
}
