import { assert, assertEquals, assertRejects } from "@std/assert";
import { decodePem } from "../../base/mod.ts";
import {
  CaError,
  issueHost,
  planIssue,
  publishCrl,
  REASON_NAMES,
  renewHosts,
  revokeCertificates,
  verifyLog,
} from "../../ca/mod.ts";
import { parseRequest } from "../../ca/request.ts";
import { pkiPaths } from "../../ca/pki.ts";
import { readRevoked, reasonName, REASONS } from "../../ca/revoked.ts";
import { parseCrl, signatureCheck } from "../../creds/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { readCertificate } from "../../ca/held.ts";
import { daysFromNow, makePki } from "../support/pki.ts";
import { temporaryDirectory } from "../support/temp.ts";

const engine = await chooseEngine();

const read = (file: string) => Deno.readTextFileSync(file);

Deno.test("revokeCertificates() revokes all that a host has and had, and tells every host", async () => {
  using temp = temporaryDirectory();
  const { dir } = await makePki(`${temp.path}/pki`, {
    hosts: [{ name: "a" }, { name: "a" }, { name: "a" }, { name: "b" }, { name: "192.0.2.1" }],
  });
  const first = await revokeCertificates(["A"], "keyCompromise", { dir, engine });
  assertEquals(first.revoked.map((one) => one.host), Array(6).fill("a"));
  assertEquals([first.already, first.crl.count], [[], 6]);
  assertEquals(first.crl.hosts, ["192.0.2.1", "a", "b"]);
  const crl = parseCrl(decodePem(read(`${dir}/ca-crl.pem`))[0]!.der);
  assertEquals([...crl.revoked.keys()].length, 6);
  assert(signatureCheck(engine)(crl, readCertificate(`${dir}/ca-cert.pem`)));
  const second = await revokeCertificates(["a", "192.0.2.1"], "superseded", { dir, engine });
  assertEquals([second.revoked.length, second.already.length, second.crl.count], [2, 6, 8]);
  assert(second.crl.number > first.crl.number);
  for (const host of second.crl.hosts) {
    assertEquals(read(`${dir}/hosts/${host}/ca-crl.pem`), read(`${dir}/ca-crl.pem`));
  }
  const { entries } = readRevoked(pkiPaths(dir));
  const reasons = [...entries.values()].map(reasonName).sort();
  assertEquals(reasons, [...Array(6).fill("keyCompromise"), "superseded", "superseded"]);
});

Deno.test("revokeCertificates() takes a serial, with colons and in capitals too", async () => {
  using temp = temporaryDirectory();
  const pki = await makePki(`${temp.path}/pki`, { hosts: [{ name: "a" }] });
  const { dir } = pki;
  const [server, client] = pki.issued("a").certificates.map((one) => one.serial);
  const spelled = client!.toUpperCase().replace(/..(?=.)/g, "$&:");
  const { revoked } = await revokeCertificates([spelled], "unspecified", { dir, engine });
  assertEquals(revoked.map((one) => [one.host, one.serial]), [["a", client]]);
  const { entries } = readRevoked(pkiPaths(dir));
  assertEquals([entries.has(client!), entries.has(server!)], [true, false]);
  assertEquals(entries.get(client!)!.reason, undefined);
});

Deno.test("revokeCertificates() writes every reason of RFC 5280 as its number", async () => {
  using temp = temporaryDirectory();
  const hosts = REASON_NAMES.map((name) => ({ name: name.toLowerCase() }));
  const { dir } = await makePki(`${temp.path}/pki`, { hosts });
  for (const reason of REASON_NAMES) {
    const { revoked } = await revokeCertificates([reason], reason, { dir, engine });
    const entry = readRevoked(pkiPaths(dir)).entries.get(revoked[0]!.serial)!;
    assertEquals([reasonName(entry), entry.reason ?? 0], [reason, REASONS[reason]]);
  }
  assertEquals(Object.values(REASONS), [0, 1, 2, 3, 4, 5, 6, 9, 10]);
});

Deno.test("revokeCertificates() refuses what was never issued or is over, and changes nothing", async () => {
  using temp = temporaryDirectory();
  const clock = daysFromNow(-100);
  const { dir } = await makePki(`${temp.path}/pki`, {
    hosts: [{ name: "late", clock, days: 30 }, { name: "b" }],
  });
  const before = read(`${dir}/ca-crl.pem`);
  for (
    const [target, cause] of [
      ["nobody", "it is neither a host that was issued for nor the serial of a certificate"],
      ["00ff", "it is neither a host that was issued for nor the serial of a certificate"],
      ["../b", "it is neither a host that was issued for nor the serial of a certificate"],
      ["late", "all of its certificates have expired, nobody takes them any more"],
    ] as const
  ) {
    const error = await assertRejects(
      () => revokeCertificates(["b", target], "unspecified", { dir, engine }),
      CaError,
    );
    assertEquals([error.code, error.facts.cause], ["NOT_ISSUED", cause]);
  }
  assertEquals(read(`${dir}/ca-crl.pem`), before);
});

Deno.test("a revoked host is not renewed nor issued for from a list, but by name", async () => {
  using temp = temporaryDirectory();
  const { dir } = await makePki(`${temp.path}/pki`, { hosts: [{ name: "a" }, { name: "b" }] });
  await revokeCertificates(["a"], "keyCompromise", { dir, engine });
  const renewed = await renewHosts({ dir, engine, selection: { kind: "all" } });
  assertEquals(renewed.revoked, ["a"]);
  assertEquals(renewed.outcomes.map((one) => one.host), ["b"]);
  const plan = () => planIssue([parseRequest({ host: "a" })], { dir })[0]!.action;
  assertEquals(plan(), "refuse");
  await issueHost({ dir, engine, host: "a" });
  assertEquals(plan(), "keep");
  assertEquals(read(`${dir}/hosts/a/ca-crl.pem`), read(`${dir}/ca-crl.pem`));
});

Deno.test("publishCrl() keeps what is revoked over a renewal of the CA; its number only rises", async () => {
  using temp = temporaryDirectory();
  const { dir } = await makePki(`${temp.path}/pki`, { days: 100, hosts: [{ name: "a" }] });
  const { crl } = await revokeCertificates(["a"], "superseded", { dir, engine });
  const numbers = [crl.number];
  const back = await publishCrl({ dir, engine, clock: daysFromNow(-0.5) });
  numbers.push(back.number);
  const renewed = await renewHosts({ dir, engine, selection: { kind: "due" }, authority: true });
  const { entries, number, nextUpdate } = readRevoked(pkiPaths(dir));
  numbers.push(number);
  assertEquals([entries.size, nextUpdate], [2, renewed.authority!.notAfter]);
  const short = await publishCrl({ dir, engine, days: 30 });
  numbers.push(short.number);
  const days = (short.nextUpdate.getTime() - Date.now()) / 86_400_000;
  assertEquals(Math.round(days), 30);
  const long = await publishCrl({ dir, engine, days: 3000 });
  numbers.push(long.number);
  assertEquals(long.nextUpdate, renewed.authority!.notAfter);
  for (const [i, one] of numbers.slice(1).entries()) assert(one > numbers[i]!, numbers.join());
});

for (const loss of ["missing", "older"] as const) {
  Deno.test(`a CRL that is ${loss} takes no revocation back`, async () => {
    using temp = temporaryDirectory();
    const { dir } = await makePki(`${temp.path}/pki`, { hosts: [{ name: "a" }, { name: "b" }] });
    const old = read(`${dir}/ca-crl.pem`);
    const { crl } = await revokeCertificates(["a"], "superseded", { dir, engine });
    // One host that the newest did not reach.
    Deno.writeTextFileSync(`${dir}/hosts/a/ca-crl.pem`, old);
    if (loss === "missing") Deno.removeSync(`${dir}/ca-crl.pem`);
    else Deno.writeTextFileSync(`${dir}/ca-crl.pem`, old);
    const { number } = readRevoked(pkiPaths(dir));
    for (
      const work of [
        () => issueHost({ dir, engine, host: "c" }),
        () => renewHosts({ dir, engine, selection: { kind: "all" } }),
        () => renewHosts({ dir, engine, selection: { kind: "due" }, authority: true }),
        () => publishCrl({ dir, engine }),
        () => revokeCertificates(["b"], "superseded", { dir, engine }),
      ]
    ) {
      const { code, facts, hints } = await assertRejects(work, CaError);
      assertEquals([code, facts.file], ["CRL", `${dir}/ca-crl.pem`]);
      assertEquals(
        facts.cause,
        loss === "missing"
          ? "it is missing, and one made anew would revoke nothing that it has revoked"
          : `its number ${number} is lower than the ${crl.number} of ${dir}/hosts/b/ca-crl.pem`,
      );
      assertEquals(hints, [
        `put the newest one back: cp ${dir}/hosts/b/ca-crl.pem ${dir}/ca-crl.pem`,
      ]);
    }
    Deno.copyFileSync(`${dir}/hosts/b/ca-crl.pem`, `${dir}/ca-crl.pem`);
    assertEquals((await publishCrl({ dir, engine })).count, 2);
  });
}

Deno.test("publishCrl() makes an empty CRL where hosts have none but another CA's", async () => {
  using temp = temporaryDirectory();
  const { dir } = await makePki(`${temp.path}/pki`, { hosts: [{ name: "a" }, { name: "b" }] });
  const other = await makePki(`${temp.path}/other`, { hosts: [] });
  Deno.copyFileSync(`${other.dir}/ca-crl.pem`, `${dir}/hosts/a/ca-crl.pem`);
  for (const file of ["ca-crl.pem", "hosts/b/ca-crl.pem"]) Deno.removeSync(`${dir}/${file}`);
  assertEquals((await publishCrl({ dir, engine })).count, 0);
});

Deno.test("publishCrl() leaves the list of another issuer in the file", async () => {
  using temp = temporaryDirectory();
  const one = await makePki(`${temp.path}/one`, { hosts: [{ name: "a" }] });
  const other = await makePki(`${temp.path}/other`, { name: "Other", hosts: [{ name: "x" }] });
  await revokeCertificates(["x"], "superseded", { dir: other.dir, engine });
  for (const file of ["ca-cert.pem", "ca-crl.pem"]) {
    const theirs = read(`${other.dir}/${file}`);
    Deno.writeTextFileSync(`${one.dir}/${file}`, theirs, { append: true });
  }
  const { count } = await publishCrl({ dir: one.dir, engine });
  assertEquals(count, 0);
  const lists = decodePem(read(`${one.dir}/hosts/a/ca-crl.pem`)).map(({ der }) => parseCrl(der));
  assertEquals(lists.map((crl) => [crl.issuer.text, crl.revoked.size]), [
    ["CN=virtcreds CA", 0],
    ["CN=Other", 2],
  ]);
});

for (
  const [place, code] of [
    ["hosts/b", "NOT_A_DIRECTORY"],
    ["hosts", "NOT_A_DIRECTORY"],
    ["ca.db", "SYMBOLIC_LINK"],
    ["ca.log", "SYMBOLIC_LINK"],
  ] as const
) {
  Deno.test(`revokeCertificates() follows no symbolic link planted as ${place}`, async () => {
    using temp = temporaryDirectory();
    const { dir } = await makePki(`${temp.path}/pki`, { hosts: [{ name: "a" }, { name: "b" }] });
    Deno.renameSync(`${dir}/${place}`, `${temp.path}/away`);
    Deno.symlinkSync(`${temp.path}/away`, `${dir}/${place}`);
    const before = read(`${dir}/ca-crl.pem`);
    const error = await assertRejects(
      () => revokeCertificates(["a"], "unspecified", { dir, engine }),
      CaError,
    );
    assertEquals([error.code, error.facts.file], [code, `${dir}/${place}`]);
    assertEquals(read(`${dir}/ca-crl.pem`), before);
  });
}

Deno.test("issueHost() makes a lost CRL anew from the store, with all that is revoked", async () => {
  using temp = temporaryDirectory();
  const { dir } = await makePki(temp.path, { hosts: [{ name: "a" }, { name: "b" }] });
  await revokeCertificates(["a"], "keyCompromise", { dir, engine });
  const before = readRevoked(pkiPaths(dir));
  for (const place of [dir, `${dir}/hosts/a`, `${dir}/hosts/b`]) {
    Deno.removeSync(`${place}/ca-crl.pem`);
  }
  await issueHost({ dir, engine, host: "c" });
  const after = readRevoked(pkiPaths(dir));
  assertEquals([...after.entries.keys()].sort(), [...before.entries.keys()].sort());
  assert(after.number > before.number);
  assertEquals((await verifyLog({ dir, engine })).faults, []);
});
