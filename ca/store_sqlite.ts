/** The store in an SQLite database, one file in the authority's directory. */

import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { createFile, kernelText, VirtcredsError } from "../base/mod.ts";
import { CaError } from "./error.ts";
import { EMPTY_LOG, type LogRecord } from "./log_entry.ts";
import { isThere, refuseLink } from "./pki.ts";
import { effectsOf, type Store, type StoredCertificate, type StoredRevocation } from "./store.ts";

/**
 * What brings a database from each version to the next; a change of the schema is one more step.
 * The version is SQLite's `user_version`.
 */
const STEPS: readonly string[] = [
  `CREATE TABLE log (
     seq INTEGER PRIMARY KEY,
     text TEXT NOT NULL,
     hash TEXT NOT NULL,
     certificate BLOB
   ) STRICT;
   CREATE TABLE certificate (
     issuer TEXT NOT NULL,
     serial TEXT NOT NULL,
     host TEXT NOT NULL,
     seq INTEGER NOT NULL REFERENCES log,
     PRIMARY KEY (issuer, serial)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX certificate_host ON certificate (host, seq);
   CREATE TABLE revocation (
     issuer TEXT NOT NULL,
     serial TEXT NOT NULL,
     date INTEGER NOT NULL,
     reason INTEGER,
     PRIMARY KEY (issuer, serial)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE crl (issuer TEXT PRIMARY KEY, number TEXT NOT NULL) STRICT, WITHOUT ROWID;`,
  `ALTER TABLE log ADD COLUMN signature TEXT;
   CREATE INDEX certificate_serial ON certificate (serial, seq);
   CREATE TRIGGER log_is_not_changed BEFORE UPDATE ON log
     BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
   CREATE TRIGGER log_is_not_cut BEFORE DELETE ON log
     BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;`,
];

/** The version of the schema that this toolkit writes. */
export const SCHEMA_VERSION = STEPS.length;

/** `ca.db` as SQLite's header names it: "vcrd". */
const APPLICATION_ID = 0x76637264;

/** Ms that SQLite waits for another process. */
const BUSY = 10_000;

/** How many rows of the log are read at a time, between two of which others may write. */
const PIECE = 500;

/**
 * Opens a store, which is made or brought to this version's schema where that is needed.
 *
 * @param file `:memory:` for one that is gone when it is closed.
 * @throws {CaError} `SYMBOLIC_LINK`, `STORE_DAMAGED`, `STORE_VERSION`, `STORE`.
 * @throws {BaseError} `FILE_NOT_WRITABLE`.
 */
export function openSqliteStore(file: string): Store {
  if (file !== ":memory:") {
    for (const one of [file, `${file}-journal`]) refuseLink(one);
    if (!isThere(file)) createFile(file, "", 0o600);
  }
  return guard(file, () => {
    const database = new DatabaseSync(file, { timeout: BUSY });
    try {
      database.exec("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON");
      if (versionOf(database, file) < SCHEMA_VERSION) migrate(database, file);
      return new SqliteStore(file, database);
    } catch (error) {
      database.close();
      throw error;
    }
  });
}

/**
 * Opens a store without ever changing or creating a file.
 *
 * @returns `undefined` where only a writer can read it: a killed command left a transaction that has
 * to be rolled back, or the schema is an older one.
 * @throws {CaError} `STORE_DAMAGED`, `STORE_VERSION`, `STORE`.
 */
export function readSqliteStore(file: string): Store | undefined {
  return guard(file, () => {
    const database = new DatabaseSync(file, { readOnly: true, timeout: BUSY });
    try {
      if (versionOf(database, file) === SCHEMA_VERSION) return new SqliteStore(file, database);
    } catch (error) {
      if (!isThere(`${file}-journal`)) {
        database.close();
        throw error;
      }
    }
    database.close();
    return undefined;
  });
}

/** What SQLite finds wrong with a database; empty for nothing. */
export function sqliteFaults(file: string): string[] {
  return guard(file, () => {
    const database = new DatabaseSync(file, { readOnly: true, timeout: BUSY });
    try {
      const rows = database.prepare("PRAGMA integrity_check(5)").all();
      return rows.map((row) => String(row["integrity_check"])).filter((text) => text !== "ok");
    } finally {
      database.close();
    }
  });
}

function versionOf(database: DatabaseSync, file: string): number {
  const version = Number(database.prepare("PRAGMA user_version").get()!["user_version"]);
  if (version <= SCHEMA_VERSION) return version;
  throw new CaError("STORE_VERSION", {
    file,
    cause: `its schema is version ${version}, and this toolkit knows ${SCHEMA_VERSION}`,
    hint: "use the version of the toolkit that made it, or a newer one",
  });
}

/** One transaction: whoever dies in it leaves the version that was there. */
function migrate(database: DatabaseSync, file: string): void {
  database.exec("BEGIN IMMEDIATE");
  // Another process may have done it meanwhile.
  for (const step of STEPS.slice(versionOf(database, file))) database.exec(step);
  database.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
  database.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
  database.exec("COMMIT");
}

class SqliteStore implements Store {
  readonly #file: string;
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(file: string, database: DatabaseSync) {
    this.#file = file;
    this.#database = database;
  }

  head() {
    return this.#do(() => this.#head());
  }

  append(records: readonly LogRecord[]) {
    return this.#do(() => {
      this.#database.exec("BEGIN IMMEDIATE");
      try {
        let { seq, hash } = this.#head();
        for (const record of records) {
          const { entry } = record;
          if (entry.seq !== seq + 1 || entry.prev !== hash) {
            throw conflict(this.#file, `entry ${entry.seq} does not follow entry ${seq}`);
          }
          this.#insert(record);
          [seq, hash] = [entry.seq, record.hash];
        }
        this.#database.exec("COMMIT");
      } catch (error) {
        if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
        throw error;
      }
    });
  }

  async *records(after = 0): AsyncIterable<LogRecord> {
    for (let last = after;;) {
      const rows = await this.#do(() =>
        this.#all(
          "SELECT seq, text, hash, signature, certificate FROM log WHERE seq > ? ORDER BY seq LIMIT ?",
          last,
          PIECE,
        )
      );
      for (const row of rows) yield recordOf(row, this.#file);
      if (rows.length < PIECE) return;
      last = Number(rows.at(-1)!["seq"]);
    }
  }

  certificatesOf(host: string) {
    return this.#certificates("host", host);
  }

  certificatesWith(serial: string) {
    return this.#certificates("serial", serial);
  }

  revocations(issuer: string) {
    return this.#do(() =>
      this.#all(
        "SELECT serial, date, reason FROM revocation WHERE issuer = ? ORDER BY serial",
        issuer,
      ).map((row): StoredRevocation => ({
        serial: String(row["serial"]),
        date: new Date(Number(row["date"])),
        ...(row["reason"] === null ? {} : { reason: Number(row["reason"]) }),
      }))
    );
  }

  crlNumber(issuer: string) {
    return this.#do(() => this.#crlNumber(issuer));
  }

  [Symbol.asyncDispose]() {
    this.#statements.clear();
    if (this.#database.isOpen) this.#database.close();
    return Promise.resolve();
  }

  #head() {
    const [row] = this.#all("SELECT seq, hash FROM log ORDER BY seq DESC LIMIT 1");
    return row === undefined ? EMPTY_LOG : { seq: Number(row["seq"]), hash: String(row["hash"]) };
  }

  #crlNumber(issuer: string) {
    const [row] = this.#all("SELECT number FROM crl WHERE issuer = ?", issuer);
    return row === undefined ? 0n : BigInt(String(row["number"]));
  }

  #insert(record: LogRecord): void {
    const { entry, text, hash, signature } = record;
    this.#run(
      "INSERT INTO log (seq, text, hash, signature, certificate) VALUES (?, ?, ?, ?, ?)",
      entry.seq,
      text,
      hash,
      signature === undefined ? null : JSON.stringify(signature),
      record.certificate ?? null,
    );
    const { certificate, revocation, crl } = effectsOf(record);
    if (certificate !== undefined) {
      const { issuer, serial, host } = certificate;
      const added = this.#run(
        "INSERT INTO certificate (issuer, serial, host, seq) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        ...[issuer, serial, host, entry.seq],
      );
      if (!added) throw conflict(this.#file, `serial ${serial} is taken`);
    }
    if (revocation !== undefined) {
      const { issuer, serial, date, reason } = revocation;
      this.#run(
        "INSERT INTO revocation (issuer, serial, date, reason) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        ...[issuer, serial, date.getTime(), reason ?? null],
      );
    }
    if (crl === undefined) return;
    if (crl.number <= this.#crlNumber(crl.issuer)) {
      throw conflict(this.#file, `CRL number ${crl.number} is not higher than the last`);
    }
    this.#run(
      "INSERT OR REPLACE INTO crl (issuer, number) VALUES (?, ?)",
      ...[crl.issuer, String(crl.number)],
    );
  }

  #certificates(column: "host" | "serial", value: string) {
    return this.#do(() =>
      this.#all(
        `SELECT issuer, serial, host, log.certificate FROM certificate JOIN log USING (seq)
         WHERE ${column} = ? ORDER BY seq`,
        value,
      ).map((row): StoredCertificate => ({
        issuer: String(row["issuer"]),
        serial: String(row["serial"]),
        host: String(row["host"]),
        certificate: row["certificate"] as Uint8Array,
      }))
    );
  }

  #all(sql: string, ...values: SQLInputValue[]) {
    return this.#prepare(sql).all(...values);
  }

  #run(sql: string, ...values: SQLInputValue[]): boolean {
    return Number(this.#prepare(sql).run(...values).changes) > 0;
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      this.#statements.set(sql, statement = this.#database.prepare(sql));
    }
    return statement;
  }

  /** SQLite is synchronous; the contract is not. */
  #do<T>(work: () => T): Promise<T> {
    return Promise.try(() => guard(this.#file, work));
  }
}

function recordOf(row: Record<string, unknown>, file: string): LogRecord {
  const [text, signature] = [String(row["text"]), row["signature"]];
  try {
    return {
      entry: JSON.parse(text),
      text,
      hash: String(row["hash"]),
      ...(signature === null ? {} : { signature: JSON.parse(String(signature)) }),
      ...(row["certificate"] === null ? {} : { certificate: row["certificate"] as Uint8Array }),
    };
  } catch {
    throw damaged(file, `entry ${row["seq"]} of its log is no JSON`);
  }
}

function conflict(file: string, cause: string): CaError {
  return new CaError("STORE_CONFLICT", { file, cause, hint: "run the command again" });
}

function damaged(file: string, cause: string, error?: unknown): CaError {
  const dir = file.replace(/\/?[^/]*$/, "") || "/";
  const hint = `make it anew from the other files: deno task ca rebuild --dir ${dir}`;
  return new CaError("STORE_DAMAGED", { file, cause, hint }, { cause: error });
}

/** SQLite's result codes (sqlite3.h) for a file that is no database, or a broken one. */
const DAMAGE: ReadonlySet<number> = new Set([1, 11, 26]);

function guard<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof Error) || error instanceof VirtcredsError) throw error;
    if ((error as { code?: unknown }).code !== "ERR_SQLITE_ERROR") throw error;
    const code = Number((error as { errcode?: unknown }).errcode ?? 0) & 0xff;
    const cause = kernelText(error.message);
    if (DAMAGE.has(code) || /malformed|not a database|no such (table|column)/.test(cause)) {
      throw damaged(file, cause, error);
    }
    const hint = `who may write there, and whether there is room: ls -l ${file}; df ${file}`;
    throw new CaError("STORE", { file, cause, hint }, { cause: error });
  }
}
