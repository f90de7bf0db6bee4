import { assert, assertEquals, assertMatch } from "@std/assert";
import { copySync } from "@std/fs";
import { LIBVIRT_PROFILES, PROFILES, type Verdict } from "../../creds/mod.ts";
import { PROJECT, virtcreds } from "../support/command.ts";
import { makePki } from "../support/pki.ts";
import { temporaryDirectory } from "../support/temp.ts";

const check = (...args: readonly string[]) => virtcreds(["creds", "check", ...args]);

function parse(stdout: string): Verdict[] {
  return stdout.trim().split("\n").map((line) => JSON.parse(line));
}

Deno.test("creds check --strict finds neither errors nor warnings in what ca issue makes by default", async () => {
  using dir = temporaryDirectory();
  const keyTypes = ["ec-p256", "ec-p384", "rsa-2048", "ed25519"] as const;
  const pki = await makePki(dir.path, {
    hosts: [
      ...keyTypes.map((keyType) => ({ name: `host-${keyType}.example`, keyType })),
      { name: "192.0.2.9" },
      { name: "2001:db8::9" },
      { name: "localhost", dns: ["vm1.example"], ip: ["127.0.0.1"] },
    ],
  });
  const hosts = [...Deno.readDirSync(`${pki.dir}/hosts`)].map(({ name }) => name);
  assertEquals(hosts.length, 7);
  const dirs = hosts.map((name) => `${pki.dir}/hosts/${name}`);
  const all = ["--strict", "--qemu", "all", "--libvirt", "all", "--fail-on", "warning"];
  const { code, stdout, stderr } = await check(...dirs, ...all, "--format", "json");
  assertEquals([code, stderr], [0, ""], stdout);
  const verdicts = parse(stdout);
  assertEquals(verdicts.length, 2 * 7 * (PROFILES.length + LIBVIRT_PROFILES.length));
  const found = new Set(verdicts.flatMap(({ findings }) => findings.map(({ code }) => code)));
  assertEquals(found, new Set(["KEY_USAGE_NOT_CRITICAL", "LIBVIRT_LOGS"]));
});

Deno.test("creds check --strict says in text and JSON who accepts what is forbidden, and by what", async () => {
  using dir = temporaryDirectory();
  const pki = await makePki(dir.path, {
    hosts: [{ name: "vm1.example", profile: "strict", days: 900 }],
  });
  const host = pki.host("vm1.example");
  copySync(host, `${dir.path}/copy`);
  const args = [host, `${dir.path}/copy`, "--strict", "--endpoint", "server"];
  const text = await check(...args);
  assertEquals(text.code, 1);
  const versions =
    "accepted by QEMU 7.2.22, 10.1.3, 10.2, refused by QEMU 2.5-7.2.21, 8.0-10.1.2: ";
  assert(text.stdout.includes(`server-cert.pem: ${versions}Certificate ${host}`), text.stdout);
  assertMatch(text.stdout, /LIFE_TOO_LONG .*: accepted by QEMU 7\.2\.22, .*, against practice/);
  assertMatch(
    text.stdout,
    /KEY_OF_TWO_HOSTS .*copy\/server-cert\.pem: .* same key as .*vm1\.example/,
  );
  const one = await check(...args, "--qemu", "10.2", "--format", "json");
  assertEquals(one.code, 0);
  const [first, second] = parse(one.stdout);
  assertEquals(first!.findings.map(({ code }) => code), ["LIFE_TOO_LONG"]);
  assertMatch(first!.findings[0]!.reference!, /^practice/);
  assertEquals(second!.findings.map(({ code }) => code), ["LIFE_TOO_LONG", "KEY_OF_TWO_HOSTS"]);
  const warned = await check(...args, "--qemu", "10.2", "--fail-on", "warning");
  assertEquals(warned.code, 1);
  const lax = await check(host, "--qemu", "10.2", "--endpoint", "server", "--format", "json");
  assertEquals(parse(lax.stdout)[0]!.findings, []);
});

Deno.test("docs/strict.md has a row for each code of the strict look", () => {
  const page = Deno.readTextFileSync(`${PROJECT}/docs/strict.md`);
  const named = new Set([...page.matchAll(/`([A-Z]+(?:_[A-Z]+)+)`/g)].map(([, code]) => code!));
  const missing: string[] = [];
  for (const file of ["_strict.ts", "_strict_certificate.ts", "_strict_files.ts"]) {
    const source = Deno.readTextFileSync(`${PROJECT}/creds/${file}`);
    for (const [, code] of source.matchAll(/"([A-Z]+(?:_[A-Z]+)+)"/g)) {
      if (!named.has(code!)) missing.push(code!);
    }
  }
  assertEquals(missing, []);
});
