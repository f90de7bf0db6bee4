import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { virtcreds } from "../support/command.ts";
import { daysFromNow, makePki } from "../support/pki.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { CA } from "../../cli/ca.ts";
import { runHere } from "./run_here.ts";

/** A CA and two hosts, one of them expired. */
async function fleet(cwd: string) {
  return await makePki(`${cwd}/pki`, {
    hosts: [
      { name: "a", ip: ["192.0.2.1"], days: 20 },
      { name: "b", clock: daysFromNow(-50), days: 30, roles: ["server"] },
    ],
  });
}

Deno.test("ca list is a table, CSV or JSON of the hosts", async () => {
  using temp = temporaryDirectory();
  const cwd = temp.path;
  await fleet(cwd);
  const list = (...more: readonly string[]) => virtcreds(["ca", "list", ...more], { cwd });
  const table = await list();
  assertEquals([table.code, table.stderr], [0, ""]);
  const [head, a, b] = table.stdout.split("\n");
  assertMatch(head!, /^HOST +STATE +UNTIL +DAYS +ROLES +KEY +NAMES$/);
  assertMatch(a!, /^a {5}ok {7}\d{4}-\d\d-\d\d {2}20 {4}server,client {2}ec-p256 {2}192\.0\.2\.1$/);
  assertMatch(b!, /^b {5}expired {2}\d{4}-\d\d-\d\d {2}-20 {3}server {9}ec-p256$/);
  const csv = await list("--csv");
  assertMatch(
    csv.stdout,
    /^host,dns,ip,role,state,until,days_left,key_type\na,a,192\.0\.2\.1,server;client,ok,/,
  );
  const rows = (await list("--json")).stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  assertEquals(rows.map((row) => [row.host, row.state, row.dir]), [
    ["a", "ok", `${cwd}/pki/hosts/a`],
    ["b", "expired", `${cwd}/pki/hosts/b`],
  ]);
  const namesOf = async (span: string) =>
    (await list("--expiring", span, "--csv")).stdout.trimEnd().split("\n").slice(1)
      .map((row) => row.split(",").filter((_, i) => i === 0 || i === 4));
  assertEquals(await namesOf("25d"), [["a", "expiring"], ["b", "expired"]]);
  assertEquals(await namesOf("1w"), [["b", "expired"]]);
});

Deno.test("ca status summarizes, draws what ends when, and ends with 1 for what is over", async () => {
  using temp = temporaryDirectory();
  const cwd = temp.path;
  await fleet(cwd);
  const status = (...more: readonly string[]) => virtcreds(["ca", "status", ...more], { cwd });
  const first = await status();
  assertEquals(first.code, 1);
  assertMatch(first.stdout, /^CA {5}CN=virtcreds CA, ok, until 20/);
  assertStringIncludes(first.stdout, "\nhosts  2: 1 ok, 1 expired\n");
  assertMatch(first.stdout, /\n20\d\d-\d\d \|#+ 1\n/);
  assertMatch(first.stdout, /\nb {2}expired {2}20/);
  assertMatch(first.stderr, /^hint: .*ca renew\n$/);
  assertEquals((await virtcreds(["ca", "renew"], { cwd })).code, 0);
  assertEquals((await status()).code, 0);
  const none1w = await virtcreds(["ca", "list", "--expiring", "1w"], { cwd });
  assertEquals([none1w.code, none1w.stdout, none1w.stderr], [
    ...[0, ""],
    "no host of 2 ends within 1w\n",
  ]);
  const soon = await status("--expiring", "25d", "--json");
  assertEquals(soon.code, 1);
  const { hosts, notOk } = JSON.parse(soon.stdout);
  assertEquals([hosts.total, hosts.ok, hosts.expiring], [2, 1, 1]);
  assertEquals(notOk.map((one: { host: string }) => one.host), ["a"]);
  const nagios = await status("--nagios", "--expiring", "25d");
  assertEquals(nagios.code, 1);
  assertMatch(nagios.stdout, /^VIRTCREDS WARNING - expiring: a; 2 hosts \| ok=1 /);
  await makePki(`${cwd}/late`, { hosts: [{ name: "c", clock: daysFromNow(-345) }] });
  const late = await status("--dir", "late");
  assertEquals(late.code, 1);
  assertStringIncludes(late.stdout, "\nhosts  1: 1 expiring\n");
  assertEquals((await status("--dir", "late", "--expiring", "10d")).code, 0);
  const none = await virtcreds(["ca", "status", "--nagios", "--dir", "none"], { cwd });
  assertEquals([none.code, none.stderr], [3, ""]);
  assertMatch(none.stdout, /^VIRTCREDS UNKNOWN - there is no CA: none\/ca-cert\.pem/);
  const metrics = await status("--prometheus");
  assertStringIncludes(metrics.stdout, 'virtcreds_hosts{state="ok"} 2\n');
});

Deno.test("ca show prints all of a certificate", async () => {
  using temp = temporaryDirectory();
  const cwd = temp.path;
  const pki = await fleet(cwd);
  const { serial } = pki.issued("a").certificates[0]!;
  const { code, stdout } = await virtcreds(["ca", "show", serial], { cwd });
  assertEquals(code, 0);
  assertMatch(stdout, /^pki\/hosts\/a\/server-cert\.pem\n {2}subject {6}O=virtcreds CA,CN=a\n/);
  assertStringIncludes(stdout, "  names        DNS a, IP 192.0.2.1\n");
  assertStringIncludes(stdout, `  serial       ${serial}\n`);
  const json = await virtcreds(["ca", "show", "a", "--json"], { cwd });
  const rows = json.stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  assertEquals(rows.map((row) => row.file), [
    `${cwd}/pki/hosts/a/client-cert.pem`,
    `${cwd}/pki/hosts/a/server-cert.pem`,
  ]);
  const pem = await virtcreds(["ca", "show", serial, "--pem"], { cwd });
  assertEquals(pem.stdout, Deno.readTextFileSync(`${pki.host("a")}/server-cert.pem`));
  assertEquals((await virtcreds(["ca", "show", "zz"], { cwd })).code, 1);
});

Deno.test("ca list and ca status take one form and spans of time that there are", async () => {
  for (
    const [args, error] of [
      [["list", "--json", "--csv"], "--json and --csv are two forms"],
      [["show", "a", "--json", "--pem"], "--json and --pem are two forms"],
      [["status", "--nagios", "--prometheus"], "--prometheus and --nagios are two forms"],
      [["status", "--expiring", "soon"], "--expiring takes a span such as 30d, not 'soon'"],
    ] as const
  ) {
    const { code, stderr } = await runHere(CA, args);
    assertEquals(code, 2);
    assertStringIncludes(stderr, `error: ${error}\nhint: `);
  }
});

Deno.test("a file among the hosts' directories is named and stops no command of ca", async () => {
  using temp = temporaryDirectory();
  const cwd = temp.path;
  await makePki(`${cwd}/pki`, { hosts: [{ name: "a" }, { name: "b" }] });
  Deno.writeTextFileSync(`${cwd}/pki/hosts/stray`, "");
  const warning = "warning: pki/hosts/stray is a file, not a host's directory: it is left out\n";
  for (
    const args of [
      ["list"],
      ["status"],
      ["status", "--nagios"],
      ["revoke", "a"],
      ["crl"],
      ["renew", "--all"],
    ]
  ) {
    const { code, stderr } = await virtcreds(["ca", ...args], { cwd });
    assertEquals(code, 0, stderr);
    assertStringIncludes(stderr, warning);
  }
  const renewed = await virtcreds(["ca", "renew", "stray"], { cwd });
  assertEquals(renewed.code, 1);
  assertStringIncludes(renewed.stderr, "pki/hosts/stray: it is a file, not a directory");
});
