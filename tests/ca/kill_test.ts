import { assert, assertEquals } from "@std/assert";
import { changePki } from "../../ca/change.ts";
import {
  finishRotation,
  issueRotation,
  makeHostKeys,
  publishCrl,
  renewHosts,
  revokeCertificates,
  rotationStatus,
  signRequests,
  startRotation,
  verifyLog,
} from "../../ca/mod.ts";
import { isThere, pkiPaths } from "../../ca/pki.ts";
import { readRevoked } from "../../ca/revoked.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { PROJECT, virtcreds } from "../support/command.ts";
import { assertWholeSet } from "../support/credential_set.ts";
import { makePki } from "../support/pki.ts";
import { soakCount, soakRow } from "../support/soak.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { assertAllMeet, takeSnapshots } from "./fleet_snapshots.ts";

/**
 * Starts a loop in another process and kills it at a random instant, up to so many ms after one of
 * the first times that it says that it has begun.
 */
async function killLoop(
  loop: string,
  args: readonly string[],
  permissions: readonly string[],
  { longest = 40, rounds = 1 } = {},
) {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--allow-read",
      "--allow-write",
      "--allow-env",
      ...permissions,
      `--config=${PROJECT}/deno.json`,
      `${PROJECT}/tests/ca/${loop}`,
      ...args,
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.getReader();
  const wanted = 1 + Math.floor(Math.random() * rounds);
  for (let begun = 0; begun < wanted;) {
    const { done, value } = await reader.read();
    assertEquals(done, false, "the child ended before it was killed");
    begun += value!.filter((octet) => octet === 0x0a).length;
  }
  await new Promise((resolve) => setTimeout(resolve, Math.random() * longest));
  child.kill("SIGKILL");
  await child.status;
  await reader.cancel();
}

for (const mode of ["with renameat2", "without FFI"] as const) {
  const ffi = mode === "with renameat2";
  Deno.test(`issueHost() killed at any instant leaves whole sets of one command, ${mode}`, async () => {
    using temp = temporaryDirectory();
    // The engine that also works without FFI.
    const engine = await chooseEngine("platform");
    const pki = await makePki(`${temp.path}/pki`, {
      hosts: [{ name: "a" }, { name: "b" }],
      engine,
    });
    const paths = pkiPaths(pki.dir);
    const count = soakCount(200);
    let unfinished = 0;
    for (let i = 0; i < count; i++) {
      await killLoop("_issue_loop.ts", [pki.dir, String(i)], ffi ? ["--allow-ffi"] : []);
      // Without the exchange there is a moment in which only the journal knows the set.
      if (ffi) assertWholeSet(pki.host("a"));
      if (ffi) assertWholeSet(pki.host("b"));
      if (isThere(paths.journal) || isThere(paths.staging)) unfinished++;
      await changePki(paths, {}, () => Promise.resolve());
      const [a, b] = [assertWholeSet(pki.host("a")), assertWholeSet(pki.host("b"))];
      assertEquals(a.replace("DNS:a", "DNS:b"), b, "hosts of one command have sets of one command");
      assert(assertWholeSet(`${paths.previous}/a`) !== a);
      assertEquals(isThere(paths.journal) || isThere(paths.staging), false);
      // What hosts hold is in the log, and both copies of that are whole.
      const { faults, gaps } = await verifyLog({ dir: pki.dir, engine });
      assertEquals([faults, gaps], [[], []]);
    }
    soakRow(`kill -9 while issuing, ${mode}`, count, `${unfinished} in the middle, none torn`);
  });
}

Deno.test("renewing, revoking and CRLs killed at any instant leave whole sets and lists that only grow", async () => {
  using temp = temporaryDirectory();
  const engine = await chooseEngine("platform");
  const { dir } = await makePki(`${temp.path}/pki`, {
    hosts: [{ name: "a" }, { name: "b" }, { name: "gone" }],
    engine,
  });
  const paths = pkiPaths(dir);
  await revokeCertificates(["gone"], "superseded", { dir, engine });
  const count = soakCount(200);
  let last = readRevoked(paths).number;
  let unfinished = 0;
  for (let i = 0; i < count; i++) {
    await killLoop("_life_loop.ts", [dir], ["--allow-ffi"]);
    const { number, entries } = readRevoked(paths);
    assert(number > last, `CRL ${number} after ${last}`);
    assertEquals(entries.size, 2);
    last = number;
    for (const host of ["a", "b", "gone"]) assertWholeSet(`${dir}/hosts/${host}`);
    if (isThere(paths.journal) || isThere(paths.staging)) unfinished++;
    // The next command finishes what was begun, and all fit each other.
    const crl = await publishCrl({ dir, engine });
    last = crl.number;
    assertEquals(isThere(paths.journal) || isThere(paths.staging), false);
    const renewed = await renewHosts({ dir, engine, selection: { kind: "all" } });
    assertEquals(renewed.outcomes.map((one) => [one.host, one.ok]), [["a", true], ["b", true]]);
    for (const host of ["a", "b"]) {
      for (const file of ["ca-cert.pem", "ca-crl.pem"]) {
        const text = Deno.readTextFileSync(`${dir}/hosts/${host}/${file}`);
        assertEquals(text, Deno.readTextFileSync(`${dir}/${file}`));
      }
    }
    const strays = [...Deno.readDirSync(dir)].map((entry) => entry.name)
      .filter((name) => name.startsWith("ca-") && name.endsWith(".tmp"));
    assertEquals(strays, []);
    const { faults, gaps } = await verifyLog({ dir, engine });
    // No crash looks as if somebody had cut the log.
    assertEquals([faults, gaps], [[], []]);
  }
  soakRow("kill -9 while renewing and revoking", count, `${unfinished} in the middle, none torn`);
});

Deno.test("signing and rolling over killed at any instant leave sets that meet, and the next run completes", async () => {
  using temp = temporaryDirectory();
  const engine = await chooseEngine("platform");
  const { dir } = await makePki(`${temp.path}/pki`, {
    hosts: [{ name: "a" }, { name: "b" }, { name: "gone" }],
    engine,
  });
  const paths = pkiPaths(dir);
  const keys = await makeHostKeys({ host: "vm", out: `${temp.path}/keys`, engine });
  await signRequests({ dir, engine, files: [keys.request] });
  await revokeCertificates(["gone"], "superseded", { dir, engine });
  const count = soakCount(200);
  const seen = new Map<string, number>();
  let unfinished = 0;
  const check = async (moment: string) => {
    for (const host of ["a", "b"]) assertWholeSet(`${dir}/hosts/${host}`);
    const all = takeSnapshots(dir, ["a", "b", "vm"], moment, temp.path);
    // The one that keeps its keys is whole only with them.
    for (const role of ["server", "client"]) {
      Deno.copyFileSync(`${keys.dir}/${role}-key.pem`, `${all[2]!.dir}/${role}-key.pem`);
    }
    await assertAllMeet(all, engine);
    Deno.removeSync(`${temp.path}/${moment}`, { recursive: true });
  };
  for (let i = 0; i < count; i++) {
    await killLoop("_rotate_loop.ts", [dir, keys.request], ["--allow-ffi"], {
      longest: 600,
      rounds: 5,
    });
    if (isThere(paths.journal) || isThere(paths.staging)) unfinished++;
    await check("killed");
    await changePki(paths, {}, () => Promise.resolve());
    assertEquals(isThere(paths.journal) || isThere(paths.staging), false);
    await check("finished");
    const { position } = rotationStatus({ dir });
    seen.set(position, (seen.get(position) ?? 0) + 1);
    if (position === "none" || i % 2 === 0) continue;
    const issued = await issueRotation({ dir, engine });
    assertEquals([issued.left, issued.outcomes.every(({ ok }) => ok)], [[], true]);
    assertEquals((await finishRotation({ dir, engine })).done, true);
    await check("over");
  }
  const { faults, gaps } = await verifyLog({ dir, engine });
  assertEquals([faults, gaps], [[], []]);
  const where = [...seen].map(([position, times]) => `${times} ${position}`).join(", ");
  soakRow("kill -9 while signing and rolling over", count, `${where}, ${unfinished} in the middle`);
});

Deno.test("two processes that roll over and issue at once take turns", async () => {
  using temp = temporaryDirectory();
  const cwd = temp.path;
  const { dir } = await makePki(`${cwd}/pki`, { hosts: [{ name: "a" }, { name: "b" }] });
  const step = (...args: string[]) => virtcreds(["ca", ...args], { cwd });
  const both = async (...commands: string[][]) => {
    for (const { code, stderr } of await Promise.all(commands.map((one) => step(...one)))) {
      assertEquals(code, 0, stderr);
    }
  };
  await both(["rotate", "start"], ["rotate", "start"], ["issue", "c"]);
  assertEquals(rotationStatus({ dir }).next?.name, "OU=G2,CN=virtcreds CA");
  await both(["rotate", "issue"], ["renew", "--all"]);
  await both(["rotate", "finish"], ["crl"]);
  for (const host of ["a", "b", "c"]) assertWholeSet(`${dir}/hosts/${host}`);
  const engine = await chooseEngine();
  await assertAllMeet(takeSnapshots(dir, ["a", "b", "c"], "after", cwd), engine);
  assertEquals((await verifyLog({ dir, engine })).faults, []);
});

Deno.test("a roll-over follows no symbolic link planted where its CAs are to lie", async () => {
  for (const place of ["next", "former", ".new", "hosts/a"]) {
    using temp = temporaryDirectory();
    const engine = await chooseEngine();
    const { dir } = await makePki(`${temp.path}/pki`, { hosts: [{ name: "a" }] });
    const elsewhere = `${temp.path}/elsewhere`;
    Deno.mkdirSync(elsewhere);
    if (place === "former") await startRotation({ dir, engine });
    if (isThere(`${dir}/${place}`)) Deno.removeSync(`${dir}/${place}`, { recursive: true });
    Deno.symlinkSync(elsewhere, `${dir}/${place}`);
    const work = place === "former" ? issueRotation : startRotation;
    const refused = await work({ dir, engine }).then(() => undefined, (error) => error);
    // Staging is swept away first, the link and not what it points at.
    if (place === ".new") assertEquals(refused, undefined);
    else assertEquals(refused?.code, "NOT_A_DIRECTORY", place);
    assertEquals([...Deno.readDirSync(elsewhere)], []);
  }
});
