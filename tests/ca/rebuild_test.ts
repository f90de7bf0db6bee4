import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { encodePem } from "../../base/mod.ts";
import { readLedger } from "../../ca/ledger.ts";
import {
  CaError,
  issueHost,
  publishCrl,
  readEntries,
  readFleet,
  rebuildStore,
  renewHosts,
  revokeCertificates,
  showIssued,
  verifyLog,
} from "../../ca/mod.ts";
import { readJournal } from "../../ca/journal.ts";
import { sha256 } from "../../ca/log_entry.ts";
import { pkiPaths } from "../../ca/pki.ts";
import { readRevoked } from "../../ca/revoked.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { PROJECT } from "../support/command.ts";
import { makePki } from "../support/pki.ts";
import { soakCount, soakRow } from "../support/soak.ts";
import { temporaryDirectory } from "../support/temp.ts";

const engine = await chooseEngine();

/** All that a store says, for comparison. */
async function contents(dir: string) {
  await using store = await readLedger(pkiPaths(dir));
  const records = await Array.fromAsync(store.records());
  const issuer = records.find(({ entry }) => entry.issuer !== undefined)!.entry.issuer!;
  const certificates = records.filter(({ certificate }) => certificate !== undefined)
    .map(({ entry }) => `${entry.host ?? ""} ${entry.serial}`).sort();
  const revocations = await store.revocations(issuer);
  return { records, certificates, revocations, number: await store.crlNumber(issuer) };
}

/** Every file with its digest. */
function snapshot(dir: string): Record<string, string> {
  const files: Record<string, string> = {};
  const walk = (path: string) => {
    for (const { name, isDirectory } of Deno.readDirSync(path)) {
      if (isDirectory) walk(`${path}/${name}`);
      else files[`${path}/${name}`] = sha256(Deno.readFileSync(`${path}/${name}`));
    }
  };
  walk(dir);
  return files;
}

async function makeFleet(dir: string): Promise<void> {
  await makePki(dir, { hosts: [{ name: "a" }, { name: "a" }, { name: "a" }, { name: "b" }] });
  await revokeCertificates(["b"], "keyCompromise", { dir, engine });
}

/**
 * Makes the directory what a version without a store would have left: every certificate in
 * `issued/`, and neither database nor log.
 */
async function makeEarlierLayout(dir: string): Promise<void> {
  const { records } = await contents(dir);
  Deno.mkdirSync(`${dir}/issued`);
  for (const { entry: { host, serial }, certificate } of records) {
    if (certificate === undefined || host === undefined) continue;
    Deno.writeTextFileSync(`${dir}/issued/${serial}.pem`, encodePem("CERTIFICATE", certificate));
  }
  for (const name of ["ca.db", "ca.log"]) Deno.removeSync(`${dir}/${name}`);
}

Deno.test("the first change takes over what an earlier version left, and loses nothing", async () => {
  using temp = temporaryDirectory();
  const { path: dir } = temp;
  await makeFleet(dir);
  const before = await contents(dir);
  await makeEarlierLayout(dir);
  const { number } = readRevoked(pkiPaths(dir));
  await issueHost({ dir, engine, host: "c" });
  const after = await contents(dir);
  assertEquals(after.certificates.filter((one) => !one.startsWith("c ")), before.certificates);
  assertEquals([after.revocations, after.number], [before.revocations, number]);
  assertEquals((await verifyLog({ dir, engine })).faults, []);
  assertEquals((await showIssued("a", { dir })).length, 6);
  const acts = (await readEntries({ dir })).map(({ act }) => act);
  assertEquals([...new Set(acts)], ["adopt", "revoke", "issue"]);
  // All that a had is revoked, the sets that lie in issued/ alone too.
  const { revoked } = await revokeCertificates(["a"], "superseded", { dir, engine });
  assertEquals(revoked.length, 6);
});

Deno.test("looking at the directory of an earlier version shows all of it and changes no file", async () => {
  using temp = temporaryDirectory();
  const { path: dir } = temp;
  await makeFleet(dir);
  await makeEarlierLayout(dir);
  const before = snapshot(dir);
  assertEquals((await showIssued("a", { dir })).length, 6);
  assertEquals((await showIssued("b", { dir })).map((one) => one.revoked?.reason), [
    "keyCompromise",
    "keyCompromise",
  ]);
  await readFleet({ dir });
  assertEquals(snapshot(dir), before);
});

Deno.test("an earlier version's directory whose issued/ is a link is refused", async () => {
  using temp = temporaryDirectory();
  const { path: dir } = temp;
  await makeFleet(dir);
  await makeEarlierLayout(dir);
  Deno.renameSync(`${dir}/issued`, `${dir}/away`);
  Deno.symlinkSync("away", `${dir}/issued`);
  const error = await assertRejects(() => publishCrl({ dir, engine }), CaError);
  assertEquals([error.code, error.facts.file], ["NOT_A_DIRECTORY", `${dir}/issued`]);
});

/** What happens to database and log, and from where they come back; all loses nothing. */
const LOSSES: Readonly<
  Record<string, readonly [damage: (dir: string) => void, source: string, noted?: RegExp]>
> = {
  "database gone": [(dir) => Deno.removeSync(`${dir}/ca.db`), "ca.log"],
  "database junk": [(dir) => Deno.writeTextFileSync(`${dir}/ca.db`, "junk ".repeat(999)), "ca.log"],
  "database cut": [(dir) => Deno.truncateSync(`${dir}/ca.db`, 9000), "ca.log"],
  "log gone": [
    (dir) => Deno.removeSync(`${dir}/ca.log`),
    "ca.db",
    /^ca\.log was gone and had lost \d+ entries, 1 to \d+$/,
  ],
  "log emptied": [
    (dir) => Deno.truncateSync(`${dir}/ca.log`),
    "ca.db",
    /^ca\.log was empty and had lost \d+ entries, 1 to \d+$/,
  ],
  "log cut between two lines": [
    (dir) => {
      const lines = Deno.readTextFileSync(`${dir}/ca.log`).split("\n");
      Deno.writeTextFileSync(`${dir}/ca.log`, lines.slice(0, 5).join("\n") + "\n");
    },
    "ca.log",
    /^ca\.log was cut and had lost \d+ entries, 6 to \d+$/,
  ],
  "log junk in its middle": [
    (dir) => {
      const text = Deno.readTextFileSync(`${dir}/ca.log`).split("\n");
      Deno.writeTextFileSync(`${dir}/ca.log`, text.with(4, "junk").join("\n"));
    },
    "ca.log",
  ],
  "log cut in a line": [
    (dir) => Deno.truncateSync(`${dir}/ca.log`, Deno.statSync(`${dir}/ca.log`).size - 9),
    "ca.log",
  ],
};

for (const [what, [damage, source, noted]] of Object.entries(LOSSES)) {
  Deno.test(`rebuildStore() brings everything back: ${what}`, async () => {
    using temp = temporaryDirectory();
    const { path: dir } = temp;
    await makeFleet(dir);
    const before = await contents(dir);
    damage(dir);
    const damaged = snapshot(dir);
    const planned = await rebuildStore({ dir, dryRun: true });
    assertEquals(snapshot(dir), damaged);
    const done = await rebuildStore({ dir });
    assertEquals({ ...done, kept: [] }, planned);
    assertEquals([done.source, done.entries], [`${dir}/${source}`, before.records.length]);
    assertEquals([done.certificates, done.revocations, done.unchanged], [0, 0, false]);
    const after = await contents(dir);
    const more = noted === undefined ? 1 : 2;
    assertEquals(after.records.slice(0, -more), before.records);
    assertEquals(after.records.at(-1)!.entry.act, "rebuild");
    const { faults, gaps } = await verifyLog({ dir, engine });
    assertEquals([faults, gaps.length], [[], more - 1]);
    if (noted !== undefined) assertMatch(gaps[0]!.note, noted);
    assert(done.faults.length > 0);
    const lost = done.faults.map((fault) => fault.file).filter((file) => damaged[file]);
    assertEquals(done.kept.map((file) => file.replace(/\.\d+T\d+Z$/, "")), lost);
    for (const file of done.kept) {
      assertEquals(sha256(Deno.readFileSync(file)), damaged[file.replace(/\.\d+T\d+Z$/, "")]);
    }
    await renewHosts({ dir, engine, selection: { kind: "all" } });
    assertEquals((await rebuildStore({ dir })).unchanged, true);
  });
}

Deno.test("rebuildStore() without database and log takes what hosts and the CRL have", async () => {
  using temp = temporaryDirectory();
  const { path: dir } = temp;
  await makeFleet(dir);
  const before = await contents(dir);
  for (const name of ["ca.db", "ca.log"]) {
    Deno.writeTextFileSync(`${dir}/${name}`, "x".repeat(5000));
  }
  const { source, entries, certificates, revocations } = await rebuildStore({ dir });
  // The CA's, two sets of a, one of b: the first set of a lay nowhere else.
  assertEquals([source, entries, certificates, revocations], [undefined, 0, 7, 2]);
  const after = await contents(dir);
  assertEquals(after.revocations, before.revocations);
  assertEquals(after.number, before.number);
  assert(after.certificates.every((one) => before.certificates.includes(one)));
});

Deno.test("rebuildStore() takes over what a killed command was about to log", async () => {
  using temp = temporaryDirectory();
  const { path: dir } = temp;
  await makeFleet(dir);
  const paths = pkiPaths(dir);
  const old = Deno.readTextFileSync(paths.log);
  await issueHost({ dir, engine, host: "c" });
  const records = Deno.readTextFileSync(paths.log).slice(old.length).trimEnd().split("\n");
  // As it was killed behind the journal; then the database was lost, and the log's end too.
  const journal = { version: 1, authority: false, hosts: [], records };
  Deno.writeTextFileSync(paths.journal, JSON.stringify(journal));
  Deno.removeSync(paths.store);
  Deno.writeTextFileSync(paths.log, old.split("\n").slice(0, -2).join("\n") + "\n");
  await rebuildStore({ dir });
  assertEquals(readJournal(paths), undefined);
  assertEquals((await readEntries({ dir, target: "c" })).map(({ act }) => act), ["issue", "issue"]);
  assertEquals((await verifyLog({ dir, engine })).faults, []);
});

Deno.test("a command on a damaged database names it and the way back, and changes nothing", async () => {
  using temp = temporaryDirectory();
  const { path: dir } = temp;
  await makeFleet(dir);
  Deno.writeTextFileSync(`${dir}/ca.db`, "no database ".repeat(999));
  const before = snapshot(dir);
  for (
    const work of [
      () => issueHost({ dir, engine, host: "c" }),
      () => revokeCertificates(["a"], "superseded", { dir, engine }),
      () => publishCrl({ dir, engine }),
      () => showIssued("a", { dir }),
    ]
  ) {
    const { code, facts, hints } = await assertRejects(work, CaError);
    assertEquals([code, facts.file], ["STORE_DAMAGED", `${dir}/ca.db`]);
    assertEquals(hints, [
      `make it anew from the other files: deno task ca rebuild --dir ${dir}`,
    ]);
  }
  assertEquals(snapshot(dir), before);
  // What hosts hold is in their directories.
  assertEquals((await readFleet({ dir })).hosts.length, 2);
});

Deno.test("a database that is gone while its log is there is not made anew unasked", async () => {
  using temp = temporaryDirectory();
  const { path: dir } = temp;
  await makeFleet(dir);
  Deno.removeSync(`${dir}/ca.db`);
  const error = await assertRejects(() => publishCrl({ dir, engine }), CaError);
  assertEquals([error.code, error.facts.file], ["STORE_MISSING", `${dir}/ca.db`]);
  assertEquals((await showIssued("a", { dir })).length, 6);
});

/** What is said of a database and a log that are both lost. */
const BOTH_LOST: Readonly<Record<string, (dir: string) => readonly [code: string, cause: string]>> =
  {
    removed: (dir) => ["STORE_MISSING", `what it knew of: ${dir}/hosts`],
    emptied: (dir) => ["STORE_DAMAGED", `it is empty, and ${dir}/hosts is not`],
  };

for (const [lost, expected] of Object.entries(BOTH_LOST)) {
  Deno.test(`a database and a log that are both ${lost} are not begun anew unasked`, async () => {
    using temp = temporaryDirectory();
    const { path: dir } = temp;
    await makeFleet(dir);
    for (const file of [`${dir}/ca.db`, `${dir}/ca.log`]) {
      if (lost === "removed") Deno.removeSync(file);
      else Deno.truncateSync(file);
    }
    const before = snapshot(dir);
    for (
      const work of [
        () => issueHost({ dir, engine, host: "c" }),
        () => publishCrl({ dir, engine }),
      ]
    ) {
      const { code, facts, hints } = await assertRejects(work, CaError);
      assertEquals([code, facts.cause ?? ""], expected(dir));
      assertEquals(hints, [`make it anew from the other files: deno task ca rebuild --dir ${dir}`]);
      assertEquals(snapshot(dir), before);
    }
    const { unchanged, certificates, revocations } = await rebuildStore({ dir });
    assertEquals([unchanged, certificates, revocations], [false, 7, 2]);
    await issueHost({ dir, engine, host: "c" });
    assertEquals((await verifyLog({ dir, engine })).faults, []);
  });
}

Deno.test("a CRL alone tells that there was a database", async () => {
  using temp = temporaryDirectory();
  const { path: dir } = temp;
  await makePki(dir, { hosts: [] });
  for (const name of ["ca.db", "ca.log"]) Deno.removeSync(`${dir}/${name}`);
  const { facts } = await assertRejects(() => publishCrl({ dir, engine }), CaError);
  assertEquals(facts.cause, `what it knew of: ${dir}/ca-crl.pem`);
  assertEquals((await rebuildStore({ dir })).unchanged, false);
  await publishCrl({ dir, engine });
});

Deno.test("an emptied database whose log is there is refused, and nothing is written", async () => {
  using temp = temporaryDirectory();
  const { path: dir } = temp;
  await makeFleet(dir);
  const { records } = await contents(dir);
  Deno.truncateSync(`${dir}/ca.db`);
  const before = snapshot(dir);
  for (let i = 0; i < 2; i++) {
    const { code } = await assertRejects(() => issueHost({ dir, engine, host: "c" }), CaError);
    assertEquals(code, "STORE_DAMAGED");
    assertEquals(snapshot(dir), before);
  }
  await rebuildStore({ dir });
  assertEquals((await contents(dir)).records.slice(0, records.length), records);
  assertEquals((await verifyLog({ dir, engine })).faults, []);
});

Deno.test("rebuildStore() makes one of two logs that went different ways, and keeps the other", async () => {
  using temp = temporaryDirectory();
  const { path: dir } = temp;
  await makeFleet(dir);
  const old = Deno.readFileSync(`${dir}/ca.db`);
  await issueHost({ dir, engine, host: "c" });
  const log = Deno.readFileSync(`${dir}/ca.log`);
  // Somebody puts an older database back, and makes the error go away.
  Deno.writeFileSync(`${dir}/ca.db`, old);
  Deno.removeSync(`${dir}/ca.log`);
  await issueHost({ dir, engine, host: "d" });
  Deno.writeFileSync(`${dir}/ca.log`, log);
  Deno.removeSync(`${dir}/hosts/d`, { recursive: true });
  const { source, kept } = await rebuildStore({ dir });
  assertEquals([source, kept.map((file) => file.replace(/\.\d+T\d+Z$/, ""))], [
    `${dir}/ca.log`,
    [`${dir}/ca.db`],
  ]);
  for (const host of ["c", "d"]) {
    const [server, client] = await showIssued(host, { dir });
    assert(server !== undefined && client !== undefined);
  }
  assertEquals((await verifyLog({ dir, engine })).faults, []);
});

Deno.test("rebuildStore() killed at any instant loses nothing", async () => {
  using temp = temporaryDirectory();
  const { path: dir } = temp;
  await makeFleet(dir);
  const before = await contents(dir);
  const count = soakCount(200);
  for (let i = 0; i < count; i++) {
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", `--config=${PROJECT}/deno.json`, `${PROJECT}/tests/ca/_rebuild_loop.ts`],
        dir,
      ],
      stdin: "null",
      stdout: "piped",
    }).spawn();
    const reader = child.stdout.getReader();
    assertEquals((await reader.read()).done, false);
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 40));
    child.kill("SIGKILL");
    await child.status;
    await reader.cancel();
    await rebuildStore({ dir });
    const after = await contents(dir);
    assertEquals(after.records.slice(0, before.records.length), before.records);
    assertEquals(after.certificates, before.certificates);
    assertEquals((await verifyLog({ dir, engine })).faults, []);
  }
  soakRow("kill -9 while rebuilding the store", count, "nothing lost");
});
