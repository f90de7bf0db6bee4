import { DatabaseSync } from "node:sqlite";
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { CaError } from "../../ca/error.ts";
import { EMPTY_LOG, faultOf, type LogRecord } from "../../ca/log_entry.ts";
import type { Store } from "../../ca/store.ts";
import { openSqliteStore, readSqliteStore, SCHEMA_VERSION } from "../../ca/store_sqlite.ts";
import { PROJECT } from "../support/command.ts";
import { soakCount, soakRow } from "../support/soak.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { openMemoryStore } from "./_memory_store.ts";
import { append, certificateAct, storeContract } from "./store_contract.ts";

storeContract("the SQLite store", (place) => Promise.resolve(openSqliteStore(place)));
storeContract("a store in memory", (place) => Promise.resolve(openMemoryStore(place)));

function version(file: string): unknown {
  using database = new DatabaseSync(file, { readOnly: true });
  return database.prepare("PRAGMA user_version").get()!["user_version"];
}

/** A database as the first version of the schema had it, with one certificate and one revocation. */
function makeVersion1(file: string): void {
  using database = new DatabaseSync(file);
  database.exec(`
    CREATE TABLE log (
      seq INTEGER PRIMARY KEY, text TEXT NOT NULL, hash TEXT NOT NULL, certificate BLOB
    ) STRICT;
    CREATE TABLE certificate (
      issuer TEXT NOT NULL, serial TEXT NOT NULL, host TEXT NOT NULL,
      seq INTEGER NOT NULL REFERENCES log, PRIMARY KEY (issuer, serial)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX certificate_host ON certificate (host, seq);
    CREATE TABLE revocation (
      issuer TEXT NOT NULL, serial TEXT NOT NULL, date INTEGER NOT NULL, reason INTEGER,
      PRIMARY KEY (issuer, serial)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE crl (issuer TEXT PRIMARY KEY, number TEXT NOT NULL) STRICT, WITHOUT ROWID;
    INSERT INTO log VALUES (1, '{"seq":1,"time":"t","who":"w","act":"issue","prev":"p"}', 'aa', x'01');
    INSERT INTO certificate VALUES ('i', '0a', 'old', 1);
    INSERT INTO revocation VALUES ('i', '0a', 1000, 4);
    INSERT INTO crl VALUES ('i', '7');
    PRAGMA user_version = 1;`);
}

Deno.test("openSqliteStore() brings a database of version 1 to this version, with all it has", async () => {
  using temp = temporaryDirectory();
  const file = `${temp.path}/ca.db`;
  makeVersion1(file);
  assertEquals(readSqliteStore(file), undefined);
  {
    await using store = openSqliteStore(file);
    assertEquals(await store.head(), { seq: 1, hash: "aa" });
    const [found] = await store.certificatesWith("0a");
    assertEquals([found!.host, found!.certificate], ["old", Uint8Array.of(1)]);
    assertEquals(await store.revocations("i"), [
      { serial: "0a", date: new Date(1000), reason: 4 },
    ]);
    assertEquals(await store.crlNumber("i"), 7n);
    const [record] = await append(store, certificateAct("0b", "new"));
    assertEquals((await Array.fromAsync(store.records())).map(({ hash }) => hash), [
      "aa",
      record!.hash,
    ]);
  }
  assertEquals(version(file), SCHEMA_VERSION);
  await using reader = readSqliteStore(file)!;
  assertEquals((await reader.head()).seq, 2);
});

Deno.test("openSqliteStore() and readSqliteStore() refuse the schema of a newer version", async () => {
  using temp = temporaryDirectory();
  const file = `${temp.path}/ca.db`;
  await openSqliteStore(file)[Symbol.asyncDispose]();
  {
    using database = new DatabaseSync(file);
    database.exec(`PRAGMA user_version = ${SCHEMA_VERSION + 1}`);
  }
  for (const open of [openSqliteStore, readSqliteStore]) {
    const error = assertThrows(() => open(file), CaError);
    assertEquals([error.code, error.facts.file, error.facts.cause], [
      "STORE_VERSION",
      file,
      `its schema is version ${SCHEMA_VERSION + 1}, and this toolkit knows ${SCHEMA_VERSION}`,
    ]);
  }
});

Deno.test("openSqliteStore() makes a file for its owner alone, and follows no link", async () => {
  using temp = temporaryDirectory();
  const file = `${temp.path}/ca.db`;
  await using store = openSqliteStore(file);
  await append(store, { act: "init" });
  assertEquals(Deno.statSync(file).mode! & 0o777, 0o600);
  for (const name of ["other.db", "third.db-journal"]) {
    Deno.symlinkSync(`${temp.path}/target`, `${temp.path}/${name}`);
    const place = `${temp.path}/${name.replace("-journal", "")}`;
    assertEquals(assertThrows(() => openSqliteStore(place), CaError).code, "SYMBOLIC_LINK");
  }
});

Deno.test("openSqliteStore() goes on from a file that a killed command left empty", async () => {
  using temp = temporaryDirectory();
  Deno.writeTextFileSync(`${temp.path}/ca.db`, "");
  assertEquals(readSqliteStore(`${temp.path}/ca.db`), undefined);
  await using store = openSqliteStore(`${temp.path}/ca.db`);
  assertEquals(await store.head(), EMPTY_LOG);
});

/** What can be wrong with a database file. */
const DAMAGES: Readonly<Record<string, (file: string) => void>> = {
  "is text": (file) => Deno.writeTextFileSync(file, "no database\n".repeat(1000)),
  "is cut in half": (file) => Deno.truncateSync(file, Deno.statSync(file).size >> 1),
  "has a page overwritten": (file) => {
    using handle = Deno.openSync(file, { write: true });
    handle.seekSync(4096, Deno.SeekMode.Start);
    handle.writeSync(new Uint8Array(Deno.statSync(file).size - 4096).fill(0xa5));
  },
  "lacks a table": (file) => {
    using database = new DatabaseSync(file);
    database.exec("PRAGMA foreign_keys = OFF; DROP TABLE certificate");
  },
};

for (const [what, damage] of Object.entries(DAMAGES)) {
  Deno.test(`a database that ${what} is named, with the way back`, async () => {
    using temp = temporaryDirectory();
    const file = `${temp.path}/ca.db`;
    {
      await using store = openSqliteStore(file);
      await append(store, ...Array.from({ length: 300 }, (_, i) => certificateAct(`a${i}`, "h")));
    }
    damage(file);
    const error = await assertRejects(async () => {
      await using store = openSqliteStore(file);
      await append(store, certificateAct("0b", "h"));
    }, CaError);
    assertEquals([error.code, error.facts.file], ["STORE_DAMAGED", file]);
    assertEquals(error.hints, [
      `make it anew from the other files: deno task ca rebuild --dir ${temp.path}`,
    ]);
  });
}

Deno.test("the log in SQLite cannot be changed or cut by a statement", async () => {
  using temp = temporaryDirectory();
  const file = `${temp.path}/ca.db`;
  await using store = openSqliteStore(file);
  await append(store, { act: "init" });
  using database = new DatabaseSync(file);
  for (const sql of ["UPDATE log SET text = ''", "DELETE FROM log"]) {
    assertThrows(() => database.exec(sql), Error, "the log is append-only");
  }
});

/** Starts a process that appends changes of that many records. */
function appender(file: string, name: string, size: number, count: number): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--no-prompt", "--allow-read", "--allow-write"],
      ...[`--config=${PROJECT}/deno.json`, `${PROJECT}/tests/ca/_append_loop.ts`],
      ...[file, name, String(size), String(count)],
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
}

/** Reads all records, of which each has to follow the one before. */
async function wholeChain(store: Store): Promise<LogRecord[]> {
  const records = await Array.fromAsync(store.records());
  let head = EMPTY_LOG;
  for (const record of records) {
    assertEquals(faultOf(record, head), undefined);
    head = { seq: record.entry.seq, hash: record.hash };
  }
  return records;
}

Deno.test("several processes append to one SQLite store, each change in one piece", async () => {
  using temp = temporaryDirectory();
  const file = `${temp.path}/ca.db`;
  const outputs = ["aa", "bb", "cc"].map((name) => appender(file, name, 5, 12).output());
  assertEquals((await Promise.all(outputs)).map(({ code }) => code), [0, 0, 0]);
  await using store = openSqliteStore(file);
  const records = await wholeChain(store);
  assertEquals(records.length, 3 * 5 * 12);
  for (let i = 0; i < records.length; i += 5) {
    const names = records.slice(i, i + 5).map(({ entry }) => entry.host);
    assertEquals(new Set(names).size, 1);
  }
});

Deno.test("a process killed while it appends to SQLite leaves whole changes", async () => {
  const count = soakCount(200);
  let changes = 0;
  for (let i = 0; i < count; i++) {
    using temp = temporaryDirectory();
    const file = `${temp.path}/ca.db`;
    const child = appender(file, "aa", 50, 10_000);
    const reader = child.stdout.getReader();
    assertEquals((await reader.read()).done, false);
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 40));
    child.kill("SIGKILL");
    await child.status;
    await reader.cancel();
    // A reader says whether it can read, and changes nothing.
    const reading = readSqliteStore(file);
    await reading?.[Symbol.asyncDispose]();
    await using store = openSqliteStore(file);
    const records = await wholeChain(store);
    assertEquals([records.length % 50, (await store.certificatesOf("aa")).length], [
      0,
      records.length,
    ]);
    changes += records.length / 50;
  }
  soakRow("kill -9 while appending to the store", count, `${changes} changes, all whole`);
});
