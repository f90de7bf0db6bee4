/** An authority that another tool made, with its two files put in their places. */

import { assertEquals, assertMatch } from "@std/assert";
import { issueHost } from "../../ca/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { run } from "../support/command.ts";
import { assertWholeSet } from "../support/credential_set.ts";
import { programTest } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";

async function must(program: string, args: readonly string[]): Promise<void> {
  const { code, stderr } = await run(program, args);
  assertEquals(code, 0, `${program} ${args.join(" ")}: ${stderr}`);
}

/** Issues from the authority in a directory, and has openssl and QEMU look at the result. */
async function issueAndCheck(dir: string): Promise<string> {
  const { dir: host } = await issueHost({ dir, host: "host-a", engine: await chooseEngine() });
  assertWholeSet(host);
  for (const [role, purpose] of [["server", "sslserver"], ["client", "sslclient"]] as const) {
    await must("openssl", [
      ...["verify", "-purpose", purpose, "-crl_check"],
      ...["-CAfile", `${host}/ca-cert.pem`, "-CRLfile", `${host}/ca-crl.pem`],
      `${host}/${role}-cert.pem`,
    ]);
    await must("qemu-img", [
      ...["info", "--object", `tls-creds-x509,id=t,dir=${host},endpoint=${role}`],
      ...["--image-opts", "driver=null-co,size=1M"],
    ]);
  }
  const { stdout } = await run("openssl", [
    ...["x509", "-in", `${host}/server-cert.pem`, "-noout", "-subject", "-nameopt", "RFC2253"],
  ]);
  return stdout;
}

programTest("ca issue goes on with a CA that openssl made", ["openssl", "qemu-img"], async () => {
  using temp = temporaryDirectory();
  const dir = temp.path;
  await must("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-nodes"],
    ...["-subj", "/C=CH/O=Exämple/CN=Old CA", "-utf8", "-days", "100"],
    ...["-addext", "keyUsage=critical,keyCertSign,cRLSign"],
    ...["-keyout", `${dir}/ca-key.pem`, "-out", `${dir}/ca-cert.pem`],
  ]);
  assertMatch(await issueAndCheck(dir), /CN=host-a,O=Old CA/);
});

programTest("ca issue goes on with a CA that certtool made", [
  "certtool",
  "openssl",
  "qemu-img",
], async () => {
  using temp = temporaryDirectory();
  const dir = temp.path;
  const key = `${dir}/ca-key.pem`;
  await must("certtool", ["--generate-privkey", "--key-type=rsa", "--bits=2048", "--outfile", key]);
  Deno.writeTextFileSync(
    `${dir}/template`,
    "cn = Certtool CA\nca\ncert_signing_key\ncrl_signing_key\n",
  );
  await must("certtool", [
    ...["--generate-self-signed", "--load-privkey", key, "--template", `${dir}/template`],
    ...["--outfile", `${dir}/ca-cert.pem`],
  ]);
  assertMatch(await issueAndCheck(dir), /CN=host-a,O=Certtool CA/);
});
