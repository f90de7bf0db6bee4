import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { virtcreds } from "../support/command.ts";
import { makePki } from "../support/pki.ts";
import { temporaryDirectory } from "../support/temp.ts";

Deno.test("ca revoke says what was revoked and where the CRL lies, ca crl makes the next one", async () => {
  using temp = temporaryDirectory();
  const cwd = temp.path;
  const pki = await makePki(`${cwd}/pki`, { hosts: [{ name: "a" }, { name: "b" }] });
  const first = await virtcreds(["ca", "revoke", "a", "--reason", "superseded"], { cwd });
  assertEquals(first.code, 0, first.stderr);
  const lines = first.stdout.split("\n");
  const serials = pki.issued("a").certificates.map((one) => `revoked ${one.serial} of a`);
  assertEquals(lines.slice(0, 2).sort(), serials.sort());
  assertMatch(lines[2]!, /^CRL \d{10}, 2 certificates, until 20\d\d-\d\d-\d\d$/);
  assertEquals(lines[3], "  in pki/ca-crl.pem and in the ca-crl.pem of 2 hosts");
  assertMatch(first.stderr, /^hint: copy ca-crl\.pem /);
  const again = await virtcreds(["ca", "revoke", "a", "--json"], { cwd });
  const row = JSON.parse(again.stdout);
  assertEquals([row.revoked, row.already.length, row.crl.count], [[], 2, 2]);
  assertEquals(row.crl.hosts, ["a", "b"]);
  const crl = await virtcreds(["ca", "crl", "--days", "30", "--json"], { cwd });
  const next = JSON.parse(crl.stdout);
  assertEquals(BigInt(next.number) > BigInt(row.crl.number), true);
  const renew = await virtcreds(["ca", "renew", "a"], { cwd });
  assertEquals([renew.code, renew.stdout], [1, ""]);
  assertStringIncludes(renew.stderr, "note: a is revoked and was not renewed\nhint: ");
});

Deno.test("ca revoke refuses what it does not know", async () => {
  using temp = temporaryDirectory();
  const cwd = temp.path;
  await makePki(`${cwd}/pki`, { hosts: [{ name: "a" }] });
  for (
    const [args, error, code] of [
      [["b"], "cannot revoke 'b': it is neither a host that was issued for nor the serial", 1],
      [["a", "--reason", "bored"], "--reason does not take 'bored'", 2],
      [[], "missing HOST|SERIAL", 2],
    ] as const
  ) {
    const finished = await virtcreds(["ca", "revoke", ...args], { cwd });
    assertEquals([finished.code, finished.stdout], [code, ""]);
    assertStringIncludes(finished.stderr, `error: ${error}`);
  }
});
