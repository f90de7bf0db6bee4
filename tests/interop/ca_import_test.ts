/** A CA of easy-rsa, openssl and certtool, taken over: what was stays, and the work goes on. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  CaError,
  importAuthority,
  type ImportOptions,
  issueHost,
  readFleet,
  renewHosts,
  revokeCertificates,
  showIssued,
  verifyLog,
} from "../../ca/mod.ts";
import { sha256 } from "../../ca/log_entry.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { run } from "../support/command.ts";
import { assertWholeSet } from "../support/credential_set.ts";
import { findProgram, programTest } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";

const engine = await chooseEngine();

async function must(
  program: string,
  args: readonly string[],
  cwd?: string,
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const options = { env, ...(cwd === undefined ? {} : { cwd }) };
  const { code, stdout, stderr } = await run(findProgram(program) ?? program, args, options);
  assertEquals(code, 0, `${program} ${args.join(" ")}: ${stderr}${stdout}`);
  return stdout;
}

/** Every file with its digest. */
function snapshot(dir: string): Record<string, string> {
  const files: Record<string, string> = {};
  const walk = (path: string) => {
    for (const { name, isDirectory } of Deno.readDirSync(path)) {
      if (isDirectory) walk(`${path}/${name}`);
      else files[`${path}/${name}`] = sha256(Deno.readFileSync(`${path}/${name}`));
    }
  };
  walk(dir);
  return files;
}

async function takeOver(source: string, dir: string, more: Partial<ImportOptions> = {}) {
  const before = snapshot(source);
  const options = { source, dir, engine, ...more };
  const planned = await importAuthority({ ...options, dryRun: true });
  await assertRejects(() => Deno.stat(dir), Deno.errors.NotFound);
  const clock = () => new Date();
  const result = await importAuthority({ ...options, clock });
  assertEquals(snapshot(source), before);
  assertEquals({ ...result, crlNumber: 0n }, { ...planned, crlNumber: 0n });
  assertEquals((await verifyLog({ dir, engine })).faults, []);
  return result;
}

/** What trusts which: the old CA's file and the new one, an old certificate and a new one. */
async function assertTrust(caFile: string, crlFile: string, certificate: string): Promise<void> {
  await must("openssl", [
    ...["verify", "-crl_check", "-CAfile", caFile, "-CRLfile", crlFile, certificate],
  ]);
}

async function crlText(file: string): Promise<string> {
  return await must("openssl", ["crl", "-in", file, "-noout", "-text"]);
}

/** Renews, issues and revokes, as with any other CA. */
async function goOn(dir: string, host: string, passphrase?: string, rekey = false): Promise<void> {
  const context = { dir, engine, passphrase };
  const renewed = await renewHosts({
    ...context,
    rekey,
    selection: { kind: "hosts", hosts: [host] },
  });
  assertEquals(renewed.outcomes.map((one) => one.ok), renewed.outcomes.map(() => true));
  assertWholeSet(`${dir}/hosts/${host}`);
  await issueHost({ ...context, host: "new.example" });
  assertWholeSet(`${dir}/hosts/new.example`);
  const shown = await showIssued(host, { dir });
  const { revoked } = await revokeCertificates([host], "superseded", context);
  assertEquals(revoked.map((one) => one.serial).sort(), shown.map((one) => one.serial).sort());
  assertEquals((await verifyLog({ dir, engine })).faults, []);
}

programTest(
  "ca import takes over a CA of easy-rsa and goes on",
  ["easyrsa", "openssl"],
  async () => {
    using temp = temporaryDirectory();
    const easy = (...args: readonly string[]) =>
      must("easyrsa", args, temp.path, { EASYRSA_BATCH: "1", EASYRSA_ALGO: "ec" });
    await easy("init-pki");
    await easy("--req-cn=Easy CA", "build-ca", "nopass");
    await easy("build-server-full", "vm1.example", "nopass");
    await easy(
      "--subject-alt-name=DNS:vm2.example,IP:192.0.2.2",
      "build-serverClient-full",
      "vm2",
      "nopass",
    );
    await easy("build-client-full", "gone.example", "nopass");
    await easy("revoke", "gone.example", "keyCompromise");
    await easy("--passout=pass:of its own", "build-server-full", "locked.example");
    await easy("gen-crl");
    const [source, dir] = [`${temp.path}/pki`, `${temp.path}/new`];
    const result = await takeOver(source, dir);
    assertEquals([result.kind, result.name, result.issued, result.revoked], [
      "easy-rsa",
      "CN=Easy CA",
      4,
      1,
    ]);
    assertEquals(result.hosts, [
      { host: "locked.example", roles: ["server"], withoutKey: [] },
      { host: "vm1.example", roles: ["server"], withoutKey: [] },
      { host: "vm2", roles: ["server", "client"], withoutKey: [] },
    ]);
    assertEquals([result.missing, result.leftOut, result.nameless], [[], [], []]);
    const old = await crlText(`${source}/crl.pem`);
    const list = await crlText(`${dir}/ca-crl.pem`);
    const entry = /Serial Number: .*\n.*Revocation Date: .*\n.*\n.*\n.*Key Compromise/;
    assertEquals(entry.exec(list)![0], entry.exec(old)![0]);
    const [gone] = await showIssued("gone.example", { dir });
    assertEquals(gone!.revoked?.reason, "keyCompromise");
    // Whoever holds the old certificate still trusts and is trusted.
    await assertTrust(
      `${dir}/ca-cert.pem`,
      `${dir}/ca-crl.pem`,
      `${source}/issued/vm1.example.crt`,
    );
    await goOn(dir, "vm2");
    // A key under its own passphrase came along as it is.
    const key = Deno.readTextFileSync(`${dir}/hosts/locked.example/server-key.pem`);
    const { outcomes } = await renewHosts({
      ...{ dir, engine, selection: { kind: "hosts", hosts: ["locked.example"] } },
      hostPassphrase: "of its own",
    });
    assertEquals(outcomes.map((one) => one.ok), [true]);
    assertEquals(key, Deno.readTextFileSync(`${source}/private/locked.example.key`));
    await assertTrust(
      `${source}/ca.crt`,
      `${dir}/ca-crl.pem`,
      `${dir}/hosts/new.example/server-cert.pem`,
    );
  },
);

/** A CA as the manual page of `openssl ca` makes it; its key is encrypted. */
async function makeOpensslCa(root: string): Promise<string> {
  const dir = `${root}/demoCA`;
  Deno.mkdirSync(`${dir}/newcerts`, { recursive: true });
  Deno.mkdirSync(`${dir}/private`);
  Deno.writeTextFileSync(`${dir}/index.txt`, "");
  Deno.writeTextFileSync(`${dir}/serial`, "01\n");
  // A number that the clock has not reached: the next has to be higher.
  Deno.writeTextFileSync(`${dir}/crlnumber`, "FFFFFFFFFFFFFF00\n");
  Deno.writeTextFileSync(`${root}/pass`, "old secret\n");
  const openssl = (...args: readonly string[]) => must("openssl", args, root);
  await openssl(
    ...["req", "-x509", "-newkey", "rsa:2048", "-passout", "file:pass", "-days", "900"],
    ...["-subj", "/C=CH/O=Example/CN=Demo CA", "-addext", "keyUsage=critical,keyCertSign,cRLSign"],
    ...["-keyout", "demoCA/private/cakey.pem", "-out", "demoCA/cacert.pem"],
  );
  Deno.writeTextFileSync(
    `${root}/config`,
    `[ca]\ndefault_ca=d\n[d]\ndir=./demoCA\ndatabase=$dir/index.txt\nserial=$dir/serial\n` +
      `crlnumber=$dir/crlnumber\nnew_certs_dir=$dir/newcerts\ncertificate=$dir/cacert.pem\n` +
      `private_key=$dir/private/cakey.pem\ndefault_md=sha256\ndefault_days=300\n` +
      `default_crl_days=30\npolicy=p\nunique_subject=no\ncopy_extensions=copy\n[p]\n` +
      `commonName=supplied\n`,
  );
  const hosts = ["vm1.example", "vm2.example", "held.example", "Alice Smith"];
  for (const host of hosts) {
    const name = host.replace(" ", "-");
    await openssl(
      ...["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
      ...["-subj", `/CN=${host}`, "-keyout", `${name}.key`, "-out", `${name}.csr`],
      ...host.includes(" ") ? [] : ["-addext", `subjectAltName=DNS:${host}`],
    );
    const ca = ["ca", "-config", "config", "-batch", "-notext", "-passin", "file:pass"];
    await openssl(...ca, "-in", `${name}.csr`, "-out", `${name}.crt`);
  }
  const ca = ["ca", "-config", "config", "-passin", "file:pass"];
  await openssl(...ca, "-revoke", "vm2.example.crt", "-crl_reason", "superseded");
  await openssl(...ca, "-gencrl", "-out", "demoCA/crl.pem");
  // Revoked, and not in a list yet.
  await openssl(...ca, "-revoke", "held.example.crt", "-crl_hold", "holdInstructionReject");
  return dir;
}

programTest(
  "ca import takes over a CA of openssl ca with an encrypted key",
  ["openssl"],
  async () => {
    using temp = temporaryDirectory();
    const source = await makeOpensslCa(temp.path);
    const dir = `${temp.path}/new`;
    const locked = await assertRejects(() => importAuthority({ source, dir, engine }), CaError);
    assertEquals(locked.facts.cause, `its key ${source}/private/cakey.pem is encrypted`);
    const wrong = await assertRejects(
      () => importAuthority({ source, dir, engine, passphrase: "wrong" }),
      CaError,
    );
    assertEquals(wrong.code, "IMPORT");
    const passphrase = "old secret";
    // Keys of hosts lie beside the CA's folder.
    const result = await takeOver(source, dir, { passphrase, certificates: [temp.path] });
    assertEquals([result.kind, result.issued, result.revoked], ["openssl", 4, 2]);
    assertEquals(result.hosts, [
      { host: "vm1.example", roles: ["server", "client"], withoutKey: [] },
    ]);
    assertEquals(result.nameless, ["04"]);
    assertEquals(result.crlNumber, 0xffffffffffffff01n);
    const list = await crlText(`${dir}/ca-crl.pem`);
    assert(/Serial Number: 02[\s\S]*Superseded/.test(list), list);
    assert(/Serial Number: 03[\s\S]*Certificate Hold/.test(list), list);
    assertEquals((await readFleet({ dir })).crl.count, 2);
    const key = Deno.readTextFileSync(`${dir}/ca-key.pem`);
    assertEquals(key, Deno.readTextFileSync(`${source}/private/cakey.pem`));
    await assertTrust(`${dir}/ca-cert.pem`, `${dir}/ca-crl.pem`, `${temp.path}/vm1.example.crt`);
    await goOn(dir, "vm1.example", passphrase);
    assertEquals((await showIssued("04", { dir }))[0]!.subject, "CN=Alice Smith");
    const { revoked } = await revokeCertificates(["04"], "unspecified", {
      dir,
      engine,
      passphrase,
    });
    assertEquals(revoked.map((one) => one.serial), ["04"]);
    const { number } = (await readFleet({ dir })).crl;
    assert(number > result.crlNumber, String(number));
  },
);

/** A CA that somebody made with certtool's templates, files side by side; its key is encrypted. */
async function makeCerttoolCa(dir: string): Promise<void> {
  const certtool = (...args: readonly string[]) => must("certtool", args, dir);
  const template = (name: string, text: string) =>
    Deno.writeTextFileSync(`${dir}/${name}`, text.replaceAll("; ", "\n") + "\n");
  template(
    "ca.tmpl",
    "cn = Certtool CA; ca; cert_signing_key; crl_signing_key; expiration_days = 900",
  );
  template(
    "host.tmpl",
    "cn = vm1.example; dns_name = vm1.example; tls_www_server; tls_www_client; signing_key; expiration_days = 300",
  );
  template(
    "gone.tmpl",
    "cn = vm2.example; dns_name = vm2.example; tls_www_server; signing_key; expiration_days = 300",
  );
  template("crl.tmpl", "crl_next_update = 30; crl_number = 7");
  await certtool(
    ...["--generate-privkey", "--key-type=ecdsa", "--pkcs8", "--password", "1234"],
    ...["--outfile", "ca-key.pem"],
  );
  const ca = ["--load-ca-certificate", "ca-cert.pem", "--load-ca-privkey", "ca-key.pem"];
  const open = ["--password", "1234"];
  await certtool(
    ...["--generate-self-signed", "--load-privkey", "ca-key.pem", ...open],
    ...["--template", "ca.tmpl", "--outfile", "ca-cert.pem"],
  );
  for (const [name, file] of [["host", "vm1"], ["gone", "vm2"]] as const) {
    await certtool("--generate-privkey", "--key-type=ecdsa", "--outfile", `${file}-key.pem`);
    await certtool(
      ...["--generate-certificate", "--load-privkey", `${file}-key.pem`, ...ca, ...open],
      ...["--template", `${name}.tmpl`, "--outfile", `${file}-cert.pem`],
    );
  }
  await certtool(
    ...["--generate-crl", "--load-certificate", "vm2-cert.pem", ...ca, ...open],
    ...["--template", "crl.tmpl", "--outfile", "crl.pem"],
  );
}

programTest("ca import takes over a CA of certtool with an encrypted key", [
  "certtool",
  "openssl",
], async () => {
  using temp = temporaryDirectory();
  const [source, dir] = [`${temp.path}/old`, `${temp.path}/new`];
  Deno.mkdirSync(source);
  await makeCerttoolCa(source);
  const passphrase = "1234";
  const result = await takeOver(source, dir, { passphrase });
  assertEquals([result.kind, result.issued, result.revoked], ["certtool", 2, 1]);
  assertEquals(result.hosts, [
    { host: "vm1.example", roles: ["server", "client"], withoutKey: [] },
  ]);
  assert(result.crlNumber > 7n);
  await assertTrust(`${dir}/ca-cert.pem`, `${dir}/ca-crl.pem`, `${source}/vm1-cert.pem`);
  // Deno reads some of the EC keys that certtool writes and not others.
  await goOn(dir, "vm1.example", passphrase, true);
  await assertTrust(
    `${source}/ca-cert.pem`,
    `${dir}/ca-crl.pem`,
    `${dir}/hosts/new.example/server-cert.pem`,
  );
});
