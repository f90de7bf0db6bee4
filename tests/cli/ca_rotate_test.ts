import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { virtcreds } from "../support/command.ts";
import { daysFromNow, makePki } from "../support/pki.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { CA } from "../../cli/ca.ts";
import { runHere } from "./run_here.ts";

Deno.test("ca rotate says what to copy and what comes next, and to programs where it stands", async () => {
  using temp = temporaryDirectory();
  const cwd = temp.path;
  await makePki(`${cwd}/pki`, { hosts: [{ name: "a" }, { name: "b" }] });
  const rotate = (...args: string[]) => virtcreds(["ca", "rotate", ...args], { cwd });
  const early = await rotate("issue");
  assertEquals([early.code, early.stdout], [1, ""]);
  assertMatch(early.stderr, /^error: .*no roll-over was started\nhint: .*ca rotate start/);
  const started = await rotate("start");
  assertEquals(started.code, 0, started.stderr);
  assertMatch(started.stdout, /^started: the next CA is OU=G2,CN=virtcreds CA\n/);
  assertStringIncludes(started.stdout, "ca-cert.pem and ca-crl.pem of each pki/hosts/HOST");
  assertStringIncludes(started.stderr, "deno task ca rotate issue");
  const seen = await virtcreds(["ca", "status", "--json"], { cwd });
  assertEquals(JSON.parse(seen.stdout).rollOver, "started");
  assertMatch(seen.stderr, /^note: a roll-over to OU=G2,CN=virtcreds CA is under way\nhint: /);
  const part = await rotate("issue", "b");
  assertEquals(part.code, 0, part.stderr);
  assertMatch(
    part.stdout,
    /^the next CA signs from now on\nissued for b, .*\n {2}copy .*\/hosts\/b\//,
  );
  const refused = await rotate("finish");
  assertEquals(refused.code, 1);
  assertMatch(refused.stderr, /^error: .* is still needed by a\nhint: .*ca rotate issue/);
  const status = await rotate("status", "--json");
  const told = JSON.parse(status.stdout);
  assertEquals([told.position, told.old.name, told.next.name], [
    "issuing",
    "CN=virtcreds CA",
    "OU=G2,CN=virtcreds CA",
  ]);
  assertEquals(told.hosts, [{ host: "a", state: "both" }, { host: "b", state: "new" }]);
  assertMatch(told.then, /ca rotate issue$/);
  const rest = await rotate("issue", "--json");
  const lines = rest.stdout.trim().split("\n").map((line) => JSON.parse(line));
  assertEquals([lines[0].host, lines[1].left, lines[1].switched], ["a", [], false]);
  const finished = await rotate("finish");
  assertEquals([finished.code, (await rotate("finish")).code], [0, 0]);
});

Deno.test("ca rotate takes the steps that there are, with the flags that are theirs", async () => {
  using temp = temporaryDirectory();
  const { dir } = await makePki(`${temp.path}/pki`, { hosts: [{ name: "a" }] });
  for (
    const [args, said] of [
      [[], "missing start, issue, finish, status or abort"],
      [["begin"], "unknown step 'begin'"],
      [["finish", "a"], "finish is for all hosts"],
      [["issue", "--days", "3"], "--days is for start"],
      [["start", "--name", " x"], "cannot be the name of a CA"],
    ] as const
  ) {
    const { code, stderr } = await runHere(CA, ["rotate", ...args, "--dir", dir]);
    assertEquals(code, 2, stderr);
    assertStringIncludes(stderr, said);
    assertMatch(stderr, /\nhint: /);
  }
});

Deno.test("ca rotate warns of the old CA's end", async () => {
  using temp = temporaryDirectory();
  const cwd = temp.path;
  const clock = daysFromNow(-10);
  await makePki(`${cwd}/pki`, { clock, days: 30, hosts: [{ name: "a" }] });
  const { code, stderr } = await virtcreds(["ca", "rotate", "start", "--days", "3650"], { cwd });
  assertEquals(code, 0);
  assertMatch(
    stderr,
    /^warning: the old CA ends on .*: finish, and copy that to every host, before/,
  );
});
