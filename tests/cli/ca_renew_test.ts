import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { virtcreds } from "../support/command.ts";
import { assertWholeSet } from "../support/credential_set.ts";
import { daysFromNow, makePki } from "../support/pki.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { CA } from "../../cli/ca.ts";
import { runHere } from "./run_here.ts";

Deno.test("ca renew brings back what has expired, and says what to copy where", async () => {
  using temp = temporaryDirectory();
  const cwd = temp.path;
  const clock = daysFromNow(-50);
  await makePki(`${cwd}/pki`, { clock, days: 40, hosts: [{ name: "a", clock }] });
  const issue = await virtcreds(["ca", "issue", "b"], { cwd });
  assertEquals(issue.code, 1);
  assertMatch(
    issue.stderr,
    /^error: the CA certificate pki\/ca-cert\.pem expired on .*\nhint: .*ca renew/,
  );
  const { code, stdout, stderr } = await virtcreds(["ca", "renew"], { cwd });
  assertEquals(code, 0, stderr);
  assertMatch(stdout, /^renewed the CA: pki\/ca-cert\.pem, valid until .*, 40 days\n/);
  assertMatch(stdout, /\nrenewed a, valid until .*, 40 days\n/);
  assertStringIncludes(stdout, `  copy       ${cwd}/pki/hosts/a/ to the host`);
  assertMatch(stderr, /\n1 renewed\nhint: .*\nhint: .*\n$/);
  assertWholeSet(`${cwd}/pki/hosts/a`);
  const again = await virtcreds(["ca", "renew"], { cwd });
  assertEquals([again.code, again.stdout], [0, ""]);
  assertMatch(again.stderr, /^nothing to renew\n/);
});

Deno.test("ca renew takes one selection and spans of time that there are", async () => {
  for (
    const [args, error] of [
      [["a", "--all"], "give hosts, --due, --before or --all, one of them"],
      [["--due", "--before", "3d"], "give hosts, --due, --before or --all, one of them"],
      [["--before", "soon"], "--before takes a span such as 30d, not 'soon'"],
      [["--days", "0"], "--days takes a whole number from 1 to 36500, not '0'"],
    ] as const
  ) {
    const { code, stderr } = await runHere(CA, ["renew", ...args]);
    assertEquals(code, 2, stderr);
    assertStringIncludes(stderr, `error: ${error}\nhint: `);
  }
});
