import { assertEquals, assertRejects } from "@std/assert";
import { changePki } from "../../ca/change.ts";
import { CaError } from "../../ca/error.ts";
import { writeJournal } from "../../ca/journal.ts";
import { type PkiPaths, pkiPaths } from "../../ca/pki.ts";
import { setDigest } from "../../ca/publish.ts";
import { temporaryDirectory } from "../support/temp.ts";

/** A set is told from another by its certificates: the name of the set stands in for one. */
function writeSet(directory: string, set: string): void {
  Deno.mkdirSync(directory, { recursive: true });
  Deno.writeTextFileSync(`${directory}/server-cert.pem`, set);
}

function readSet(directory: string): string | undefined {
  try {
    return Deno.readTextFileSync(`${directory}/server-cert.pem`);
  } catch {
    return undefined;
  }
}

/** Which set is where, and what else lies in the directory. */
function state(paths: PkiPaths) {
  return {
    live: readSet(`${paths.hosts}/h`),
    previous: readSet(`${paths.previous}/h`),
    names: [...Deno.readDirSync(paths.root)].map((entry) => entry.name).sort(),
  };
}

const PUBLISHED = [".lock", "hosts", "previous"];

async function issue(paths: PkiPaths, set: string): Promise<void> {
  await changePki(paths, {}, async (change) => {
    writeSet(await change.stageHost("h"), set);
  });
}

Deno.test("changePki() publishes a host's set and keeps the one before", async () => {
  using temp = temporaryDirectory();
  const paths = pkiPaths(temp.path);
  await issue(paths, "one");
  assertEquals(state(paths), { live: "one", previous: undefined, names: PUBLISHED });
  await issue(paths, "two");
  assertEquals(state(paths), { live: "two", previous: "one", names: PUBLISHED });
  await issue(paths, "three");
  assertEquals(state(paths), { live: "three", previous: "two", names: PUBLISHED });
});

Deno.test("changePki() changes nothing if the work throws", async () => {
  using temp = temporaryDirectory();
  const paths = pkiPaths(temp.path);
  await issue(paths, "one");
  await assertRejects(
    () =>
      changePki(paths, {}, (change) => {
        writeSet(change.stageHost("h"), "two");
        throw new Error("no");
      }),
    Error,
    "no",
  );
  assertEquals(state(paths), { live: "one", previous: undefined, names: PUBLISHED });
});

/** What a command leaves that is killed at some point, and where its sets are after the next one. */
const INTERRUPTED: readonly {
  readonly at: string;
  readonly staged?: string;
  readonly live?: string;
  readonly previous?: string;
  /** The old set on its way. */
  readonly replaced?: string;
  readonly journal: boolean;
  readonly then: { readonly live?: string; readonly previous?: string };
}[] = [
  { at: "while staging", staged: "new", live: "old", journal: false, then: { live: "old" } },
  {
    at: "after the journal",
    staged: "new",
    live: "old",
    previous: "older",
    journal: true,
    then: { live: "new", previous: "old" },
  },
  { at: "after the first journal", staged: "new", journal: true, then: { live: "new" } },
  {
    at: "after the exchange",
    staged: "old",
    live: "new",
    previous: "older",
    journal: true,
    then: { live: "new", previous: "old" },
  },
  {
    at: "after the exchange and the removal of the previous set",
    staged: "old",
    live: "new",
    journal: true,
    then: { live: "new", previous: "old" },
  },
  {
    at: "after the old set was taken away",
    staged: "new",
    previous: "older",
    replaced: "old",
    journal: true,
    then: { live: "new", previous: "old" },
  },
  {
    at: "between the two renames",
    staged: "new",
    previous: "old",
    journal: true,
    then: { live: "new", previous: "old" },
  },
  {
    at: "before the journal is removed",
    live: "new",
    previous: "old",
    journal: true,
    then: { live: "new", previous: "old" },
  },
];

for (const { at, staged, live, previous, replaced, journal, then } of INTERRUPTED) {
  Deno.test(`changePki() finishes first what was killed ${at}`, async () => {
    using temp = temporaryDirectory();
    const paths = pkiPaths(temp.path);
    writeSet(`${temp.path}/digested`, "new");
    const digest = await setDigest(`${temp.path}/digested`);
    Deno.removeSync(`${temp.path}/digested`, { recursive: true });
    Deno.mkdirSync(paths.hosts);
    Deno.mkdirSync(paths.previous);
    if (staged !== undefined) writeSet(`${paths.staging}/h`, staged);
    if (live !== undefined) writeSet(`${paths.hosts}/h`, live);
    if (previous !== undefined) writeSet(`${paths.previous}/h`, previous);
    if (replaced !== undefined) writeSet(`${paths.staging}/h@replaced`, replaced);
    if (journal) writeJournal(paths, { authority: false, hosts: [{ host: "h", digest }] });
    await changePki(paths, {}, () => Promise.resolve());
    const { live: liveThen, previous: previousThen } = then;
    assertEquals(state(paths), { live: liveThen, previous: previousThen, names: PUBLISHED });
  });
}

Deno.test("changePki() finishes a CA whose key is in its place and whose certificate is not", async () => {
  using temp = temporaryDirectory();
  const paths = pkiPaths(temp.path);
  Deno.mkdirSync(`${paths.staging}/@authority`, { recursive: true });
  Deno.writeTextFileSync(paths.caKey, "key");
  Deno.writeTextFileSync(`${paths.staging}/@authority/ca-crl.pem`, "crl");
  Deno.writeTextFileSync(`${paths.staging}/@authority/ca-cert.pem`, "certificate");
  writeJournal(paths, { authority: true, hosts: [] });
  await changePki(paths, {}, () => Promise.resolve());
  assertEquals(Deno.readTextFileSync(paths.caCertificate), "certificate");
  assertEquals(state(paths).names, [".lock", "ca-cert.pem", "ca-crl.pem", "ca-key.pem"]);
});

const BROKEN_JOURNALS = [
  ["{", "it is no JSON"],
  ["[1]", "its version is not 1"],
  ["null", "it is no object"],
  [`{"version":2}`, "its version is not 1"],
  [`{"version":1,"authority":false}`, "a part of it is missing"],
  [
    `{"version":1,"authority":false,"hosts":[{"host":"../x","digest":""}]}`,
    "a part of it is missing",
  ],
  [
    `{"version":1,"authority":false,"hosts":[{"host":"UP","digest":""}]}`,
    "a part of it is missing",
  ],
] as const;

for (const [text, cause] of BROKEN_JOURNALS) {
  Deno.test(`changePki() refuses a journal of ${text}`, async () => {
    using temp = temporaryDirectory();
    const paths = pkiPaths(temp.path);
    Deno.writeTextFileSync(paths.journal, text);
    const error = await assertRejects(() => issue(paths, "one"), CaError);
    assertEquals([error.code, error.facts.cause], ["JOURNAL", cause]);
    assertEquals(state(paths).live, undefined);
  });
}

for (const place of ["hosts", "previous", ".new", "hosts/h", "previous/h", ".lock"]) {
  Deno.test(`changePki() does not follow a symbolic link planted as ${place}`, async () => {
    using temp = temporaryDirectory();
    const [elsewhere, root] = [`${temp.path}/elsewhere`, `${temp.path}/pki`];
    Deno.mkdirSync(elsewhere);
    const paths = pkiPaths(root);
    for (const directory of [root, paths.hosts, paths.previous]) Deno.mkdirSync(directory);
    if (place === "previous/h") writeSet(`${paths.hosts}/h`, "one");
    const link = `${root}/${place}`;
    if (place === "hosts" || place === "previous") Deno.removeSync(link);
    Deno.symlinkSync(place === ".lock" ? `${elsewhere}/file` : elsewhere, link);
    const work = issue(paths, "two");
    if (place === ".new" || place === "previous/h") {
      // What stands where rubbish is removed is removed, the link and not its target.
      await work;
      assertEquals(state(paths).live, "two");
    } else {
      await assertRejects(() => work, CaError, "symbolic link");
      assertEquals(Deno.lstatSync(link).isSymlink, true);
    }
    assertEquals([...Deno.readDirSync(elsewhere)], []);
  });
}

Deno.test("changePki() gives up a set whose place is taken by a file, and leaves no journal", async () => {
  using temp = temporaryDirectory();
  const paths = pkiPaths(temp.path);
  Deno.mkdirSync(paths.hosts);
  Deno.writeTextFileSync(`${paths.hosts}/h`, "mine");
  await assertRejects(() => issue(paths, "one"), CaError, "it is a file, not a directory");
  assertEquals(Deno.readTextFileSync(`${paths.hosts}/h`), "mine");
  assertEquals(state(paths).names, PUBLISHED);
});

Deno.test("changePki() lets one change at a time in", async () => {
  using temp = temporaryDirectory();
  const paths = pkiPaths(temp.path);
  const events: string[] = [];
  const entered = Promise.withResolvers<void>();
  const leave = Promise.withResolvers<void>();
  const first = changePki(paths, {}, async () => {
    events.push("first in");
    entered.resolve();
    await leave.promise;
    events.push("first out");
  });
  await entered.promise;
  const waits = Promise.withResolvers<void>();
  const second = changePki(paths, { onWait: waits.resolve }, () => {
    events.push("second in");
    return Promise.resolve();
  });
  await waits.promise;
  const signal = AbortSignal.timeout(1);
  await assertRejects(() => changePki(paths, { signal }, () => Promise.reject("in")), DOMException);
  leave.resolve();
  await Promise.all([first, second]);
  assertEquals(events, ["first in", "first out", "second in"]);
});
