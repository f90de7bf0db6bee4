import { assertEquals } from "@std/assert";
import { checkCredentials, findProfile } from "../../creds/mod.ts";
import { enginesHere } from "../support/engines.ts";
import { makePki } from "../support/pki.ts";
import { temporaryDirectory } from "../support/temp.ts";

const engines = await enginesHere();

const NAMESAKE = "another authority of that name, with another key";

for (
  const [name, cause, newCause] of [
    [undefined, `not there, only ${NAMESAKE}`, `the CN=virtcreds CA in ca-cert.pem is ${NAMESAKE}`],
    ["Other CA", "not there", "ca-cert.pem lacks CN=virtcreds CA"],
  ] as const
) {
  Deno.test(`checkCredentials() says that the issuer is ${cause}`, async () => {
    using temp = temporaryDirectory();
    const one = await makePki(`${temp.path}/one`, { hosts: [{ name: "h" }] });
    const other = await makePki(`${temp.path}/other`, {
      hosts: [],
      ...(name === undefined ? {} : { name }),
    });
    Deno.copyFileSync(`${other.dir}/ca-cert.pem`, `${one.host("h")}/ca-cert.pem`);
    Deno.removeSync(`${one.host("h")}/ca-crl.pem`);
    for (const engine of engines) {
      const profiles = [findProfile("7.2.22"), findProfile("10.2")];
      const verdicts = await checkCredentials(one.host("h"), { engine, profiles });
      const causes = verdicts.map(({ findings: [first] }) => `${first?.code}: ${first?.cause}`);
      const old = `CHAIN_NO_ISSUER: its issuer CN=virtcreds CA is ${cause}`;
      const now =
        `CHAIN_NO_ROOT: ${newCause}, and QEMU from 10.2 on wants all authorities up to the root`;
      assertEquals(causes, [old, now, old, now]);
    }
  });
}
