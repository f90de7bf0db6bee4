import { assertEquals, assertMatch } from "@std/assert";
import { checkCredentials } from "../../creds/mod.ts";
import {
  type CertificateSpec,
  makeCertificate,
  PURPOSE,
  writeCredentials,
} from "../support/certificates.ts";
import { enginesHere } from "../support/engines.ts";
import { temporaryDirectory } from "../support/temp.ts";

const authority = (name: string, pathLength?: number): CertificateSpec => ({
  subject: `CN=${name}`,
  basicConstraints: {
    critical: true,
    ca: true,
    ...(pathLength === undefined ? {} : { pathLength }),
  },
  keyUsage: { critical: true, usages: ["keyCertSign", "cRLSign"] },
  identifiers: true,
});

for (const [length, expected] of [[0, true], [1, false]] as const) {
  Deno.test(`checkCredentials() ${expected ? "refuses" : "takes"} in a strict look an authority below one of path length ${length}`, async () => {
    using temp = temporaryDirectory();
    const root = await makeCertificate(authority("root"));
    const middle = await makeCertificate({ ...authority("middle", length), issuer: root });
    const issuing = await makeCertificate({ ...authority("issuing", 0), issuer: middle });
    const host = await makeCertificate({
      subject: "CN=vm1",
      dns: ["vm1"],
      keyUsage: { critical: true, usages: ["digitalSignature"] },
      purposes: { critical: false, oids: [PURPOSE.server] },
      identifiers: true,
      issuer: issuing,
    });
    writeCredentials(temp.path, "server", {
      ca: issuing.pem + middle.pem + root.pem,
      cert: host.pem + issuing.pem + middle.pem,
      key: host.keyPem,
    });
    for (const engine of await enginesHere()) {
      const verdicts = await checkCredentials(temp.path, {
        engine,
        endpoint: "server",
        strict: true,
      });
      const found = verdicts.at(-1)!.findings.filter(({ code }) => code === "PATH_REFUSED");
      assertEquals(found.length, expected ? 1 : 0);
      if (expected) assertMatch(found[0]!.cause, /path.?length/i);
    }
  });
}
