/** What openssl, GnuTLS and QEMU make of constrained CAs, templates and the strict profile. */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { initAuthority, issueHost } from "../../ca/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { run } from "../support/command.ts";
import { programTest } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";

/** Runs a program that has to succeed, and gives what it printed. */
async function output(program: string, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run(program, args);
  assertEquals(code, 0, `${program} ${args.join(" ")}: ${stderr}${stdout}`);
  return stdout;
}

async function loads(dir: string): Promise<void> {
  for (const endpoint of ["server", "client"]) {
    await output(
      ...["qemu-img", "info", "--object"] as const,
      `tls-creds-x509,id=t,dir=${dir},endpoint=${endpoint}`,
      ...["--image-opts", "driver=null-co,size=1M"],
    );
  }
}

programTest("a constrained CA is believed within its constraints and nowhere else", [
  "openssl",
  "certtool",
  "qemu-img",
], async () => {
  using temp = temporaryDirectory();
  const dir = temp.path;
  const engine = await chooseEngine();
  await initAuthority({
    dir,
    engine,
    permitDns: ["rack7.example"],
    permitIp: ["192.0.2.0/24", "2001:db8::/32"],
  });
  const text = await output("openssl", "x509", "-in", `${dir}/ca-cert.pem`, "-noout", "-text");
  assertMatch(
    text,
    /Name Constraints: critical\n +Permitted:\n +DNS:rack7.example\n +IP:192.0.2.0\/255.255.255.0\n/,
  );
  const verify = (file: string) =>
    run("openssl", ["verify", "-x509_strict", "-CAfile", `${dir}/ca-cert.pem`, file]);
  for (
    const options of [
      { host: "vm1.rack7.example", dns: ["rack7.example"], ip: ["192.0.2.1", "2001:db8::1"] },
      { host: "192.0.2.9" },
      { host: "2001:db8::2", dns: ["*.rack7.example"], allowWildcard: true },
    ]
  ) {
    const issued = await issueHost({ dir, engine, ...options });
    for (const role of ["server", "client"]) {
      const { code, stderr } = await verify(`${issued.dir}/${role}-cert.pem`);
      assertEquals([code, stderr], [0, ""]);
    }
    await loads(issued.dir);
  }
  // What somebody who has the CA's key makes, past this toolkit.
  for (const name of ["DNS:vm1.other.example", "IP:198.51.100.1"]) {
    await output(
      ...[
        "openssl",
        "req",
        "-new",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
      ] as const,
      ...["-nodes", "-subj", "/O=x", "-keyout", `${dir}/k`, "-out", `${dir}/r`],
    );
    Deno.writeTextFileSync(`${dir}/e`, `subjectAltName=${name}\n`);
    await output(
      ...["openssl", "x509", "-req", "-in", `${dir}/r`, "-CA", `${dir}/ca-cert.pem`] as const,
      ...["-CAkey", `${dir}/ca-key.pem`, "-CAcreateserial", "-extfile", `${dir}/e`],
      ...["-out", `${dir}/forged.pem`],
    );
    assertStringIncludes((await verify(`${dir}/forged.pem`)).stderr, "permitted subtree violation");
    const gnutls = await run("certtool", [
      ...["--verify", "--load-ca-certificate", `${dir}/ca-cert.pem`],
      ...["--infile", `${dir}/forged.pem`],
    ]);
    assertStringIncludes(gnutls.stdout, "Not verified.");
  }
});

programTest("openssl verifies the strict profile, and a QEMU of today loads it", [
  "openssl",
  "qemu-img",
], async () => {
  using temp = temporaryDirectory();
  const dir = temp.path;
  const engine = await chooseEngine();
  await initAuthority({ dir, engine, subject: "C=CH,O=Exämple AG" });
  const { dir: host } = await issueHost({
    ...{ dir, engine, host: "h", dns: ["*.h.example"], allowWildcard: true },
    ...{ profile: "strict", subject: "O=Acme\\, Inc.,L=Rack 7" },
  });
  const certificate = `${host}/server-cert.pem`;
  await output(
    ...["openssl", "verify", "-x509_strict", "-purpose", "sslserver"] as const,
    ...["-verify_hostname", "vm1.h.example", "-CAfile", `${host}/ca-cert.pem`, certificate],
  );
  const text = await output("openssl", "x509", "-in", certificate, "-noout", "-text");
  assertMatch(text, /Key Usage: critical\n +Digital Signature\n/);
  assertStringIncludes(text, 'Subject: O = "Acme, Inc.", L = Rack 7, CN = h\n');
  await loads(host);
});
