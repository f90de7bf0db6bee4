/** Keys under a passphrase, as `creds check`, `creds matrix` and `ca export` judge them. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { issueHost } from "../../ca/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { CA } from "../../cli/ca.ts";
import { CREDS } from "../../cli/creds.ts";
import { virtcreds } from "../support/command.ts";
import { makePki } from "../support/pki.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { runHere } from "./run_here.ts";

const FLAG = "--host-passphrase-file";

/** Two hosts whose keys have one passphrase, in `pass`. */
async function makeLocked(cwd: string): Promise<void> {
  const engine = await chooseEngine();
  const { dir } = await makePki(`${cwd}/pki`, { hosts: [] });
  for (const host of ["vm1", "vm2"]) {
    await issueHost({ dir, engine, host, hostPassphrase: "sesame" });
  }
  Deno.writeTextFileSync(`${cwd}/pass`, "sesame");
  Deno.writeTextFileSync(`${cwd}/wrong`, "simsim");
  Deno.writeTextFileSync(`${cwd}/line`, "sesame\n");
}

function exchangeKeys(cwd: string, role: string): void {
  const [a, b] = ["vm1", "vm2"].map((host) => `${cwd}/pki/hosts/${host}/${role}-key.pem`);
  const text = Deno.readTextFileSync(a!);
  Deno.copyFileSync(b!, a!);
  Deno.writeTextFileSync(b!, text);
}

Deno.test("creds check judges encrypted keys by their passphrase, and names the flag without it", async () => {
  using temp = temporaryDirectory();
  const cwd = temp.path;
  await makeLocked(cwd);
  const check = async (args: readonly string[], stdin?: string) => {
    const own = ["check", `${cwd}/pki/hosts/vm1`, "--json", ...args];
    const { code, stdout, stderr } = stdin === undefined
      ? await runHere(CREDS, own)
      : await virtcreds(["creds", ...own], { stdin });
    const findings: { code: string; mend: string }[] = stdout.trimEnd().split("\n")
      .flatMap((line) => line === "" ? [] : JSON.parse(line).findings);
    return { code, stderr, findings, codes: [...new Set(findings.map((one) => one.code))] };
  };
  const without = await check([]);
  assertEquals([without.code, without.codes], [1, ["KEY_ENCRYPTED"]]);
  for (const { mend } of without.findings) {
    assert(mend.endsWith(`passwordid=sec0 to them; to judge it here: ${FLAG} FILE`), mend);
  }
  for (const given of [await check([FLAG, `${cwd}/pass`]), await check([FLAG, "-"], "sesame\n")]) {
    assertEquals([given.code, given.codes, given.stderr], [0, [], ""]);
  }
  const line = await check([FLAG, `${cwd}/line`]);
  assertEquals(line.code, 1);
  assertStringIncludes(line.stderr, "it ends with a line end, which QEMU takes for a part of it");
  const libvirt = await check([FLAG, `${cwd}/pass`, "--libvirt", "all"]);
  assertEquals([libvirt.code, libvirt.codes[0]], [1, "KEY_ENCRYPTED"]);
  exchangeKeys(cwd, "server");
  const exchanged = await check([FLAG, `${cwd}/pass`, "--endpoint", "server"]);
  assertEquals([exchanged.code, exchanged.codes], [1, ["KEY_MISMATCH"]]);
});

Deno.test("creds matrix judges encrypted keys by their passphrase, and names the flag without it", async () => {
  using temp = temporaryDirectory();
  const cwd = temp.path;
  await makeLocked(cwd);
  const matrix = (...args: string[]) =>
    runHere(CREDS, ["matrix", `${cwd}/pki/hosts/vm1`, `${cwd}/pki/hosts/vm2`, ...args]);
  const without = await matrix();
  assertEquals(without.code, 1);
  assertStringIncludes(without.stdout, `to judge it here: ${FLAG} FILE`);
  const given = await matrix(FLAG, `${cwd}/pass`);
  assertEquals([given.code, given.stderr], [0, ""]);
  assertStringIncludes(given.stdout, "2 hosts, 2 pairs: 2 pass\n");
  const wrong = await matrix(FLAG, `${cwd}/wrong`, "--json");
  const pairs = wrong.stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  assertEquals(pairs.map(({ refusals: [{ code, mend }] }) => [code, mend.includes(FLAG)]), [
    ["KEY_ENCRYPTED", false],
    ["KEY_ENCRYPTED", false],
  ]);
});

Deno.test("ca export looks whether encrypted keys fit where it has their passphrase, and warns where not", async () => {
  using temp = temporaryDirectory();
  const cwd = temp.path;
  await makeLocked(cwd);
  const make = (...args: string[]) =>
    runHere(CA, ["export", "vm1", "--layout", "qemu", "--dir", `${cwd}/pki`, ...args]);
  const warning =
    "warning: whether its keys fit its certificates cannot be told without their passphrase\n" +
    `hint: give it: ${FLAG} FILE\n`;
  const note = "note: its keys are encrypted: passwordid= must name the passphrase\n";
  assertEquals((await make()).stderr, note + warning);
  const given = await make(FLAG, `${cwd}/pass`);
  assertEquals([given.code, given.stderr], [0, note]);
  const wrong = await make(FLAG, `${cwd}/wrong`);
  assertEquals([wrong.code, wrong.stderr], [
    1,
    "error: cannot export the credentials of vm1: the passphrase does not open its server-key.pem\n" +
    `hint: give the one that its keys were made with: ${FLAG} FILE\n`,
  ]);
  exchangeKeys(cwd, "client");
  const exchanged = await make(FLAG, `${cwd}/pass`, "--out", `${cwd}/set`);
  assertEquals([exchanged.code, exchanged.stderr.split("\n")[0]], [
    1,
    "error: cannot export the credentials of vm1: its client-key.pem is not the key of its client-cert.pem",
  ]);
  assert(![...Deno.readDirSync(cwd)].some(({ name }) => name === "set"));
  assertEquals((await make("--out", `${cwd}/set`)).code, 0);
});
