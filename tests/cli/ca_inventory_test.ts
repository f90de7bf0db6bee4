import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { barText } from "../../cli/_progress.ts";
import { run, virtcreds } from "../support/command.ts";
import { assertWholeSet } from "../support/credential_set.ts";
import { makePki } from "../support/pki.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { CA } from "../../cli/ca.ts";
import { runHere } from "./run_here.ts";

/** Every file below a directory, with what is in it. */
async function contents(dir: string): Promise<string> {
  const { stdout } = await run("sh", ["-c", "find . -type f | sort | xargs sha256sum"], {
    cwd: dir,
  });
  return stdout;
}

Deno.test("ca issue --inventory plans, issues what differs, and the second time nothing", async () => {
  using temp = temporaryDirectory();
  const cwd = temp.path;
  await makePki(`${cwd}/pki`, { hosts: [{ name: "vm3" }] });
  Deno.writeTextFileSync(`${cwd}/hosts.csv`, "host,ip\nvm1,192.0.2.1\nvm2,192.0.2.2\nvm3,\n");
  const before = await contents(`${cwd}/pki`);
  const issue = (...more: readonly string[]) =>
    virtcreds(["ca", "issue", "--inventory", "hosts.csv", ...more], { cwd });
  const plan = await issue("--dry-run");
  assertEquals(plan, {
    code: 0,
    stdout: "issue vm1: new\nissue vm2: new\n",
    stderr: "2 to issue, 1 unchanged\n",
  });
  assertEquals(await contents(`${cwd}/pki`), before);
  const first = await issue();
  assertEquals(first, {
    code: 0,
    stdout: "issued vm1: new\nissued vm2: new\n",
    stderr: "2 issued, 1 unchanged\n",
  });
  for (const host of ["vm1", "vm2", "vm3"]) assertWholeSet(`${cwd}/pki/hosts/${host}`);
  const after = await contents(`${cwd}/pki`);
  const second = await issue();
  assertEquals(second, { code: 0, stdout: "", stderr: "0 issued, 3 unchanged\n" });
  assertEquals(await contents(`${cwd}/pki`), after);
  const more = await issue("--days", "30", "--json");
  const rows = more.stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  assertEquals(rows.map((row) => [row.action, row.host, row.where, row.reasons]), [
    ["issued", "vm1", "hosts.csv:2", ["for 30 days, has 365"]],
    ["issued", "vm2", "hosts.csv:3", ["for 30 days, has 365"]],
    ["issued", "vm3", "hosts.csv:4", ["for 30 days, has 365"]],
  ]);
});

Deno.test("ca issue --inventory names a bad row, issues for the others and ends with 1", async () => {
  using temp = temporaryDirectory();
  const cwd = temp.path;
  await makePki(`${cwd}/pki`, { hosts: [] });
  Deno.writeTextFileSync(`${cwd}/hosts.csv`, "host\nvm1\n../x\nvm2\n");
  const { code, stdout, stderr } = await virtcreds(
    ["ca", "issue", "--inventory", "hosts.csv"],
    { cwd },
  );
  assertEquals([code, stdout], [1, "issued vm1: new\nissued vm2: new\n"]);
  assertMatch(
    stderr,
    /^error: hosts\.csv:3: '\.\.\/x' is not a host name: .*\nhint: .*\n2 issued, 0 unchanged, 1 refused\n$/,
  );
});

Deno.test("ca issue takes hosts or an inventory, and a dry run for the latter", async () => {
  for (
    const [args, error] of [
      [[], "missing HOST"],
      [["a", "--inventory", "x"], "give hosts or --inventory, not both"],
      [["a", "--dry-run"], "--dry-run is for --inventory"],
    ] as const
  ) {
    const { code, stderr } = await runHere(CA, ["issue", ...args]);
    assertEquals(code, 2);
    assertStringIncludes(stderr, `error: ${error}\nhint: `);
  }
});

Deno.test("barText() fills up", () => {
  assertEquals(barText(0, 3), `[${"-".repeat(30)}] 0/3`);
  assertEquals(barText(1, 3), `[${"#".repeat(10)}${"-".repeat(20)}] 1/3`);
  assertEquals(barText(3, 3), `[${"#".repeat(30)}] 3/3`);
});
