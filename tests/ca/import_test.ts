import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { encodePem } from "../../base/mod.ts";
import { parseIndex } from "../../ca/import_index.ts";
import {
  CaError,
  importAuthority,
  readEntries,
  renewHosts,
  revokeCertificates,
} from "../../ca/mod.ts";
import { readCertificate } from "../../ca/held.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { daysFromNow, makePki } from "../support/pki.ts";
import { assertWholeSet } from "../support/credential_set.ts";
import { temporaryDirectory } from "../support/temp.ts";

const engine = await chooseEngine();

const INDEX = [
  "V\t290226092342Z\t\tC8A6\tunknown\t/CN=vm1",
  "R\t290226092344Z\t261124092344Z,keyCompromise\t0A\tunknown\t/CN=a",
  "R\t20501231235959Z\t20510101000000Z\t1234\tunknown\t/CN=b",
  "R\t290226092344Z\t261124092344Z,keyTime,20260101000000Z\t01\tunknown\t/CN=c",
  "R\t290226092344Z\t261124092344Z,unspecified\t00FF\tunknown\t/CN=d",
  "E\t190226092344Z\t\t02\tfile.pem\t/CN=e",
];

Deno.test("parseIndex() reads status, date and reason of every kind of line", () => {
  assertEquals(parseIndex(INDEX.join("\r\n") + "\n\n", "index.txt"), [
    { serial: "c8a6" },
    { serial: "0a", revoked: { date: new Date("2026-11-24T09:23:44Z"), reason: 1 } },
    { serial: "1234", revoked: { date: new Date("2051-01-01T00:00:00Z") } },
    { serial: "01", revoked: { date: new Date("2026-11-24T09:23:44Z"), reason: 1 } },
    { serial: "ff", revoked: { date: new Date("2026-11-24T09:23:44Z") } },
    { serial: "02" },
  ]);
});

for (
  const [line, cause] of [
    ["X\t1\t\t01\tunknown\t/CN=x", "its status is none of V, R and E"],
    ["V\t1\t\t01", "it has no serial"],
    ["V\t1\t\t../x\tunknown\t/CN=x", "it has no serial"],
    ["R\t1\t\t01\tunknown\t/CN=x", "its revocation cannot be read"],
    ["R\t1\t261324092344Z\t01\tunknown\t/CN=x", "its revocation cannot be read"],
    ["R\t1\t261124092344Z,because\t01\tunknown\t/CN=x", "its revocation cannot be read"],
  ] as const
) {
  Deno.test(`parseIndex() names the line ${JSON.stringify(line)}`, () => {
    const error = assertThrows(() => parseIndex(`${INDEX[0]}\n${line}\n`, "i"), CaError);
    assertEquals([error.code, error.facts.file, error.facts.cause], ["IMPORT", "i:2", cause]);
  });
}

/** A CA of ours as its bare files: what another tool might have left. */
async function makeSource(root: string, keyed = true): Promise<string> {
  const source = `${root}/source`;
  Deno.mkdirSync(source);
  const { dir } = await makePki(`${root}/made`, {
    hosts: [{ name: "a" }, { name: "late", clock: daysFromNow(-500) }],
    clock: daysFromNow(-600),
  });
  for (const name of ["ca-cert.pem", "ca-key.pem", "ca-crl.pem"]) {
    Deno.copyFileSync(`${dir}/${name}`, `${source}/${name}`);
  }
  for (const host of ["a", "late"]) {
    for (const role of ["server", "client"]) {
      for (const kind of keyed ? ["cert", "key"] : ["cert"]) {
        const file = `${dir}/hosts/${host}/${role}-${kind}.pem`;
        Deno.copyFileSync(file, `${source}/${host}-${role}-${kind}.pem`);
      }
    }
  }
  return source;
}

Deno.test("importAuthority() takes hosts over that have expired, and ca renew mends them", async () => {
  using temp = temporaryDirectory();
  const source = await makeSource(temp.path);
  const dir = `${temp.path}/new`;
  const { hosts, issued } = await importAuthority({ source, dir, engine });
  assertEquals([hosts.map((one) => one.host), issued], [["a", "late"], 4]);
  const { outcomes } = await renewHosts({ dir, engine, selection: { kind: "due" } });
  assertEquals(outcomes.map((one) => [one.host, one.ok]), [["late", true]]);
  assertWholeSet(`${dir}/hosts/late`);
  assertEquals((await readEntries({ dir, target: "late" })).map(({ act }) => act), [
    ...["import", "import", "renew", "renew"],
  ]);
});

Deno.test("importAuthority() takes a certificate without its key, for which a new one can be made", async () => {
  using temp = temporaryDirectory();
  const source = await makeSource(temp.path, false);
  const dir = `${temp.path}/new`;
  const { hosts } = await importAuthority({ source, dir, engine });
  assertEquals(hosts[0], {
    host: "a",
    roles: ["server", "client"],
    withoutKey: ["server", "client"],
  });
  const context = { dir, engine, selection: { kind: "hosts", hosts: ["a"] } } as const;
  assertEquals((await renewHosts(context)).outcomes[0]!.ok, false);
  assertEquals((await renewHosts({ ...context, rekey: true })).outcomes[0]!.ok, true);
  assertEquals((await revokeCertificates(["a"], "superseded", { dir, engine })).revoked.length, 4);
});

Deno.test("importAuthority() leaves out what the CA did not sign, and says why", async () => {
  using temp = temporaryDirectory();
  const source = await makeSource(temp.path);
  const other = await makePki(`${temp.path}/other`, { name: "Other", hosts: [{ name: "x" }] });
  const same = await makePki(`${temp.path}/same`, { hosts: [{ name: "y" }] });
  Deno.copyFileSync(`${other.host("x")}/server-cert.pem`, `${source}/other.pem`);
  Deno.copyFileSync(`${same.host("y")}/server-cert.pem`, `${source}/same.crt`);
  Deno.writeTextFileSync(`${source}/bad.pem`, encodePem("CERTIFICATE", Uint8Array.of(0x30, 0)));
  Deno.writeTextFileSync(`${source}/junk.pem`, "junk");
  Deno.writeFileSync(`${source}/der.cer`, readCertificate(`${source}/a-server-cert.pem`).raw);
  Deno.symlinkSync("/nowhere", `${source}/dangling.pem`);
  const { leftOut, issued } = await importAuthority({ source, dir: `${temp.path}/new`, engine });
  assertEquals(issued, 4);
  const said = leftOut.map(({ file, cause }) => `${file.replace(/.*\//, "")}: ${cause}`);
  assertEquals(said.slice(0, 2), [
    "other.pem: another CA issued it",
    "same.crt: the CA's key did not sign it",
  ]);
  assert(said[2]!.startsWith("bad.pem: ") && said.length === 3, said.join("\n"));
});

Deno.test("importAuthority() refuses what is no CA, or several, and writes nothing", async () => {
  using temp = temporaryDirectory();
  const source = await makeSource(temp.path);
  const dir = `${temp.path}/new`;
  const refusal = async (options: Partial<Parameters<typeof importAuthority>[0]>) => {
    const error = await assertRejects(() => importAuthority({ dir, engine, ...options }), CaError);
    assertEquals([...Deno.readDirSync(temp.path)].some(({ name }) => name === "new"), false);
    return [error.code, error.facts.cause];
  };
  Deno.mkdirSync(`${temp.path}/empty`);
  assertEquals(await refusal({ source: `${temp.path}/empty` }), [
    "IMPORT",
    "it has no certificate of a CA",
  ]);
  assertEquals(await refusal({}), ["IMPORT", "neither a folder nor the CA's files are named"]);
  const other = await makePki(`${temp.path}/other`, { name: "Other", hosts: [] });
  for (const name of ["ca-cert.pem", "ca-key.pem"]) {
    Deno.copyFileSync(`${other.dir}/${name}`, `${source}/other-${name}`);
  }
  assertEquals(await refusal({ source }), [
    "IMPORT",
    `it has the keys of several CAs: ${source}/ca-cert.pem, ${source}/other-ca-cert.pem`,
  ]);
  Deno.removeSync(`${source}/ca-key.pem`);
  assertEquals(await refusal({ source, certificate: `${source}/ca-cert.pem` }), [
    "IMPORT",
    "it has no key that fits a CA's certificate",
  ]);
  const named = { certificate: `${source}/other-ca-cert.pem`, key: `${source}/other-ca-key.pem` };
  const result = await importAuthority({ source, dir, engine, ...named });
  assertEquals([result.name, result.issued], ["CN=Other", 0]);
  const occupied = await assertRejects(() => importAuthority({ source, dir, engine }), CaError);
  assertEquals(occupied.code, "NOT_EMPTY");
});
