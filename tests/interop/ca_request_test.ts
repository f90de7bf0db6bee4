/** Requests that other tools made, and what other tools say of ours. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { initAuthority, installSet, makeHostKeys, signRequests } from "../../ca/mod.ts";
import { chooseEngine, KEY_TYPES } from "../../engine/mod.ts";
import { run, virtcreds } from "../support/command.ts";
import { programTest } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { connectNbd } from "./ca_nbd.ts";

async function must(program: string, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run(program, args);
  assertEquals(code, 0, `${program} ${args.join(" ")}: ${stderr}`);
  return stdout;
}

/** Has a real server and client use a directory. */
async function assertConnects(dir: string, hostname: string): Promise<void> {
  const { ok, server, client } = await connectNbd(dir, dir, hostname);
  assert(ok, `${server}${client}`);
}

programTest(
  "openssl and certtool read a request of every kind of key, and its signature is right",
  [
    "openssl",
    "certtool",
  ],
  async () => {
    using temp = temporaryDirectory();
    const engine = await chooseEngine();
    for (const keyType of KEY_TYPES) {
      const { request } = await makeHostKeys({
        host: "vm1.example",
        ip: ["192.0.2.7"],
        keyType,
        out: `${temp.path}/${keyType}`,
        engine,
      });
      const text = await must("openssl", ["req", "-verify", "-noout", "-text", "-in", request]);
      assertStringIncludes(text, "DNS:vm1.example, IP Address:192.0.2.7");
      assertStringIncludes(text, "TLS Web Server Authentication");
      const told = await must("certtool", ["--crq-info", "--infile", request]);
      assertMatch(told, /Self signature: verified/);
    }
  },
);

programTest("ca sign takes a request of openssl, and a real server and client use the set", [
  "openssl",
  "qemu-img",
  "qemu-nbd",
], async () => {
  using temp = temporaryDirectory();
  const engine = await chooseEngine();
  const dir = `${temp.path}/pki`;
  const keys = `${temp.path}/keys`;
  Deno.mkdirSync(keys);
  await initAuthority({ dir, engine });
  await must("openssl", [
    ...["req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", `${keys}/server-key.pem`],
    ...["-subj", "/C=CH/CN=vm1.example", "-out", `${temp.path}/vm1.csr`],
    ...[
      "-addext",
      "subjectAltName=DNS:vm1.example,DNS:bank.example,IP:192.0.2.7,email:a@b.example",
    ],
    ...["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=keyCertSign"],
  ]);
  Deno.copyFileSync(`${keys}/server-key.pem`, `${keys}/client-key.pem`);
  const files = [`${temp.path}/vm1.csr`];
  const [outcome] = await signRequests({ dir, engine, files, ip: ["192.0.2.7"] });
  assert(outcome?.ok);
  assertEquals(outcome.refused.map(({ name }) => name), [
    "bank.example",
    "e-mail address a@b.example",
  ]);
  assertEquals(outcome.ignored, ["basicConstraints", "keyUsage"]);
  const made = await must("openssl", [
    "x509",
    "-noout",
    "-text",
    "-in",
    `${dir}/hosts/vm1.example/server-cert.pem`,
  ]);
  assertStringIncludes(made, "CA:FALSE");
  assertEquals(made.includes("bank.example"), false);
  await installSet({ from: outcome.issued.dir, keys, engine });
  await assertConnects(keys, "vm1.example");
});

programTest("ca sign takes a request of certtool, in DER too", [
  "certtool",
  "openssl",
  "qemu-img",
  "qemu-nbd",
], async () => {
  using temp = temporaryDirectory();
  const cwd = temp.path;
  Deno.mkdirSync(`${cwd}/keys`);
  const key = `${cwd}/keys/client-key.pem`;
  Deno.writeTextFileSync(`${cwd}/t`, "cn = vm2.example\ndns_name = vm2.example\ntls_www_client\n");
  await must("certtool", ["--generate-privkey", "--key-type=ecdsa", "--outfile", key]);
  const make = ["--generate-request", "--load-privkey", key, "--template", `${cwd}/t`];
  await must("certtool", [...make, "--outfile", `${cwd}/vm2.csr`]);
  await must("openssl", [
    "req",
    "-in",
    `${cwd}/vm2.csr`,
    "-outform",
    "DER",
    "-out",
    `${cwd}/vm2.der`,
  ]);
  assertEquals((await virtcreds(["ca", "init"], { cwd })).code, 0);
  for (const file of ["vm2.csr", "vm2.der"]) {
    const { code, stdout, stderr } = await virtcreds(["ca", "sign", file], { cwd });
    assertEquals(code, 0, stderr);
    assertMatch(stdout, /^signed for vm2\.example .*\n.*\n.*\n {2}roles {8}client\n/);
  }
  const server = await virtcreds(["ca", "issue", "vm1.example"], { cwd });
  assertEquals(server.code, 0);
  const args = ["ca", "request", "--install", "pki/hosts/vm2.example", "--out", "keys"];
  const installed = await virtcreds(args, { cwd });
  assertEquals(installed.code, 0, installed.stderr);
  const { ok, server: told } = await connectNbd(
    `${cwd}/pki/hosts/vm1.example`,
    `${cwd}/keys`,
    "vm1.example",
  );
  assert(ok, told);
});
