import { DatabaseSync } from "node:sqlite";
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { sealActs, signRecords } from "../../ca/act.ts";
import { encodeRecord, faultOf, GENESIS, type LogRecord, sealEntry } from "../../ca/log_entry.ts";
import { decodeRecord, EMPTY_LOG } from "../../ca/log_entry.ts";
import {
  ACTS,
  CaError,
  issueHost,
  publishCrl,
  readEntries,
  renewHosts,
  revokeCertificates,
  verifyLog,
} from "../../ca/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { PROJECT, run } from "../support/command.ts";
import { makePki } from "../support/pki.ts";
import { programTest } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { alterFile, makeLog } from "./logs.ts";

const engine = await chooseEngine();

const faults = async (dir: string) => (await verifyLog({ dir, engine })).faults;

/** Alters what SQLite keeps, as somebody would who knows how. */
function alterDatabase(dir: string, ...statements: readonly string[]): void {
  using database = new DatabaseSync(`${dir}/ca.db`);
  database.exec("DROP TRIGGER log_is_not_changed; DROP TRIGGER log_is_not_cut");
  database.exec("PRAGMA foreign_keys = OFF");
  for (const statement of statements) database.exec(statement);
}

Deno.test("every act reaches the log, with who, when, what, serial and digest", async () => {
  using temp = temporaryDirectory();
  const pki = await makePki(temp.path, { hosts: [{ name: "a" }] });
  const { dir } = pki;
  const [server, client] = pki.issued("a").certificates;
  await renewHosts({ dir, engine, selection: { kind: "all" }, authority: true });
  await revokeCertificates([client!.serial], "superseded", { dir, engine });
  await publishCrl({ dir, engine });
  const entries = await readEntries({ dir });
  assertEquals(entries.map(({ act, host }) => `${act} ${host ?? "-"}`), [
    ...["init -", "crl -", "issue a", "issue a"],
    ...["renew-ca -", "crl -", "renew a", "renew a"],
    ...["revoke a", "crl -", "crl -"],
  ]);
  assertEquals(entries.map(({ seq }) => seq), entries.map((_, i) => i + 1));
  const [, , issued] = entries;
  assertEquals([issued!.serial, issued!.sha256], [server!.serial, server!.sha256]);
  for (const { who, time } of entries) {
    assert(who !== "" && Math.abs(Date.now() - Date.parse(time)) < 600_000);
  }
  assertEquals(entries[8]!.reason, 4);
  const ofHost = await readEntries({ dir, target: "A", last: 2 });
  assertEquals(ofHost.map(({ seq }) => seq), [8, 9]);
  const ofSerial = await readEntries({ dir, target: client!.serial.toUpperCase() });
  assertEquals(ofSerial.map(({ act }) => act), ["issue", "revoke"]);
});

Deno.test("verifyLog() finds nothing wrong with what was written, and says how far it is signed", async () => {
  using temp = temporaryDirectory();
  await makeLog(temp.path);
  const { faults, head, signed } = await verifyLog({ dir: temp.path, engine });
  assertEquals([faults, head.seq, signed], [[], 9, 9]);
  const again = await verifyLog({ dir: temp.path, engine: await chooseEngine("platform"), head });
  assertEquals([again.faults, again.signed], [[], 9]);
});

/** What somebody does to the log, and what verifyLog() says first. */
const ALTERATIONS: readonly (readonly [
  what: string,
  alter: (dir: string) => void,
  first: string,
])[] = [
  [
    "an altered entry of the database",
    (dir) =>
      alterDatabase(dir, "UPDATE log SET text = replace(text, '\"b\"', '\"x\"') WHERE seq = 5"),
    "ca.db: entry 5: its text does not have its digest",
  ],
  [
    "an altered certificate",
    (dir) => alterDatabase(dir, "UPDATE log SET certificate = x'00' WHERE seq = 4"),
    "ca.db: entry 4: its certificate is another one",
  ],
  [
    "an entry taken out of the database",
    (dir) =>
      alterDatabase(
        dir,
        "DELETE FROM certificate WHERE seq = 3",
        "DELETE FROM log WHERE seq = 3",
      ),
    "ca.db: entry 3: it says it is entry 4",
  ],
  [
    "an altered line of the file",
    (dir) =>
      alterFile(dir, (lines) => lines.map((line) => line.replace('"host":"b"', '"host":"c"'))),
    "ca.log: entry 5: its text does not have its digest",
  ],
  [
    "lines in another order",
    (dir) => alterFile(dir, ([a, b, c, ...rest]) => [a!, c!, b!, ...rest]),
    "ca.log: entry 2: it says it is entry 3",
  ],
  [
    "a line taken out of the middle",
    (dir) => alterFile(dir, (lines) => lines.toSpliced(5, 1)),
    "ca.log: entry 6: it says it is entry 7",
  ],
  [
    "a line of junk",
    (dir) => alterFile(dir, (lines) => lines.with(1, "junk")),
    "ca.log: entry 2: it cannot be read",
  ],
  [
    "a file whose end was cut off",
    (dir) => alterFile(dir, (lines) => lines.slice(0, -2)),
    "ca.log: entry 8: it and what follows, 2 entries, are missing: DIR/ca.db has them",
  ],
  [
    "a file that is gone",
    (dir) => Deno.removeSync(`${dir}/ca.log`),
    "ca.log: it is missing",
  ],
  [
    "a database that is gone",
    (dir) => Deno.removeSync(`${dir}/ca.db`),
    "ca.db: it is missing",
  ],
  [
    "a database of junk",
    (dir) => Deno.writeTextFileSync(`${dir}/ca.db`, "junk ".repeat(9999)),
    "ca.db: the database is damaged: file is not a database",
  ],
  [
    "a certificate in a host's directory that nobody logged",
    (dir) => forget(dir, 4),
    "ca.db: no entry has the certificate SERIAL of b",
  ],
  [
    "a revocation that nobody logged, both copies cut",
    (dir) => forget(dir, 6),
    "ca.db: no entry revokes SERIAL, which DIR/ca-crl.pem does",
  ],
];

/** Cuts both copies of the log behind an entry. */
function forget(dir: string, last: number): void {
  alterDatabase(
    dir,
    `DELETE FROM certificate WHERE seq > ${last}`,
    `DELETE FROM log WHERE seq > ${last}`,
  );
  alterFile(dir, (lines) => lines.slice(0, last));
}

for (const [what, alter, first] of ALTERATIONS) {
  Deno.test(`verifyLog() names ${what}`, async () => {
    using temp = temporaryDirectory();
    const dir = temp.path;
    await makeLog(dir);
    alter(dir);
    const [fault] = await faults(dir);
    const text = `${fault!.file.replace(`${dir}/`, "")}: ` +
      (fault!.seq === undefined ? "" : `entry ${fault!.seq}: `) +
      fault!.cause.replaceAll(dir, "DIR").replace(/[0-9a-f]{32}/, "SERIAL");
    assertEquals(text, first);
  });
}

Deno.test("verifyLog() finds a chain that was made anew by its signatures", async () => {
  using temp = temporaryDirectory();
  const dir = temp.path;
  await makeLog(dir);
  const records = (await Array.fromAsync(readLines(dir))).slice();
  // Somebody else than root did it, says who can compute digests.
  let head = EMPTY_LOG;
  const forged: LogRecord[] = [];
  for (const { entry, certificate, signature } of records) {
    const who = entry.seq >= 5 ? "mallory" : entry.who;
    const record = sealEntry({ ...entry, who, prev: head.hash }, certificate);
    forged.push({ ...record, ...(signature === undefined ? {} : { signature }) });
    head = { seq: entry.seq, hash: record.hash };
  }
  assertEquals(faultOf(forged[4]!, { seq: 4, hash: forged[3]!.hash }), undefined);
  Deno.writeTextFileSync(`${dir}/ca.log`, forged.map((one) => encodeRecord(one) + "\n").join(""));
  alterDatabase(
    dir,
    ...forged.map(({ entry: { seq }, text, hash }) =>
      `UPDATE log SET text = '${text}', hash = '${hash}' WHERE seq = ${seq}`
    ),
  );
  const [fault] = await faults(dir);
  assertEquals([fault!.seq, fault!.cause], [
    6,
    "the CA's key did not sign it: something after entry 4 was altered",
  ]);
});

Deno.test("verifyLog() finds by a head that was kept elsewhere what nothing else tells", async () => {
  using temp = temporaryDirectory();
  const dir = temp.path;
  await makePki(dir, { hosts: [] });
  await publishCrl({ dir, engine });
  const { head } = await verifyLog({ dir, engine });
  const cut = `${temp.path}/cut`;
  Deno.mkdirSync(cut);
  for (const { name } of Deno.readDirSync(dir)) {
    if (name !== "cut") Deno.copyFileSync(`${dir}/${name}`, `${cut}/${name}`);
  }
  forget(cut, 2);
  // The CRL of then is put back too.
  Deno.removeSync(`${cut}/ca-crl.pem`);
  assertEquals(await faults(cut), []);
  const [fault] = (await verifyLog({ dir: cut, engine, head })).faults;
  assertEquals(fault!.cause, "it is missing: the log ends with entry 2");
  const other = { ...head, hash: GENESIS };
  assertEquals((await verifyLog({ dir, engine, head: other })).faults[0]!.seq, head.seq);
});

Deno.test("verifyLog() is not misled by commands that work at the same time", async () => {
  using temp = temporaryDirectory();
  const { dir } = await makePki(temp.path, { hosts: [] });
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      `--config=${PROJECT}/deno.json`,
      `${PROJECT}/tests/ca/_issue_loop.ts`,
      dir,
      "0",
    ],
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  const heads = new Set<number>();
  // Until something has happened meanwhile, several times.
  while (heads.size < 3) {
    const { faults, head } = await verifyLog({ dir, engine });
    assertEquals(faults, []);
    heads.add(head.seq);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  child.kill("SIGKILL");
  await child.status;
  await reader.cancel();
});

Deno.test("readEntries() and verifyLog() say where there is no log yet", async () => {
  using temp = temporaryDirectory();
  await makePki(temp.path, { hosts: [] });
  for (const name of ["ca.db", "ca.log"]) Deno.removeSync(`${temp.path}/${name}`);
  for (const way of [/ca rebuild --dir/, /ca crl --dir/]) {
    for (const read of [readEntries, verifyLog]) {
      const { code, hints } = await assertRejects(() => read({ dir: temp.path, engine }), CaError);
      assertEquals(code, "LOG");
      assertMatch(hints[0]!, way);
    }
    // A CA that another tool made.
    if (way.source.includes("rebuild")) Deno.removeSync(`${temp.path}/ca-crl.pem`);
  }
});

Deno.test("a change refuses a log whose copies differ, and names both ways on", async () => {
  using temp = temporaryDirectory();
  const dir = temp.path;
  await makeLog(dir);
  const old = Deno.readFileSync(`${dir}/ca.db`);
  await issueHost({ dir, engine, host: "c" });
  Deno.writeFileSync(`${dir}/ca.db`, old);
  const error = await assertRejects(() => issueHost({ dir, engine, host: "d" }), CaError);
  assertEquals([error.code, error.facts.cause], [
    "LOG",
    "it has 11 entries and the database 9, which is an older one",
  ]);
  assertEquals(error.hints.map((hint) => /ca (log --verify|rebuild) /.exec(hint)?.[1]), [
    "log --verify",
    "rebuild",
  ]);
});

Deno.test("a record survives being written as a line, whatever is in it", async () => {
  using key = await engine.generateKey("ec-p256");
  const note = 'a\nb\u2028 \u{1f600} " \\ \0';
  const acts = ACTS.map((act) => ({ act, note, certificate: Uint8Array.of(1, 2, 255) }));
  const records = await signRecords(sealActs(acts, EMPTY_LOG, "wh\to"), key);
  for (const record of records) {
    const line = encodeRecord(record);
    assertEquals(line.includes("\n"), false);
    assertEquals(decodeRecord(line), record);
  }
  for (const line of ["", "{}", "null", "[]", '{"entry":{"seq":1}}', '{"entry":null,"hash":""}']) {
    assertEquals(decodeRecord(line), undefined);
  }
});

programTest("jq and sha256sum verify an entry as the page says", ["jq", "sha256sum"], async () => {
  using temp = temporaryDirectory();
  await makePki(temp.path, { hosts: [{ name: "zürich.example" }] });
  const { stdout } = await run("sh", [
    "-c",
    `cd ${temp.path}; jq -r .hash ca.log; while read -r line; do
       printf %s "$line" | jq -cj .entry | sha256sum | cut -d' ' -f1; done < ca.log`,
  ]);
  const digests = stdout.trimEnd().split("\n");
  assertEquals(digests.slice(0, 4), digests.slice(4));
});

async function* readLines(dir: string): AsyncIterable<LogRecord> {
  for (const line of (await Deno.readTextFile(`${dir}/ca.log`)).trimEnd().split("\n")) {
    yield decodeRecord(line)!;
  }
}
