import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { matrixReasons } from "../../cli/_creds_matrix_reasons.ts";
import { whatIs } from "../../cli/_creds_matrix_text.ts";
import { virtcreds } from "../support/command.ts";
import { daysFromNow, makePki, type Pki } from "../support/pki.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { CREDS } from "../../cli/creds.ts";
import { runHere } from "./run_here.ts";

/** Three good hosts and one that expired. */
async function makeFleet(dir: string): Promise<Pki> {
  return await makePki(`${dir}/pki`, {
    hosts: [
      { name: "vm1.example", ip: ["192.0.2.1", "2001:db8::1"] },
      { name: "vm2.example", ip: ["192.0.2.2"] },
      { name: "client.example", roles: ["client"] },
      { name: "late.example", clock: daysFromNow(-400) },
    ],
  });
}

const INVENTORY = `host,ip,role,qemu
vm1.example,192.0.2.1;2001:db8::1,,7.2.22
vm2.example,192.0.2.2;2001:db8::2,,10.2
client.example,,client,9.2.0
`;

const matrix = (cwd: string, ...args: readonly string[]) =>
  virtcreds(["creds", "matrix", ...args], { cwd });

Deno.test("creds matrix draws who reaches whom, and says of each fault what both sides say", async () => {
  using dir = temporaryDirectory();
  await makeFleet(dir.path);
  const hosts = ["vm1", "vm2", "client", "late"].map((name) => `pki/hosts/${name}.example`);
  const { code, stdout, stderr } = await matrix(dir.path, ...hosts);
  assertEquals([code, stderr], [1, ""]);
  assertEquals(stdout.split("\n").slice(0, 7), [
    "4 hosts, 12 pairs: 4 pass, 5 refused, 3 without that role",
    "",
    "   source          QEMU  1 2 3 4",
    "1  vm1.example     all   · ✓ - ✗",
    "2  vm2.example     all   ✓ · - ✗",
    "3  client.example  all   ✓ ✓ · ✗",
    "4  late.example    all   ✗ ✗ - ·",
  ]);
  assertStringIncludes(stdout, "✗ late.example does not load as source and destination");
  assertStringIncludes(
    stdout,
    "The server certificate pki/hosts/late.example/server-cert.pem has expired",
  );
  assertMatch(stdout, /mend: deno task ca renew late\.example --dir pki$/m);
});

Deno.test("matrixReasons() names each host once, in whatever roles it is refused", () => {
  const entry = (name: string, kind: number) => {
    const dir = `pki/hosts/${name}`;
    return { name, dir, qemu: ["10.2"], names: [], roles: [], trust: 0, kind };
  };
  const hosts = ["f.example", "g.example", "h.example"].map(entry);
  const refusal = (by: "source" | "destination") => ({
    by,
    when: "session" as const,
    code: "PEER_NOT_TRUSTED",
    message: "The certificate is not trusted",
    seen: "",
    cause: "it is not trusted",
    mend: "deno task ca issue HOST",
  });
  const pair = (from: number, to: number) => {
    const refusals = [
      ...(to > 0 ? [refusal("source")] : []),
      ...(from > 0 ? [refusal("destination")] : []),
    ];
    return { state: "refused", refusals, names: [] } as const;
  };
  const reasons = matrixReasons({ hosts, pair });
  assertEquals(reasons.map(whatIs), [
    "g.example, h.example are refused as source and destination by 2 hosts",
  ]);
});

Deno.test("creds matrix --inventory takes names, roles and versions of QEMU from the file", async () => {
  using dir = temporaryDirectory();
  await makeFleet(dir.path);
  Deno.writeTextFileSync(`${dir.path}/hosts.csv`, INVENTORY);
  const { code, stdout, stderr } = await matrix(dir.path, "--inventory", "hosts.csv", "--json");
  assertEquals([code, stderr], [1, ""]);
  const pairs = stdout.trim().split("\n").map((line) => JSON.parse(line));
  assertEquals(pairs.length, 6);
  const found = (from: string, to: string) =>
    pairs.find((pair) => pair.source === `${from}.example` && pair.destination === `${to}.example`);
  assertEquals(found("vm2", "vm1"), {
    source: "vm2.example",
    destination: "vm1.example",
    state: "passes",
    refusals: [],
    names: [
      { name: "vm1.example", kind: "dns", ok: true },
      { name: "192.0.2.1", kind: "ipv4", ok: true },
      { name: "2001:db8::1", kind: "ipv6", ok: true },
    ],
  });
  assertEquals(found("vm1", "client").state, "role");
  const { state, refusals, names } = found("client", "vm2");
  assertEquals([state, names.at(-1).ok], ["names", false]);
  assertEquals(refusals, [{
    by: "source",
    when: "name",
    code: "PEER_HOSTNAME",
    message: "Certificate does not match the hostname 2001:db8::2",
    seen: "Cannot read from TLS channel: Software caused connection abort",
    cause: "its certificate is not for 2001:db8::2",
    mend: "deno task ca issue vm2.example --dir pki --ip 192.0.2.2 --ip 2001:db8::2",
  }]);
});

Deno.test("creds matrix ends with 0 where every pair passes, and draws alike hosts once in a wide fleet", async () => {
  using dir = temporaryDirectory();
  const hosts = Array.from({ length: 33 }, (_, i) => ({ name: `vm${i}.example` }));
  const pki = await makePki(`${dir.path}/pki`, { hosts });
  const dirs = hosts.map(({ name }) => pki.host(name));
  const { code, stdout } = await matrix(dir.path, ...dirs);
  assertEquals(code, 0);
  assertStringIncludes(stdout, "33 hosts, 1056 pairs: 1056 pass\n");
  assertMatch(stdout, /^1 {2}vm0\.example and 32 more {2}all {3}✓$/m);
});

Deno.test("creds matrix --at says who will reach whom that day", async () => {
  using dir = temporaryDirectory();
  const pki = await makePki(`${dir.path}/pki`, {
    hosts: [{ name: "long.example", days: 700 }, { name: "short.example", days: 30 }],
  });
  const dirs = [pki.host("long.example"), pki.host("short.example")];
  assertEquals((await matrix(dir.path, ...dirs)).code, 0);
  const day = new Date(Date.now() + 60 * 86_400_000).toISOString().slice(0, 10);
  const { code, stdout } = await matrix(dir.path, ...dirs, "--at", day);
  assertEquals(code, 1);
  assertStringIncludes(stdout, "short.example does not load as source and destination");
});

Deno.test("creds matrix --html writes one page that fetches nothing and takes no names for markup", async () => {
  using dir = temporaryDirectory();
  const pki = await makeFleet(dir.path);
  const odd = `${dir.path}/<script>alert(1)</script>&"`.replaceAll("/script", "%2fscript");
  Deno.renameSync(pki.host("late.example"), odd);
  const dirs = [pki.host("vm1.example"), pki.host("vm2.example"), odd];
  const { code, stderr } = await matrix(dir.path, ...dirs, "--html", "m.html");
  assertEquals([code, stderr], [1, ""]);
  const page = Deno.readTextFileSync(`${dir.path}/m.html`);
  assert(!/(src|href)=|@import|url\(|fetch\(|https?:/.test(page), "the page fetches something");
  assertEquals(page.match(/<script/g)!.length, 2);
  assertEquals(page.match(/<td class="(passes|refused|self)">/g)!.length, 9);
  const data = JSON.parse(
    /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(page)![1]!,
  );
  assertEquals(data.pairs.map((row: number[]) => row.length), [3, 3, 3]);
  assertEquals(data.outcomes[data.pairs[0][1]].state, "passes");
  assertEquals(data.hosts[2].name, odd.slice(dir.path.length + 1));
});

Deno.test("creds matrix --html and migration --report replace a page alone", async () => {
  using dir = temporaryDirectory();
  const pki = await makeFleet(dir.path);
  const dirs = [pki.host("vm1.example"), pki.host("vm2.example")];
  const keyFile = `${dirs[0]}/server-key.pem`;
  const key = Deno.readTextFileSync(keyFile);
  const at = (name: string) => `${dir.path}/${name}`;
  Deno.writeTextFileSync(at("mine.html"), '<!doctype html>\n<html lang="en">\n<p>mine\n');
  Deno.symlinkSync(keyFile, at("link.html"));
  Deno.mkdirSync(at("folder"));
  const refused = [
    [keyFile, "it is no page of this toolkit"],
    [at("mine.html"), "it is no page of this toolkit"],
    [at("link.html"), "it is not a regular file"],
    [at("folder"), "it is not a regular file"],
  ] as const;
  const send = (file: string, to: string) =>
    virtcreds([
      ...["migration", "source", "--guest-ram", "1M", "--migrate", `file:${to}`],
      ...["--report", file],
    ]);
  for (const [file, text] of refused) {
    for (
      const one of [await matrix(dir.path, ...dirs, "--html", file), await send(file, at("never"))]
    ) {
      assertEquals([one.code, one.stdout], [1, ""], one.stderr);
      assertStringIncludes(one.stderr, `error: cannot write ${file}: ${text}, and would be lost`);
      assertStringIncludes(one.stderr, "hint: take another name");
    }
  }
  assertEquals(Deno.readTextFileSync(keyFile), key);
  assert(Deno.lstatSync(at("link.html")).isSymlink);
  Deno.writeTextFileSync(at("page.html"), "");
  for (let round = 0; round < 2; round++) {
    const { code, stderr } = await matrix(dir.path, ...dirs, "--html", "page.html");
    assertEquals([code, stderr], [0, ""]);
    const sent = await send(at("report.html"), at(`stream${round}`));
    assertEquals(sent.code, 0, sent.stderr);
  }
  assertStringIncludes(Deno.readTextFileSync(at("page.html")), "TLS matrix");
  assertStringIncludes(Deno.readTextFileSync(at("report.html")), "Migration source: completed");
});

Deno.test("creds matrix says what is wrong with what it is given", async () => {
  using dir = temporaryDirectory();
  const pki = await makeFleet(dir.path);
  const rows: readonly (readonly [args: readonly string[], code: number, text: string])[] = [
    [[], 2, "give directories, or --inventory"],
    [["--inventory", "x.csv", "y"], 2, "give directories, or --inventory"],
    [[pki.host("vm1.example")], 2, "a pair has two hosts, and here is one"],
    [[pki.host("vm1.example"), "nowhere"], 1, "cannot read nowhere: it is no directory"],
    [[pki.host("vm1.example"), "x", "--qemu", "1.0"], 2, "unknown QEMU version '1.0'"],
    [[pki.host("vm1.example"), "x", "--at", "soon"], 2, "--at takes a date, not 'soon'"],
  ];
  for (const [args, code, text] of rows) {
    const result = await runHere(CREDS, ["matrix", ...args]);
    assertEquals([result.code, result.stdout], [code, ""], args.join(" "));
    assertStringIncludes(result.stderr, text);
  }
});

Deno.test("creds matrix goes on without a row that is none, and ends with 1", async () => {
  using dir = temporaryDirectory();
  await makeFleet(dir.path);
  const rows = "host,qemu\nvm1.example,7.2.22\nvm2.example,10.2\nvm3_example,10.2\n";
  Deno.writeTextFileSync(`${dir.path}/hosts.csv`, rows);
  const { code, stdout, stderr } = await matrix(dir.path, "--inventory", "hosts.csv");
  assertEquals(code, 1);
  assertStringIncludes(stderr, "error: hosts.csv:4: ");
  assertStringIncludes(stdout, "2 hosts, 2 pairs: 2 pass");
});
