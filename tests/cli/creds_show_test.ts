import { assert, assertEquals, assertFalse, assertMatch } from "@std/assert";
import { ObjectRegistry } from "../../creds/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { run, virtcreds } from "../support/command.ts";
import { makeCertificate, makeCrl, writeCredentials } from "../support/certificates.ts";
import { makePki } from "../support/pki.ts";
import { programTest } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";

Deno.test("creds show prints what files hold, the rule that authorizes, and no key", async () => {
  using dir = temporaryDirectory();
  const ca = await makeCertificate({
    subject: "CN=ca",
    keyNumber: 1,
    basicConstraints: { critical: true, ca: true },
  });
  const leaf = await makeCertificate({
    subject: "C=GB, O=Example, CN=vm1",
    issuer: ca,
    serial: "33",
    dns: ["vm1.example"],
    ip: ["192.0.2.1"],
    keyUsage: { critical: true, usages: ["digitalSignature"] },
  });
  const crl = await makeCrl(ca, ["44"]);
  writeCredentials(dir.path, "client", { ca: ca.pem, crl, cert: leaf.pem, key: leaf.keyPem });
  Deno.writeTextFileSync(`${dir.path}/junk.pem`, "junk");
  const { code, stdout, stderr } = await virtcreds(["creds", "show", dir.path]);
  assertEquals([code, stderr], [0, ""]);
  assertMatch(stdout, /subject +C=GB,O=Example,CN=vm1\n/);
  assertMatch(stdout, /names +vm1\.example, 192\.0\.2\.1\n/);
  assertMatch(stdout, /key usage +digitalSignature \(critical\)\n/);
  assertMatch(stdout, /key +EC P-256\n/);
  assertMatch(stdout, /revoked +1: 44 \(/);
  assertMatch(stdout, /private key +private key, not shown\n/);
  const body = leaf.keyPem.split("\n")[1]!;
  assertFalse(stdout.includes(body.slice(0, 20)), "a key is shown");

  // The rule does what it says.
  const rule = /to let it in +(.*)\n/.exec(stdout)![1]!;
  using objects = new ObjectRegistry({ engine: await chooseEngine() });
  await objects.add(rule);
  assert(objects.authorization("authz0").allows("C=GB,O=Example,CN=vm1"));

  const json = await virtcreds(["creds", "show", "--json", `${dir.path}/client-cert.pem`]);
  const { kind, facts } = JSON.parse(json.stdout);
  assertEquals([kind, facts.subject, facts.serial], ["certificate", "C=GB,O=Example,CN=vm1", "33"]);
  const missing = await virtcreds(["creds", "show", `${dir.path}/nowhere.pem`]);
  assertEquals(missing.code, 1);
  assertMatch(missing.stderr, /^error: .*nowhere\.pem/);
});

Deno.test("creds check --at judges as on another day", async () => {
  using dir = temporaryDirectory();
  const pki = await makePki(dir.path, { hosts: [{ name: "vm1", days: 100 }] });
  const day = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);
  const args = ["creds", "check", pki.host("vm1"), "--qemu", "10.2", "--endpoint", "server"];
  const today = await virtcreds([...args, "--at", day(90)]);
  assertEquals(today.code, 0, today.stdout);
  assertMatch(today.stdout, /server-cert\.pem .*, in (10|11) days/);
  const late = await virtcreds([...args, "--at", day(101)]);
  assertEquals(late.code, 1);
  assertMatch(late.stdout, /refused by QEMU 10\.2: The server certificate .* has expired\n/);
  for (const date of ["tomorrow", "2027-02-30", "2027-13-01", "27-01-01"]) {
    const { code, stderr } = await virtcreds([...args, "--at", date]);
    assertEquals([code, stderr.split("\n")[0]], [2, `error: --at takes a date, not '${date}'`]);
  }
});

programTest("creds secret encrypts what qemu-img decrypts", ["qemu-img", "openssl"], async () => {
  using dir = temporaryDirectory();
  const pki = await makePki(dir.path, { hosts: [{ name: "vm1", keyType: "ec-p256" }] });
  const host = pki.host("vm1");
  const encrypted = await run("openssl", [
    ...["pkcs8", "-topk8", "-in", `${host}/client-key.pem`, "-passout", "pass:s3cret, word"],
    ...["-out", `${dir.path}/key.pem`],
  ]);
  assertEquals(encrypted.code, 0, encrypted.stderr);
  Deno.renameSync(`${dir.path}/key.pem`, `${host}/client-key.pem`);
  const master = `${dir.path}/master.key`;
  Deno.writeFileSync(master, crypto.getRandomValues(new Uint8Array(32)));
  const seal = (stdin: string, ...flags: string[]) =>
    virtcreds(["creds", "secret", "--key", master, ...flags], { stdin });
  const load = async (objects: string) => {
    const all = [
      ...objects.trim().split("\n"),
      `tls-creds-x509,id=t,dir=${host},endpoint=client,passwordid=sec0`,
    ];
    const options = all.flatMap((object) => ["--object", object]);
    const image = ["--image-opts", "driver=null-co,size=1M"];
    return (await run("qemu-img", ["info", ...options, ...image])).stderr;
  };
  const { code, stdout } = await seal("s3cret, word\n");
  assertEquals([code, await load(stdout)], [0, ""]);
  assertFalse(stdout.includes("s3cret"));
  const json = JSON.parse((await seal("s3cret, word", "--json")).stdout);
  assertEquals(await load(json.objects.join("\n")), "");
  assertMatch(await load((await seal("another")).stdout), /Decryption has failed/);
  assertFalse((await seal("s3cret, word\n")).stdout === stdout, "the vector is used again");
  assertEquals((await seal("")).code, 2);
  Deno.writeFileSync(master, new Uint8Array(31));
  const short = await seal("x");
  assertEquals([short.code, short.stderr.split("\n")[0]], [
    1,
    "error: Key should be 32 bytes in length",
  ]);
});
