import { assertEquals, assertStringIncludes } from "@std/assert";
import { checkCredentials, findProfile } from "../../creds/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { run } from "../support/command.ts";
import { makePki } from "../support/pki.ts";
import { programTest } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";

/** Priority strings, and where the first thing stands that GnuTLS does not understand. */
const STRINGS: readonly [text: string, position: number | undefined][] = [
  ["NORMAL", undefined],
  ["normal", undefined],
  ["SECURE256:+SECURE128", undefined],
  ["NORMAL:-VERS-ALL:+VERS-TLS1.2", undefined],
  ["NORMAL:%NO_TICKETS", undefined],
  ["NORMAL:+VERS-SSL3.0", undefined],
  ["FOO", 0],
  ["NORMAL:+FOO", 7],
  ["NORMAL:%FOO", 7],
  ["NORMAL,SECURE", 0],
  ["NORMAL:-VERS-TLS1.3:@x", 20],
];

programTest(
  "creds check reads a priority string as gnutls-cli does, and says where it breaks",
  ["gnutls-cli"],
  async () => {
    using temp = temporaryDirectory();
    const pki = await makePki(`${temp.path}/pki`, { hosts: [{ name: "vm1" }] });
    const engine = await chooseEngine("gnutls");
    for (const [priority, position] of STRINGS) {
      const real = await run("gnutls-cli", ["--list", "--priority", priority]);
      assertEquals(real.code === 0, position === undefined, `${priority}: ${real.stderr}`);
      for (const [version, text] of [["7.2.22", "Cannot set default TLS"], ["10.2", "Unable to"]]) {
        const [verdict] = await checkCredentials(pki.host("vm1"), {
          engine,
          endpoint: "server",
          profiles: [findProfile(version!)!],
          priority,
        });
        assertEquals([verdict!.ok, verdict!.message], [true, ""], "QEMU takes it at load");
        const [finding, ...more] = verdict!.findings;
        assertEquals(more, []);
        assertEquals(finding?.code, position === undefined ? undefined : "PRIORITY_INVALID");
        if (position === undefined) continue;
        assertStringIncludes(finding!.message, `${text}`);
        assertStringIncludes(
          finding!.cause,
          `at character ${position}, ${priority.slice(position)}`,
        );
      }
    }
  },
);

Deno.test("creds check says so where nobody can read a priority string", async () => {
  using temp = temporaryDirectory();
  const engine = await chooseEngine("platform");
  const pki = await makePki(`${temp.path}/pki`, { hosts: [{ name: "vm1" }], engine });
  const [verdict] = await checkCredentials(pki.host("vm1"), { engine, priority: "NORMAL:-RSA" });
  assertEquals(verdict!.findings.map(({ code }) => code), ["PRIORITY_NOT_CHECKED"]);
});
