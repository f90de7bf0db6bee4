/** `ca log`, `rebuild`, `backup`, `restore` and `import` as they are typed, and what they survive. */

import { assertEquals, assertMatch } from "@std/assert";
import { chooseEngine } from "../../engine/mod.ts";
import { revokeCertificates, verifyLog } from "../../ca/mod.ts";
import { PROJECT, run, virtcreds } from "../support/command.ts";
import { assertWholeSet } from "../support/credential_set.ts";
import { makePki } from "../support/pki.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { CA } from "../../cli/ca.ts";
import { runHere } from "./run_here.ts";

const engine = await chooseEngine();

async function makeFleet(root: string): Promise<string> {
  const { dir } = await makePki(`${root}/pki`, { hosts: [{ name: "a" }, { name: "b" }] });
  await revokeCertificates(["b"], "keyCompromise", { dir, engine });
  return dir;
}

Deno.test("ca log shows, filters and verifies", async () => {
  using temp = temporaryDirectory();
  const dir = await makeFleet(temp.path);
  const ca = (...args: string[]) => virtcreds(["ca", "log", ...args, "--dir", dir]);
  const all = await ca();
  assertEquals([all.code, all.stderr], [0, ""]);
  const [header, first, ...rest] = all.stdout.trimEnd().split("\n");
  assertMatch(header!, /^SEQ +TIME +WHO +ACT +HOST +SERIAL +SHA-256 +NOTE$/);
  assertMatch(first!, /^1 +\S+Z +.+ init +- +[0-9a-f]{32} +[0-9a-f]{16}$/);
  assertEquals(rest.length, 8);
  const json = (await ca("b", "--last", "2", "--json")).stdout.trimEnd().split("\n")
    .map((line) => JSON.parse(line));
  assertEquals(json.map(({ seq, act, host, reason }) => [seq, act, host, reason]), [
    [7, "revoke", "b", 1],
    [8, "revoke", "b", 1],
  ]);
  const verdict = await ca("--verify");
  assertMatch(verdict.stdout, /^the log is whole: 9 entries, signed up to entry 9\n {2}head {2}9:/);
  const head = /head {2}(\S+)/.exec(verdict.stdout)![1]!;
  assertEquals((await ca("--verify", "--head", head)).code, 0);
  const { ok, faults, signed } = JSON.parse((await ca("--verify", "--json")).stdout);
  assertEquals([ok, faults, signed], [true, [], 9]);
  const other = await ca("--verify", "--head", head.replace(/.$/, (c) => c === "0" ? "1" : "0"));
  assertEquals([other.code, other.stdout], [
    1,
    `${dir}/ca.db: entry 9: it is another one than the one that was kept elsewhere\n`,
  ]);
  for (
    const args of [["--head", head], ["--verify", "a"], ["--verify", "--head", "9"], ["a", "b"]]
  ) {
    assertEquals((await runHere(CA, ["log", ...args])).code, 2, args.join(" "));
  }
});

Deno.test("a command that finds the log's file cut says so, and so does ca log --verify from then on", async () => {
  using temp = temporaryDirectory();
  const dir = await makeFleet(temp.path);
  const lines = Deno.readTextFileSync(`${dir}/ca.log`).trimEnd().split("\n");
  Deno.writeTextFileSync(`${dir}/ca.log`, lines.slice(0, 6).join("\n") + "\n");
  const verify = (...args: string[]) => virtcreds(["ca", "log", "--verify", ...args, "--dir", dir]);
  const before = await verify();
  assertEquals([before.code, before.stdout.split("\n")[0]], [
    1,
    `${dir}/ca.log: entry 7: it and what follows, 3 entries, are missing: ${dir}/ca.db has them`,
  ]);
  const { code, stderr } = await virtcreds(["ca", "crl", "--dir", dir]);
  assertEquals([code, stderr.split("hint: copy")[0]], [
    0,
    `warning: the log ${dir}/ca.log was cut: 3 of its records were lost (entries 7 to 9)\n` +
    `hint: written again from ${dir}/ca.db, and noted in the log: see deno task ca log --verify --dir ${dir}\n` +
    "hint: if none of you did that, compare with a backup: deno task ca restore FILE --dir ELSEWHERE\n",
  ]);
  const after = await verify();
  assertEquals(after.code, 0);
  assertMatch(
    after.stdout,
    /^entry 10: ca\.log was cut and had lost 3 entries, 7 to 9, as .+ found on \S+Z\nthe log is whole: 11 entries, /,
  );
  const { ok, gaps } = JSON.parse((await verify("--json")).stdout);
  assertEquals([ok, gaps.length, gaps[0].seq], [true, 1, 10]);
});

Deno.test("ca rebuild mends what the other commands name", async () => {
  using temp = temporaryDirectory();
  const dir = await makeFleet(temp.path);
  Deno.writeTextFileSync(`${dir}/ca.db`, "no database ".repeat(500));
  const broken = await virtcreds(["ca", "issue", "c", "--dir", dir]);
  assertEquals([broken.code, broken.stderr], [
    1,
    `error: the database ${dir}/ca.db is damaged: file is not a database\n` +
    `hint: make it anew from the other files: deno task ca rebuild --dir ${dir}\n`,
  ]);
  const verdict = await virtcreds(["ca", "log", "--verify", "--dir", dir]);
  assertEquals(verdict.code, 1);
  const planned = await virtcreds(["ca", "rebuild", "--dry-run", "--dir", dir]);
  assertMatch(planned.stdout, /^would make the database of .* anew\n {2}from the log {3}9 entries/);
  const done = await virtcreds(["ca", "rebuild", "--dir", dir]);
  assertEquals(done.code, 0, done.stderr);
  assertEquals((await virtcreds(["ca", "issue", "c", "--dir", dir])).code, 0);
  const again = await virtcreds(["ca", "rebuild", "--dir", dir]);
  assertEquals(again.stdout, "nothing to do: database and log agree on 12 entries\n");
});

Deno.test("ca backup and ca restore go there and back, and say what is wrong", async () => {
  using temp = temporaryDirectory();
  const dir = await makeFleet(temp.path);
  const cwd = temp.path;
  Deno.writeTextFileSync(`${cwd}/pass`, "one passphrase\n");
  const pass = ["--passphrase-file", "pass"];
  const ca = (...args: string[]) => virtcreds(["ca", ...args], { cwd });
  const made = await ca("backup", "pki.cms", ...pass);
  assertEquals([made.code, made.stderr], [0, ""]);
  assertMatch(made.stdout, /^backed up pki to pki\.cms, restored it for a test, all is the same\n/);
  const again = await ca("backup", "pki.cms", ...pass);
  assertMatch(again.stderr, /^error: cannot use backup pki\.cms: it exists already\nhint: take/);
  assertEquals((await ca("backup", "pki.cms", ...pass, "--force", "--json")).code, 0);
  assertEquals((await ca("restore", "pki.cms", ...pass)).code, 1);
  const checked = await ca("restore", "pki.cms", "--check", ...pass);
  assertMatch(checked.stdout, /^pki\.cms is whole: \d+ files, 2 hosts\n$/);
  const wrong = await virtcreds(
    ["ca", "restore", "pki.cms", "--dir", "new", "--passphrase-file", "-"],
    { cwd, stdin: "another\n" },
  );
  assertEquals([wrong.code, wrong.stderr.split("\n")[0]], [
    1,
    "error: cannot use backup pki.cms: the passphrase does not fit, or the file is damaged",
  ]);
  const none = await ca("backup", "other.cms");
  assertEquals([none.code, none.stderr.split("\n")[0]], [2, "error: a backup needs a passphrase"]);
  assertEquals((await ca("restore", "pki.cms", "--dir", "new", ...pass)).code, 0);
  assertWholeSet(`${cwd}/new/hosts/a`);
  assertEquals((await verifyLog({ dir: `${cwd}/new`, engine })).faults, []);
  assertEquals((await verifyLog({ dir, engine })).faults, []);
});

Deno.test("ca backup and ca restore that Ctrl-C stops leave no file behind", async () => {
  using temp = temporaryDirectory();
  const cwd = temp.path;
  const dir = await makeFleet(cwd);
  Deno.writeTextFileSync(`${cwd}/pass`, "one passphrase\n");
  const pass = ["--passphrase-file", "pass"];
  // Much that gzip takes its time for.
  for (let i = 0; i < 12; i++) {
    const noise = crypto.getRandomValues(new Uint8Array(65_536));
    const file = new Uint8Array(8 * 65_536);
    for (let at = 0; at < file.length; at += noise.length) file.set(noise, at);
    Deno.writeFileSync(`${dir}/hosts/a/noise-${i}`, file);
  }
  assertEquals((await virtcreds(["ca", "backup", "first.cms", ...pass], { cwd })).code, 0);
  const names = () => [...Deno.readDirSync(cwd)].map(({ name }) => name).sort();
  for (const args of [["backup", "second.cms"], ["restore", "first.cms", "--dir", "new"]]) {
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", `--config=${PROJECT}/deno.json`, `${PROJECT}/cli/ca.ts`],
        ...[...args, ...pass],
      ],
      cwd,
      env: { INIT_CWD: cwd },
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    while (!names().some((name) => /\.(tmp|restored)$/.test(name))) {
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    child.kill("SIGINT");
    assertEquals((await child.status).code, 130);
    assertEquals(names(), ["first.cms", "pass", "pki"]);
  }
});

Deno.test("ca import takes a CA from its files, and says what it takes", async () => {
  using temp = temporaryDirectory();
  const cwd = temp.path;
  await makeFleet(cwd);
  Deno.mkdirSync(`${cwd}/old`);
  for (const name of ["ca-cert.pem", "ca-key.pem", "ca-crl.pem"]) {
    Deno.copyFileSync(`${cwd}/pki/${name}`, `${cwd}/old/${name}`);
  }
  const args = ["old", "--certs", "pki/hosts", "--dir", "new"];
  const ca = (...args: string[]) => virtcreds(["ca", "import", ...args], { cwd });
  const planned = await ca(...args, "--dry-run");
  assertMatch(planned.stdout, /^would take over the CA "CN=virtcreds CA" of certtool\n/);
  const done = await ca(...args);
  assertEquals(done.code, 0, done.stderr);
  assertMatch(
    done.stdout,
    /certificates {2}4, of which 2 revoked\n {2}hosts {9}1, 0 without a key/,
  );
  const again = await ca(...args);
  assertEquals([again.code, again.stderr.split("\n")[0]], [
    1,
    "error: cannot write to new: something is there, and an import overwrites nothing",
  ]);
  assertEquals((await ca("--ca-cert", "old/ca-cert.pem")).code, 2);
  const missing = await ca("nowhere", "--dir", "other");
  assertEquals([missing.code, missing.stderr.split("\n")[0]], [
    1,
    "error: cannot read nowhere: no such file or directory",
  ]);
});

Deno.test("commands that look need no right to write anything", async () => {
  using temp = temporaryDirectory();
  const dir = await makeFleet(temp.path);
  for (
    const args of [
      ["list"],
      ["status"],
      ["show", "a"],
      ["log"],
      ["log", "--verify"],
      ["rebuild", "--dry-run"],
    ]
  ) {
    const { code, stderr } = await run(Deno.execPath(), [
      ...["run", "--no-prompt", "--allow-read", "--allow-env", "--allow-sys", "--allow-ffi"],
      ...[`--config=${PROJECT}/deno.json`, `${PROJECT}/cli/ca.ts`, ...args, "--dir", dir],
    ]);
    assertEquals([code, stderr], [0, ""], args.join(" "));
  }
});

Deno.test("commands at the same time for the same host and for others leave one whole log", async () => {
  using temp = temporaryDirectory();
  const { dir } = await makePki(`${temp.path}/pki`, { hosts: [] });
  const hosts = ["same", "same", "same", "one", "two"];
  const finished = await Promise.all(
    hosts.map((host) => virtcreds(["ca", "issue", host, "--dir", dir])),
  );
  assertEquals(finished.map(({ code }) => code), hosts.map(() => 0));
  for (const host of ["same", "one", "two"]) assertWholeSet(`${dir}/hosts/${host}`);
  const { faults, head } = await verifyLog({ dir, engine });
  assertEquals([faults, head.seq], [[], 2 + 2 * hosts.length]);
});

Deno.test("a full disk is named, changes nothing, and is no damage once there is room", async () => {
  using temp = temporaryDirectory();
  const { dir } = await makePki(`${temp.path}/pki`, { hosts: [{ name: "a" }] });
  const before = Deno.readTextFileSync(`${dir}/hosts/a/server-cert.pem`);
  const issue = [
    ...["run", "-A", `--config=${PROJECT}/deno.json`, `${PROJECT}/cli/ca.ts`],
    ...["issue", "a", ...Array.from({ length: 30 }, (_, i) => `h${i}`), "--dir", dir],
  ];
  // The largest file that the command may write, in KiB: the journal fits, the database does not.
  const limit = Math.ceil(Deno.statSync(`${dir}/ca.db`).size / 1024) + 52;
  const full = await run("bash", [
    "-c",
    `trap '' XFSZ; ulimit -f ${limit}; exec "$0" "$@"`,
    Deno.execPath(),
    ...issue,
  ]);
  assertEquals(full.code, 1);
  assertMatch(full.stderr, /^error: cannot use the database .*ca\.db: .*\nhint: who may write/);
  assertEquals(Deno.readTextFileSync(`${dir}/hosts/a/server-cert.pem`), before);
  assertEquals([...Deno.readDirSync(`${dir}/hosts`)].length, 1);
  assertEquals((await verifyLog({ dir, engine })).faults, []);
  const { code, stderr } = await run(Deno.execPath(), issue);
  assertEquals(code, 0, stderr);
  for (const host of ["a", "h0", "h29"]) assertWholeSet(`${dir}/hosts/${host}`);
  assertEquals((await verifyLog({ dir, engine })).faults, []);
});
