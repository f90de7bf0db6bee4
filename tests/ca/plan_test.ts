import { assertEquals } from "@std/assert";
import { type HostOptions, issueEach, issueHost, planIssue } from "../../ca/mod.ts";
import { parseRequest } from "../../ca/request.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { assertWholeSet } from "../support/credential_set.ts";
import { daysFromNow, makePki } from "../support/pki.ts";
import { readLedger } from "../../ca/ledger.ts";
import { pkiPaths } from "../../ca/pki.ts";
import { temporaryDirectory } from "../support/temp.ts";

const engine = await chooseEngine();

const HELD: HostOptions = {
  host: "a",
  dns: ["a.example"],
  ip: ["192.0.2.1", "::ffff:192.0.2.1"],
  days: 90,
};

/** What is asked for instead of {@linkcode HELD}, and what the plan says of it. */
const ASKED: readonly [what: string, more: Partial<HostOptions>, reasons: readonly string[]][] = [
  ["the same", {}, []],
  ["the same in another order", { ip: ["::ffff:192.0.2.1", "192.0.2.1"] }, []],
  ["other names", { dns: ["b.example"] }, ["+b.example", "-a.example"]],
  ["fewer addresses", { ip: ["192.0.2.1"] }, ["-::ffff:192.0.2.1"]],
  ["one role", { roles: ["server"] }, ["for server, has server and client"]],
  ["another kind of key", { keyType: "ed25519" }, ["key is to be ed25519"]],
  ["another profile", { profile: "strict" }, ["profile is to be strict"]],
  ["other days", { days: 30 }, ["for 30 days, has 90"]],
  ["another subject", { subject: "O=Other" }, ["another subject"]],
  ["a subject that it has", { subject: "O=virtcreds CA" }, []],
  ["another host", { host: "b" }, ["new"]],
];

Deno.test("planIssue() finds what differs between what is asked for a host and what it holds", async (t) => {
  using temp = temporaryDirectory();
  const { dir } = await makePki(`${temp.path}/pki`, { hosts: [] });
  await issueHost({ dir, engine, ...HELD });
  for (const [what, more, reasons] of ASKED) {
    await t.step(what, () => {
      const [item] = planIssue([parseRequest({ ...HELD, ...more })], { dir });
      assertEquals(item!.reasons, reasons);
      assertEquals(item!.action, reasons.length === 0 ? "keep" : "issue");
    });
  }
  await t.step("the same, long after", () => {
    const [item] = planIssue([parseRequest(HELD)], { dir, clock: daysFromNow(91) });
    assertEquals(item!.reasons, ["expired"]);
  });
  await t.step("the same, but a file is damaged", () => {
    Deno.writeTextFileSync(`${dir}/hosts/a/client-cert.pem`, "x");
    const [item] = planIssue([parseRequest(HELD)], { dir });
    assertEquals(item!.reasons, [
      `cannot decode ${dir}/hosts/a/client-cert.pem: it has no certificate`,
    ]);
  });
});

Deno.test("planIssue() takes a validity that the CA has cut for the one that was asked for", async () => {
  using temp = temporaryDirectory();
  const { dir } = await makePki(`${temp.path}/pki`, { days: 30, hosts: [{ name: "a" }] });
  assertEquals(planIssue([parseRequest({ host: "a" })], { dir })[0]!.action, "keep");
});

Deno.test("planIssue() sends a host to a new CA of the same directory", async () => {
  using temp = temporaryDirectory();
  const one = await makePki(`${temp.path}/one`, { hosts: [{ name: "a" }] });
  const other = await makePki(`${temp.path}/other`, { name: "Other", hosts: [] });
  Deno.renameSync(`${one.dir}/hosts`, `${other.dir}/hosts`);
  assertEquals(planIssue([parseRequest({ host: "a" })], { dir: other.dir })[0]!.reasons, [
    "the CA's certificate is another one",
    "of another CA",
  ]);
});

Deno.test("issueEach() issues for all but those that cannot be issued for, in several batches", async () => {
  using temp = temporaryDirectory();
  const { dir } = await makePki(`${temp.path}/pki`, { hosts: [{ name: "h7" }] });
  const before = Deno.readTextFileSync(`${dir}/hosts/h7/server-cert.pem`);
  const many = Array.from({ length: 400 }, (_, i) => `${"x".repeat(60)}.${"y".repeat(60)}.n${i}`);
  const requests = Array.from({ length: 260 }, (_, i) =>
    parseRequest({
      host: `h${i}`,
      roles: ["server"],
      ...(i === 7 ? { dns: many } : {}),
    }));
  const steps: number[] = [];
  const outcomes = await issueEach(requests, { dir, engine }, (done) => steps.push(done));
  assertEquals(steps, requests.map((_, i) => i + 1));
  assertEquals(outcomes.map((one) => one.host), requests.map((one) => one.host.text));
  const failed = outcomes.filter((one) => !one.ok);
  assertEquals(failed.map((one) => [one.host, one.error.code]), [["h7", "TOO_MANY_NAMES"]]);
  assertEquals(Deno.readTextFileSync(`${dir}/hosts/h7/server-cert.pem`), before);
  assertWholeSet(`${dir}/hosts/h7`);
  assertEquals([...Deno.readDirSync(`${dir}/hosts`)].length, 260);
  await using store = await readLedger(pkiPaths(dir));
  // The CA's, two of h7, and one of each other host.
  const records = await Array.fromAsync(store.records());
  assertEquals(records.filter(({ certificate }) => certificate !== undefined).length, 262);
});
