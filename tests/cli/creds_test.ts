import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Verdict } from "../../creds/mod.ts";
import { LIBVIRT_PROFILES, PROFILES } from "../../creds/mod.ts";
import { makePki } from "../support/pki.ts";
import { virtcreds } from "../support/command.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { makeCertificate, PURPOSE, writeCredentials } from "../support/certificates.ts";
import { CREDS } from "../../cli/creds.ts";
import { runHere } from "./run_here.ts";

const check = (args: readonly string[], cwd?: string) =>
  virtcreds(["creds", "check", ...args], cwd === undefined ? {} : { cwd });

function parse(stdout: string): Verdict[] {
  return stdout.trim().split("\n").map((line) => JSON.parse(line));
}

Deno.test("creds check finds neither errors nor warnings in what ca issue makes by default", async () => {
  using dir = temporaryDirectory();
  const keyTypes = ["ec-p256", "ec-p384", "rsa-2048", "ed25519"] as const;
  const hosts = keyTypes.map((keyType) => ({ name: `host-${keyType}`, keyType }));
  const pki = await makePki(dir.path, { hosts });
  const dirs = hosts.map(({ name }) => pki.host(name));
  const { code, stdout, stderr } = await check([
    ...dirs,
    "--format",
    "json",
    "--fail-on",
    "warning",
  ]);
  assertEquals([code, stderr], [0, ""]);
  const verdicts = parse(stdout);
  assertEquals(verdicts.length, dirs.length * 2 * PROFILES.length);
  for (const verdict of verdicts) {
    assertEquals(Object.keys(verdict), ["dir", "endpoint", "qemu", "ok", "message", "findings"]);
    assertEquals([verdict.ok, verdict.message], [true, ""], JSON.stringify(verdict));
    assertEquals(verdict.findings, []);
  }
});

Deno.test("creds check says what a refused directory lacks, and ends with 1", async () => {
  using dir = temporaryDirectory();
  const pki = await makePki(dir.path, { hosts: [{ name: "vm1" }] });
  const host = pki.host("vm1");
  Deno.removeSync(`${host}/server-key.pem`);
  const args = [host, "--format", "json", "--qemu", "7.2.22", "--endpoint", "server"];
  const { code, stdout } = await check(args);
  const [verdict, ...rest] = parse(stdout);
  const message = `Unable to access credentials ${host}/server-key.pem: No such file or directory`;
  assertEquals([code, rest.length, verdict!.ok, verdict!.message], [1, 0, false, message]);
  const finding = verdict!.findings[0]!;
  assertEquals(Object.keys(finding), ["code", "severity", "file", "message", "cause", "mend"]);
  assertEquals([finding.code, finding.severity], ["FILE_MISSING", "error"]);
  assertMatch(finding.mend, /^deno task ca issue vm1 --dir /);
});

Deno.test("creds check tells lines of QEMU apart", async () => {
  using dir = temporaryDirectory();
  const ca = await makeCertificate({
    subject: "CN=ca",
    keyNumber: 1,
    basicConstraints: { critical: true, ca: true },
  });
  const leaf = await makeCertificate({
    subject: "CN=vm1",
    issuer: ca,
    keyUsage: { critical: true, usages: ["digitalSignature"] },
    purposes: { critical: false, oids: [PURPOSE.server] },
  });
  writeCredentials(dir.path, "server", { ca: ca.pem, cert: leaf.pem, key: leaf.keyPem });
  const { code, stdout } = await check([dir.path, "--format", "json"]);
  const ok = parse(stdout).map((verdict) => [verdict.qemu, verdict.ok]);
  assertEquals(code, 1);
  assertEquals(ok, [
    ["2.5-7.2.21", false],
    ["7.2.22", true],
    ["8.0-10.1.2", false],
    ["10.1.3", true],
    ["10.2", true],
  ]);
  const text = (await check([dir.path])).stdout;
  assert(text.includes(`server: refused by QEMU 2.5-7.2.21, 8.0-10.1.2: Certificate `), text);
  assert(text.includes("server: accepted by QEMU 7.2.22, 10.1.3, 10.2"), text);
});

Deno.test("creds check judges for libvirt in its words, instead of QEMU or beside it", async () => {
  using dir = temporaryDirectory();
  const pki = await makePki(dir.path, { hosts: [{ name: "vm1" }] });
  const host = pki.host("vm1");
  Deno.removeSync(`${host}/ca-cert.pem`);
  const args = [host, "--endpoint", "server", "--libvirt"];
  const { code, stdout } = await check([...args, "all", "--json"]);
  assertEquals([code, parse(stdout).map(({ qemu }) => qemu)], [
    1,
    LIBVIRT_PROFILES.map(({ name }) => name),
  ]);
  const text = (await check([...args, "9.0.0", "--qemu", "10.2"])).stdout;
  const missing = "No such file or directory";
  assert(text.includes(`refused by QEMU 10.2: Unable to access credentials ${host}`), text);
  assert(
    text.includes(
      `refused by libvirt 9.0.0: Cannot read CA certificate '${host}/ca-cert.pem': ${missing}`,
    ),
    text,
  );
  const { code: wrong, stderr } = await check([...args, "8.0"]);
  assertEquals([wrong, stderr.split("\n")[0]], [2, "error: unknown libvirt version '8.0'"]);
});

Deno.test("creds check always says when each certificate expires, in days and without colour", async () => {
  using dir = temporaryDirectory();
  const pki = await makePki(dir.path, { hosts: [{ name: "vm1" }] });
  const { code, stdout } = await check([pki.host("vm1")]);
  assertEquals(code, 0);
  for (const file of ["server-cert.pem", "client-cert.pem", "ca-cert.pem"]) {
    assertMatch(stdout, new RegExp(`${file} .*expires \\d{4}-\\d\\d-\\d\\d, in \\d+ days`));
  }
  assert(!stdout.includes("\x1b"));
});

Deno.test("creds check warns of what expires soon, and fails for it when asked to", async () => {
  using dir = temporaryDirectory();
  const pki = await makePki(dir.path, { hosts: [{ name: "vm1" }] });
  const args = [pki.host("vm1"), "--expires-in", "9000d", "--format", "json", "--qemu", "10.2"];
  const soon = await check(args);
  const codes = new Set(
    parse(soon.stdout).flatMap(({ findings }) => findings.map(({ code }) => code)),
  );
  assert(codes.has("CERT_EXPIRES_SOON") && codes.has("CA_EXPIRES_SOON"), [...codes].join());
  assertEquals(soon.code, 0);
  assertEquals((await check([...args, "--fail-on", "warning"])).code, 1);
});

Deno.test("creds check holds a server's names against the ones that are wanted", async () => {
  using dir = temporaryDirectory();
  const pki = await makePki(dir.path, { hosts: [{ name: "vm1", dns: ["vm1.example"] }] });
  const host = pki.host("vm1");
  const right = await check([host, "--hostname", "vm1", "--hostname", "vm1.example"]);
  assertEquals(right.code, 0, right.stdout);
  const wrong = await check([
    host,
    "--hostname",
    "192.0.2.9",
    "--format",
    "json",
    "--qemu",
    "7.2.22",
  ]);
  const server = parse(wrong.stdout).find(({ endpoint }) => endpoint === "server")!;
  assertEquals([wrong.code, server.ok], [1, true]);
  const finding = server.findings[0]!;
  assertEquals(finding.code, "HOSTNAME_MISMATCH");
  assertEquals(finding.message, "Certificate does not match the hostname 192.0.2.9");
  assert(
    finding.cause.includes("vm1.example") && finding.mend.endsWith("--ip 192.0.2.9"),
    finding.mend,
  );
});

Deno.test("creds check warns of a key that others may read, and its mend mends it", async () => {
  using dir = temporaryDirectory();
  const pki = await makePki(dir.path, { hosts: [{ name: "vm1" }] });
  const key = `${pki.host("vm1")}/server-key.pem`;
  Deno.chmodSync(key, 0o644);
  const args = [pki.host("vm1"), "--format", "json", "--qemu", "7.2.22", "--endpoint", "server"];
  const [verdict] = parse((await check(args)).stdout);
  assertEquals(verdict!.findings.map(({ code, severity }) => [code, severity]), [[
    "KEY_READABLE",
    "warning",
  ]]);
  const { mend } = verdict!.findings[0]!;
  await new Deno.Command("sh", { args: ["-c", mend] }).output();
  assertEquals(parse((await check(args)).stdout)[0]!.findings, []);
});

Deno.test("creds check reports on directories that are not there, beside those that are", async () => {
  using dir = temporaryDirectory();
  const pki = await makePki(dir.path, { hosts: [{ name: "vm1" }] });
  const args = ["nowhere", pki.host("vm1"), "--format", "json", "--qemu", "7.2.22"];
  const { code, stdout, stderr } = await check(args, dir.path);
  const verdicts = parse(stdout);
  assertEquals([code, stderr], [1, ""]);
  assertEquals(verdicts.map(({ ok }) => ok), [false, true, true]);
  const message = "Unable to access credentials nowhere/ca-cert.pem: No such file or directory";
  assertEquals(verdicts[0]!.message, message);
  // One thing is wrong, not one for each file.
  assertEquals(verdicts[0]!.findings, [{
    code: "DIRECTORY_MISSING",
    severity: "error",
    file: "nowhere",
    message,
    cause: "there is no such directory",
    mend: "what is there: ls -d ./*",
  }]);
});

Deno.test("creds check refuses a name that nothing would compare, and what is no name", async () => {
  using dir = temporaryDirectory();
  const pki = await makePki(dir.path, { hosts: [{ name: "vm1" }] });
  const rows = [
    [["--endpoint", "client", "--hostname", "vm1"], "--hostname is for a server's certificate"],
    [["--hostname", "../x"], "--hostname takes a name or an address, not '../x'"],
    [["--hostname", "qemu://vm1/system"], "--hostname takes a name or an address, not 'qemu:"],
    [["--hostname", "vm1 vm2"], "--hostname takes a name or an address, not 'vm1 vm2'"],
  ] as const;
  for (const [args, text] of rows) {
    const { code, stdout, stderr } = await check([pki.host("vm1"), ...args]);
    assertEquals([code, stdout], [2, ""]);
    assert(stderr.startsWith(`error: ${text}`), stderr);
  }
});

Deno.test("creds check judges the beginning of a huge file as QEMU judges all of it, and says so", async () => {
  using dir = temporaryDirectory();
  const pki = await makePki(dir.path, { hosts: [{ name: "vm1" }] });
  const file = `${pki.host("vm1")}/ca-cert.pem`;
  Deno.truncateSync(file, 17 << 20);
  const args = [pki.host("vm1"), "--format", "json", "--qemu", "7.2.22", "--endpoint", "client"];
  const [verdict] = parse((await check(args)).stdout);
  assertEquals([verdict!.ok, verdict!.message], [true, ""]);
  assertEquals(verdict!.findings.map(({ code, file }) => [code, file]), [["FILE_TOO_LARGE", file]]);
});

Deno.test("creds check quotes a path with blanks in what it asks to be typed", async () => {
  using dir = temporaryDirectory();
  Deno.mkdirSync(`${dir.path}/my pki`);
  const { stdout } = await check(["my pki/ho'st"], dir.path);
  assertMatch(stdout, /mend: what is there: ls -d 'my pki'\/\*$/m);
  const { stderr } = await virtcreds(["ca", "issue", "--inventory", "my pki/x.csv"], {
    cwd: dir.path,
  });
  assertMatch(stderr, /^hint: what is there: ls -l 'my pki\/'$/m);
});

Deno.test("creds check writes JUnit, SARIF and GitHub's commands for other programs", async () => {
  using dir = temporaryDirectory();
  const pki = await makePki(dir.path, { hosts: [{ name: "vm1" }] });
  const odd = `${dir.path}/a <b> & "c", d%`;
  Deno.renameSync(pki.host("vm1"), odd);
  Deno.removeSync(`${odd}/client-key.pem`);
  const args = [odd, "--endpoint", "client"];
  const junit = (await check([...args, "--format", "junit"])).stdout;
  assertMatch(junit, /^<\?xml version="1.0" encoding="UTF-8"\?>\n<testsuites name="creds check">/);
  assert(
    junit.includes(`<testsuite name="${dir.path}/a &lt;b&gt; &amp; &quot;c&quot;, d%" tests="5"`),
    junit,
  );
  assertEquals(junit.match(/<failure type="PAIR_HALF"/g)?.length, 1);
  assertEquals(junit.match(/<testcase /g)?.length, PROFILES.length);
  const sarif = JSON.parse((await check([...args, "--format", "sarif"])).stdout);
  assertEquals(sarif.version, "2.1.0");
  const [run] = sarif.runs;
  for (const result of run.results) {
    assertEquals(run.tool.driver.rules[result.ruleIndex].id, result.ruleId);
    const { uri } = result.locations[0].physicalLocation.artifactLocation;
    assertEquals(decodeURIComponent(new URL(uri).pathname), `${odd}/client-cert.pem`);
  }
  const github = (await check([...args, "--format", "github"])).stdout.trim().split("\n");
  assertEquals(github.length, run.results.length);
  for (const line of github) {
    assertMatch(line, /^::(error|warning|notice) file=[^,]+%2C d%25[^,]*,title=[A-Z_]+::./);
  }
});

for (
  const [what, args, error] of [
    ["no directory", [], "error: missing DIR"],
    ["an unknown flag", ["x", "--nope"], "error: unknown flag --nope"],
    ["an unknown format", ["x", "--format", "xml"], "error: --format does not take 'xml'"],
    ["an unknown version", ["x", "--qemu", "banana"], "error: unknown QEMU version 'banana'"],
    ["a version without TLS", ["x", "--qemu", "2.4"], "error: unknown QEMU version '2.4'"],
    [
      "a time that is none",
      ["x", "--expires-in", "soon"],
      "error: --expires-in takes a time, not 'soon'",
    ],
    ["a wrong role", ["x", "--endpoint", "peer"], "error: --endpoint does not take 'peer'"],
    ["a flag without value", ["x", "--hostname", ""], "error: --hostname needs a value (NAME)"],
  ] as const
) {
  Deno.test(`creds check refuses ${what} as wrong usage`, async () => {
    const { code, stdout, stderr } = await runHere(CREDS, ["check", ...args]);
    const [first, ...hints] = stderr.trim().split("\n");
    assertEquals([code, stdout, first], [2, "", error]);
    assert(hints.length > 0 && hints.every((line) => line.startsWith("hint: ")), stderr);
  });
}

Deno.test("creds check says that a host is revoked, as both of its roles, and how it keeps its names", async () => {
  using temp = temporaryDirectory();
  const dir = `${temp.path}/pki`;
  await virtcreds(["ca", "init", "--dir", dir]);
  await virtcreds([
    "ca",
    "issue",
    "vm1",
    "--dir",
    dir,
    "--dns",
    "vm1.example",
    "--ip",
    "192.0.2.7",
  ]);
  await virtcreds(["ca", "revoke", "vm1", "--dir", dir]);
  const args = ["creds", "check", `${dir}/hosts/vm1`, "--qemu", "10.2", "--format", "json"];
  const { code, stdout } = await virtcreds(args);
  assertEquals(code, 1);
  const verdicts = stdout.trim().split("\n").map((line) => JSON.parse(line));
  for (const { endpoint, ok, findings } of verdicts) {
    assertEquals(ok, true, "QEMU does not look at its own certificate's revocation");
    const [finding] = findings;
    assertEquals(finding.code, "CERT_REVOKED");
    assertEquals(finding.file, `${dir}/hosts/vm1/${endpoint}-cert.pem`);
    assertEquals(
      finding.mend,
      `deno task ca issue vm1 --dir ${dir} --dns vm1.example --ip 192.0.2.7`,
    );
  }
});
