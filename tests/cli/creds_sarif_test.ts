// SARIF held against the schema of its standard, read by a validator that knows nothing of us.

import { assert, assertEquals } from "@std/assert";
import Ajv from "ajv";
import draft from "ajv/lib/refs/json-schema-draft-04.json" with { type: "json" };
import schema from "@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json" with {
  type: "json",
};
import { makeCertificate, PURPOSE, writeCredentials } from "../support/certificates.ts";
import { virtcreds } from "../support/command.ts";
import { daysFromNow, makePki } from "../support/pki.ts";
import { temporaryDirectory } from "../support/temp.ts";

const ajv = new Ajv({ schemaId: "id", logger: false, unknownFormats: "ignore" });
ajv.addMetaSchema(draft);
const isSarif = ajv.compile(schema);

function assertSarif(text: string): { runs: { results: { ruleId: string; level: string }[] }[] } {
  const log = JSON.parse(text);
  assert(isSarif(log), ajv.errorsText(isSarif.errors));
  return log;
}

Deno.test("the SARIF schema refuses what is no SARIF", () => {
  assertEquals(isSarif({ version: "2.1.0" }), false);
  assertEquals(isSarif({ version: "2.0.0", runs: [] }), false);
});

Deno.test("creds check --format sarif is SARIF 2.1.0 by its schema, whatever is found", async () => {
  using dir = temporaryDirectory();
  const pki = await makePki(`${dir.path}/pki`, {
    hosts: [
      { name: "good.example" },
      { name: "late.example", clock: daysFromNow(-400) },
      { name: "half.example" },
    ],
  });
  Deno.removeSync(`${pki.host("half.example")}/server-key.pem`);
  const odd = `${dir.path}/a dir, with ünusual "names" & 100%`;
  const own = await makeCertificate({
    subject: "CN=self",
    purposes: { critical: true, oids: [PURPOSE.client] },
  });
  writeCredentials(odd, "server", { ca: own.pem, cert: own.pem, key: own.keyPem });
  const run = (...args: readonly string[]) =>
    virtcreds(["creds", "check", "--format", "sarif", ...args], { cwd: dir.path });
  const hosts = [...Deno.readDirSync(`${dir.path}/pki/hosts`)].map(({ name }) =>
    `pki/hosts/${name}`
  );
  const all = await run(...hosts, odd, "nowhere", "--hostname", "x.example", "--libvirt", "all");
  assertEquals(all.code, 1);
  const { runs } = assertSarif(all.stdout);
  const codes = new Set(runs[0]!.results.map(({ ruleId }) => ruleId));
  for (const code of ["CERT_EXPIRED", "HOSTNAME_MISMATCH", "FILE_MISSING"]) {
    assert(codes.has(code), `${code} is not among ${[...codes].join(", ")}`);
  }
  const none = await run("pki/hosts/good.example");
  assertEquals([none.code, assertSarif(none.stdout).runs[0]!.results], [0, []]);
});
