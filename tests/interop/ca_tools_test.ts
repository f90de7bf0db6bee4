/** certtool, openssl and QEMU read what the authority makes. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { KeyType } from "../../engine/mod.ts";
import { run } from "../support/command.ts";
import { makePki } from "../support/pki.ts";
import { programTest } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";

const KEY_TYPES: readonly KeyType[] = ["ec-p256", "ec-p384", "rsa-2048", "ed25519"];
const ROLES = ["server", "client"] as const;

/** A host with every kind of name. */
const HOST = {
  name: "host-a",
  dns: ["host-a.example.com", "zürich.example.com"],
  ip: ["192.0.2.7", "2001:db8::7", "::ffff:10.0.0.1"],
};

async function makeHost(dir: string, keyType: KeyType) {
  return await makePki(dir, { keyType, hosts: [{ ...HOST, keyType }] });
}

/** Runs a program that has to succeed, and gives what it printed. */
async function output(program: string, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run(program, args);
  assertEquals(code, 0, `${program} ${args.join(" ")}: ${stderr}${stdout}`);
  return stdout;
}

for (const keyType of KEY_TYPES) {
  programTest(`openssl verifies a host strictly, for its purpose and with its CRL, ${keyType}`, [
    "openssl",
  ], async () => {
    using temp = temporaryDirectory();
    const dir = (await makeHost(temp.path, keyType)).host(HOST.name);
    const verify = (purpose: string, file: string, ...more: readonly string[]) =>
      run("openssl", [
        "verify",
        "-x509_strict",
        ...["-CAfile", `${dir}/ca-cert.pem`, "-CRLfile", `${dir}/ca-crl.pem`, "-crl_check"],
        ...["-purpose", purpose, ...more, `${dir}/${file}`],
      ]);
    const server = await verify("sslserver", "server-cert.pem", "-verify_hostname", HOST.name);
    assertEquals([server.code, server.stderr], [0, ""]);
    const client = await verify("sslclient", "client-cert.pem");
    assertEquals([client.code, client.stderr], [0, ""]);
    for (const ip of HOST.ip) {
      const { code, stderr } = await verify("sslserver", "server-cert.pem", "-verify_ip", ip);
      assertEquals(code, 0, stderr);
    }
    const wrong = await verify("sslclient", "server-cert.pem");
    assertStringIncludes(wrong.stderr, "unsuitable certificate purpose");
    const other = await verify("sslserver", "server-cert.pem", "-verify_hostname", "host-b");
    assertStringIncludes(other.stderr, "hostname mismatch");
  });

  programTest(`certtool verifies a host and its names, ${keyType}`, ["certtool"], async () => {
    using temp = temporaryDirectory();
    const dir = (await makeHost(temp.path, keyType)).host(HOST.name);
    const verify = (role: string, purpose: string, hostname: string) =>
      run("certtool", [
        "--verify",
        ...["--load-ca-certificate", `${dir}/ca-cert.pem`, "--load-crl", `${dir}/ca-crl.pem`],
        ...["--verify-purpose", purpose, "--verify-hostname", hostname],
        ...["--infile", `${dir}/${role}-cert.pem`],
      ]);
    for (const name of [HOST.name, "HOST-A.example.com", "zürich.example.com", ...HOST.ip]) {
      const { code, stdout } = await verify("server", "1.3.6.1.5.5.7.3.1", name);
      assertEquals(code, 0, `${name}: ${stdout}`);
      assertStringIncludes(stdout, "Verified. The certificate is trusted.");
    }
    const { code } = await verify("server", "1.3.6.1.5.5.7.3.1", "host-b");
    assert(code !== 0);
    assertEquals((await verify("client", "1.3.6.1.5.5.7.3.2", HOST.name)).code, 0);
  });

  programTest(`openssl and certtool read the keys and the CRL, ${keyType}`, [
    "openssl",
    "certtool",
  ], async () => {
    using temp = temporaryDirectory();
    const pki = await makeHost(temp.path, keyType);
    const dir = pki.host(HOST.name);
    for (const key of [`${pki.dir}/ca-key.pem`, ...ROLES.map((role) => `${dir}/${role}-key.pem`)]) {
      await output("openssl", "pkey", "-in", key, "-noout", "-check");
      await output("certtool", "--key-info", "--infile", key);
    }
    const crl = await output("openssl", "crl", "-in", `${dir}/ca-crl.pem`, "-noout", "-text");
    assertStringIncludes(crl, "Version 2 (0x1)");
    assertStringIncludes(crl, "No Revoked Certificates.");
    assertMatch(crl, /X509v3 CRL Number: \n +\d{10}\n/);
    const subject = await output(
      ...["openssl", "x509", "-in", `${pki.dir}/ca-cert.pem`, "-noout", "-ext"] as const,
      "subjectKeyIdentifier",
    );
    const keyId = /(?:[0-9A-F]{2}:){19}[0-9A-F]{2}/.exec(subject)![0];
    assertStringIncludes(crl, `X509v3 Authority Key Identifier: \n                ${keyId}`);
    const info = await output("certtool", "--crl-info", "--infile", `${dir}/ca-crl.pem`);
    assertStringIncludes(info, "Issuer: CN=virtcreds CA\n");
    assertStringIncludes(info, "No revoked certificates.");
    const check = await run("openssl", [
      ...["crl", "-in", `${dir}/ca-crl.pem`, "-noout", "-CAfile", `${pki.dir}/ca-cert.pem`],
    ]);
    assertStringIncludes(check.stderr, "verify OK");
  });

  programTest(`openssl sees the extensions that the profile has, ${keyType}`, [
    "openssl",
  ], async () => {
    using temp = temporaryDirectory();
    const pki = await makeHost(temp.path, keyType);
    const text = (file: string) => output("openssl", "x509", "-in", file, "-noout", "-text");
    const authority = await text(`${pki.dir}/ca-cert.pem`);
    assertMatch(authority, /Basic Constraints: critical\n +CA:TRUE\n/);
    assertMatch(authority, /Key Usage: critical\n +Certificate Sign, CRL Sign\n/);
    const usage = keyType.startsWith("rsa")
      ? /Key Usage: critical\n +Digital Signature, Key Encipherment\n/
      : /X509v3 Key Usage: \n +Digital Signature\n/;
    for (const role of ROLES) {
      const leaf = await text(`${pki.host(HOST.name)}/${role}-cert.pem`);
      assertStringIncludes(leaf, "Version: 3 (0x2)");
      assertMatch(leaf, /Issuer: CN = virtcreds CA\n/);
      assertMatch(leaf, /Subject: O = virtcreds CA, CN = host-a\n/);
      assertMatch(leaf, /Basic Constraints: critical\n +CA:FALSE\n/);
      assertMatch(leaf, usage);
      const purpose = role === "server" ? "Server" : "Client";
      assertMatch(
        leaf,
        new RegExp(`Extended Key Usage: \\n +TLS Web ${purpose} Authentication\\n`),
      );
      assertStringIncludes(
        leaf,
        "DNS:host-a, DNS:host-a.example.com, DNS:xn--zrich-kva.example.com, " +
          "IP Address:192.0.2.7, IP Address:2001:DB8:0:0:0:0:0:7, " +
          "IP Address:0:0:0:0:0:FFFF:A00:1\n",
      );
    }
  });

  for (const endpoint of ROLES) {
    programTest(`QEMU loads a host's directory as a ${endpoint}, ${keyType}`, [
      "qemu-img",
    ], async () => {
      using temp = temporaryDirectory();
      const dir = (await makeHost(temp.path, keyType)).host(HOST.name);
      await output(
        ...["qemu-img", "info", "--object"] as const,
        `tls-creds-x509,id=t,dir=${dir},endpoint=${endpoint},verify-peer=on`,
        ...["--image-opts", "driver=null-co,size=1M"],
      );
    });
  }
}
