import { X509Certificate } from "node:crypto";
import { assert, assertEquals, assertInstanceOf, assertMatch, assertRejects } from "@std/assert";
import { encodePem } from "../../base/mod.ts";
import {
  CaError,
  installSet,
  issueHost,
  makeHostKeys,
  planIssue,
  renewHosts,
  revokeCertificates,
  type SignOutcome,
} from "../../ca/mod.ts";
import { signRequest } from "../../ca/csr.ts";
import { parseHostName } from "../../ca/host_name.ts";
import { parseRequest } from "../../ca/request.ts";
import { parseCertificateRequest } from "../../creds/mod.ts";
import { assertWholeSet, modeOf } from "../support/credential_set.ts";
import { Chance } from "../support/random_credentials.ts";
import { soakCount, soakRow } from "../support/soak.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { engine, granted, only, stage } from "./requests.ts";

function refusal(outcomes: readonly SignOutcome[]): string {
  const outcome = only(outcomes);
  assert(!outcome.ok);
  assertInstanceOf(outcome.error, CaError);
  assert(outcome.error.hints.length > 0);
  return outcome.error.message;
}

function namesIn(file: string): string {
  return new X509Certificate(Deno.readTextFileSync(file)).subjectAltName ?? "";
}

Deno.test("makeHostKeys() makes keys that only the host has, and one file for the authority", async () => {
  using temp = temporaryDirectory();
  const { keys } = await stage(temp.path);
  assertEquals(keys.roles, ["server", "client"]);
  for (const key of keys.keys) assertEquals(modeOf(key), 0o600);
  assertEquals(
    [...Deno.readDirSync(keys.dir)].map((entry) => entry.name).sort(),
    ["client-key.pem", "request.pem", "server-key.pem"],
  );
  assertEquals(
    Deno.readTextFileSync(keys.request).match(/BEGIN CERTIFICATE REQUEST/g)?.length,
    2,
  );
  await assertRejects(
    () => makeHostKeys({ host: "vm1.example", out: keys.dir, engine }),
    CaError,
    "there are keys or something else already",
  );
  assertEquals([...Deno.readDirSync(temp.path)].map((entry) => entry.name).sort(), ["keys", "pki"]);
});

Deno.test("signRequests() grants the host's own name and refuses the others by name", async () => {
  using temp = temporaryDirectory();
  const { dir, sign } = await stage(temp.path);
  const outcome = granted(await sign());
  assertEquals(outcome.host, "vm1.example");
  assertEquals(outcome.refused.map(({ name }) => name), ["vm1", "192.0.2.7"]);
  assertEquals(namesIn(`${dir}/hosts/vm1.example/server-cert.pem`), "DNS:vm1.example");
  assertEquals(
    [...Deno.readDirSync(`${dir}/hosts/vm1.example`)].map((entry) => entry.name).sort(),
    ["ca-cert.pem", "ca-crl.pem", "client-cert.pem", "request.pem", "server-cert.pem"],
  );
});

Deno.test("signRequests() grants what is given, what the inventory says, and what the host had", async () => {
  using temp = temporaryDirectory();
  const { sign } = await stage(temp.path);
  const rows = [parseRequest({ host: "vm1.example", ip: ["192.0.2.7"], days: 20 })];
  const byRow = granted(await sign({ rows }));
  assertEquals(byRow.refused.map(({ name }) => name), ["vm1"]);
  assertEquals(Math.round(+byRow.issued.notAfter - Date.now()) / 86_400_000 < 20.1, true);
  const byFlag = granted(await sign({ dns: ["vm1"] }));
  assertEquals(byFlag.refused, [], "the address is on the certificate before");
  const byHistory = granted(await sign());
  assertEquals([byHistory.refused, byHistory.issued.dns], [[], ["vm1.example", "vm1"]]);
  const elsewhere = [parseRequest({ host: "vm2.example" })];
  assertMatch(refusal(await sign({ rows: elsewhere })), /is not in the inventory/);
});

Deno.test("signRequests() takes a single file for the host that is named, and many only of hosts that are", async () => {
  using temp = temporaryDirectory();
  const { dir, keys, sign } = await stage(temp.path);
  const outcome = granted(await sign({ hosts: ["other.example"] }));
  assertEquals(outcome.host, "other.example");
  assertEquals(outcome.issued.dns, ["other.example"]);
  assertEquals(outcome.refused.map(({ name }) => name), ["vm1.example", "vm1", "192.0.2.7"]);
  const second = await makeHostKeys({ host: "vm2.example", out: `${temp.path}/2`, engine });
  const outcomes = await sign({
    files: [keys.request, second.request, `${temp.path}/missing`],
    hosts: ["vm2.example", "vm3.example"],
  });
  assertEquals(outcomes.map((one) => [one.ok, one.host]), [
    [false, undefined],
    [false, undefined],
    [true, "vm2.example"],
  ]);
  assertEquals(Deno.statSync(`${dir}/hosts/vm2.example`).isDirectory, true);
});

Deno.test("renewHosts() goes on with keys that it never saw, and leaves new ones to the host", async () => {
  using temp = temporaryDirectory();
  const { dir, keys, sign } = await stage(temp.path);
  granted(await sign());
  const all = { dir, engine, selection: { kind: "all" } } as const;
  const [renewed] = (await renewHosts(all)).outcomes;
  assert(renewed?.ok && renewed.issued.keysOnHost);
  const set = await installSet({ from: `${dir}/hosts/vm1.example`, keys: keys.dir, engine });
  assert(set.verdicts.every(({ ok }) => ok));
  const [refused] = (await renewHosts({ ...all, rekey: true })).outcomes;
  assert(refused !== undefined && !refused.ok);
  assertMatch(refused.error.message, /its keys are on the host alone/);
  assertMatch(refused.error.hints.join("\n"), /ca request vm1\.example.*\n.*ca sign/);
  const [plan] = planIssue([parseRequest({ host: "vm1.example", dns: ["new"] })], { dir });
  assertEquals(plan!.action, "refuse");
});

Deno.test("signRequests() refuses keys that were revoked, or are another's", async () => {
  using temp = temporaryDirectory();
  const { dir, keys, sign } = await stage(temp.path);
  granted(await sign());
  assertMatch(
    refusal(await sign({ hosts: ["vm2.example"] })),
    /its key is the one of vm1\.example$/,
  );
  await revokeCertificates(["vm1.example"], "keyCompromise", { dir, engine });
  assertMatch(refusal(await sign()), /the certificate [0-9a-f]{32} of its key is revoked$/);
  const anew = await makeHostKeys({ host: "vm1.example", out: `${temp.path}/new`, engine });
  assertMatch(refusal(await sign({ files: [anew.request] })), /vm1\.example is revoked$/);
  granted(await sign({ files: [anew.request], hosts: ["vm1.example"] }));
  using key = await engine.importKey(Deno.readTextFileSync(`${dir}/ca-key.pem`));
  const host = parseHostName("vm9");
  const der = await signRequest({ host, names: [host], role: "server" }, key);
  Deno.writeTextFileSync(`${temp.path}/ca.csr`, encodePem("CERTIFICATE REQUEST", der));
  assertMatch(refusal(await sign({ files: [`${temp.path}/ca.csr`] })), /its key is the CA's own$/);
  assertEquals(keys.host, "vm1.example");
});

Deno.test("signRequests() replaces the keys of a host only where the host is named", async () => {
  using temp = temporaryDirectory();
  const { dir, sign } = await stage(temp.path);
  const made = await issueHost({ dir, engine, host: "vm1.example" });
  const before = Deno.readTextFileSync(`${made.dir}/server-cert.pem`);
  assertMatch(refusal(await sign()), /the keys of vm1\.example were made here, and would be/);
  const rows = [parseRequest({ host: "vm1.example" })];
  assertMatch(refusal(await sign({ rows })), /were made here/);
  assertWholeSet(made.dir);
  assertEquals(Deno.readTextFileSync(`${made.dir}/server-cert.pem`), before);
  granted(await sign({ hosts: ["vm1.example"] }));
  granted(await sign());
  const anew = await makeHostKeys({ host: "vm1.example", out: `${temp.path}/new`, engine });
  const other = { files: [anew.request] };
  assertMatch(refusal(await sign(other)), /vm1\.example has other keys/);
  granted(await sign({ ...other, hosts: ["vm1.example"] }));
  granted(await sign(other));
});

Deno.test("signRequests() never issues for a key that did not sign, nor for a file with a key in it", async () => {
  using temp = temporaryDirectory();
  const { dir, keys, sign } = await stage(temp.path);
  const text = Deno.readTextFileSync(keys.request);
  const file = `${temp.path}/changed.csr`;
  using mine = await engine.generateKey("ec-p256");
  const host = parseHostName("vm1.example");
  const der = await signRequest({ host, names: [host], role: "server" }, mine);
  using theirs = await engine.generateKey("ec-p256");
  const at = new TextDecoder("latin1").decode(der)
    .indexOf(new TextDecoder("latin1").decode(mine.publicKey));
  der.set(theirs.publicKey, at);
  Deno.writeFileSync(file, der);
  assertMatch(refusal(await sign({ files: [file] })), /its key did not sign it/);
  Deno.writeTextFileSync(file, text + Deno.readTextFileSync(keys.keys[0]!));
  assertMatch(refusal(await sign({ files: [file] })), /a private key in it/);
  Deno.writeTextFileSync(file, text + text);
  assertMatch(refusal(await sign({ files: [file] })), /asks twice for a server's certificate/);
  Deno.writeTextFileSync(file, "");
  assertMatch(refusal(await sign({ files: [file] })), /no certificate request/);
  assertEquals([...Deno.readDirSync(dir)].some((entry) => entry.name === "hosts"), false);
});

Deno.test("signRequests() says the same of one host whatever order its files have, and keeps one set", async () => {
  using temp = temporaryDirectory();
  const { sign } = await stage(temp.path, "vm1.example", [], []);
  const files: string[] = [];
  for (const role of ["server", "client"] as const) {
    const made = await makeHostKeys({
      host: "vm1.example",
      roles: [role],
      keyType: role === "server" ? "rsa-2048" : "ed25519",
      out: `${temp.path}/${role}`,
      engine,
    });
    files.push(made.request);
  }
  for (const order of [files, files.toReversed()]) {
    const { issued } = granted(await sign({ files: order }));
    assertEquals(issued.certificates.map(({ role }) => role), ["server", "client"]);
  }
  const one = granted(await sign({ files: [files[1]!] }));
  assertEquals(one.issued.certificates.map(({ role }) => role), ["client"]);
  assertEquals(one.issued.dropped, ["server-cert.pem"]);
});

Deno.test("issueHost() by name takes a host back whose keys it did not have", async () => {
  using temp = temporaryDirectory();
  const { dir, sign } = await stage(temp.path);
  granted(await sign());
  const issued = await issueHost({ dir, engine, host: "vm1.example" });
  assertEquals(issued.dropped, ["request.pem"]);
  assertWholeSet(issued.dir);
});

Deno.test("signRequests() survives any bytes, and signs nothing that was changed", async () => {
  using temp = temporaryDirectory();
  const { dir, keys, sign } = await stage(temp.path);
  const [, base64] = /REQUEST-----\n([\s\S]*?)-----END/.exec(Deno.readTextFileSync(keys.request))!;
  const good = Uint8Array.fromBase64(base64!.replaceAll("\n", ""));
  const chance = new Chance(42);
  const file = `${temp.path}/hostile.csr`;
  const count = soakCount(10_000);
  for (let i = 0; i < count; i++) {
    const bytes = good.slice();
    for (let n = 1 + chance.below(3); n > 0; n--) {
      const at = chance.below(bytes.length);
      bytes[at] = chance.pick([bytes[at]! ^ (1 << chance.below(8)), 0, 0x80, 0xff, 0x30]);
    }
    const cut = chance.below(4) === 0 ? bytes.subarray(0, chance.below(bytes.length)) : bytes;
    Deno.writeFileSync(file, cut);
    const outcome = only(await sign({ files: [file] }));
    if (outcome.ok) {
      // Of a signature there may be more than one spelling.
      const signed = [cut, good].map((der) => parseCertificateRequest(der).tbs.toHex());
      assertEquals(signed[0], signed[1], `${cut.toHex()} was signed`);
    }
    if (!outcome.ok) assert(outcome.error.message.length < 600);
  }
  soakRow("hostile certificate requests", count, "none signed, no crash");
  assertEquals(Deno.statSync(`${dir}/ca-cert.pem`).isFile, true);
});
