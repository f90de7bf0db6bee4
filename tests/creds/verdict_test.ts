import { assert, assertEquals } from "@std/assert";
import { checkCredentials, findProfile, PROFILES } from "../../creds/mod.ts";
import { enginesHere } from "../support/engines.ts";
import { type CredentialCase, MEASURED_CASES, QEMU_CASES } from "../support/credential_cases.ts";
import { writeCredentials } from "../support/certificates.ts";
import { temporaryDirectory } from "../support/temp.ts";

const engines = await enginesHere();

for (const one of [...QEMU_CASES, ...MEASURED_CASES]) {
  Deno.test(`checkCredentials() says what QEMU says: ${one.name} (${one.endpoint})`, async () => {
    using dir = temporaryDirectory();
    writeCredentials(dir.path, one.endpoint, await one.files());
    for (const engine of engines) {
      const verdicts = await checkCredentials(dir.path, { engine, endpoint: one.endpoint });
      assertEquals(verdicts.map(({ qemu }) => qemu), PROFILES.map(({ name }) => name));
      for (const verdict of verdicts) {
        const wanted = expectedMessage(one, verdict.qemu).replaceAll("%D", dir.path);
        assertEquals(verdict.message, wanted, `QEMU ${verdict.qemu}, ${engine.name}`);
        assertEquals(verdict.ok, wanted === "");
        assertEquals(verdict.findings.some(({ severity }) => severity === "error"), wanted !== "");
      }
    }
  });
}

function expectedMessage(one: CredentialCase, version: string): string {
  const profile = findProfile(version);
  if (profile.logic === "new") return one.newMessage ?? one.message;
  return (profile.wantsKeyEncipherment ? one.enciphermentMessage : undefined) ?? one.message;
}

Deno.test("findProfile() knows which line a version belongs to", () => {
  const rules = (version: string) => {
    const { logic, wantsKeyEncipherment } = findProfile(version);
    return `${logic}${wantsKeyEncipherment ? " with keyEncipherment" : ""}`;
  };
  const old = "old with keyEncipherment";
  for (const version of ["2.5", "5.2.0", "7.2", "7.2.21", "8.0", "9.2.4", "10.1", "10.1.2"]) {
    assertEquals(rules(version), old, version);
  }
  for (const version of ["7.2.22", "7.2.30", "10.1.3"]) {
    assertEquals(rules(version), "old", version);
  }
  for (const version of ["10.2", "10.2.1", "11.0"]) assertEquals(rules(version), "new", version);
  assert(PROFILES.every((profile) => findProfile(profile.name) === profile));
});
