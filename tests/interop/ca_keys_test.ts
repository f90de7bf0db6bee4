/** Encrypted keys and keys in a token, as openssl, certtool, QEMU and SoftHSM see them. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { chooseEngine, KEY_TYPES } from "../../engine/mod.ts";
import { initAuthority } from "../../ca/mod.ts";
import { PROJECT, run, virtcreds } from "../support/command.ts";
import { programTest } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";

const PASSPHRASE = "zwei Wörter, ein Komma";

/** Runs a program that has to succeed, and gives what it printed. */
async function output(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const { code, stdout, stderr } = await run(program, args, { env });
  assertEquals(code, 0, `${program} ${args.join(" ")}: ${stderr}${stdout}`);
  return stdout;
}

for (const keyType of KEY_TYPES.filter((type) => type !== "rsa-3072" && type !== "rsa-4096")) {
  programTest(`openssl and certtool read the encrypted ${keyType} key of a CA`, [
    "openssl",
    "certtool",
  ], async () => {
    using temp = temporaryDirectory();
    const engine = await chooseEngine();
    const { files } = await initAuthority({
      dir: temp.path,
      engine,
      keyType,
      passphrase: PASSPHRASE,
    });
    Deno.writeTextFileSync(`${temp.path}/p`, PASSPHRASE);
    const key = await output("openssl", [
      ...["pkey", "-in", files.key, "-passin", `file:${temp.path}/p`, "-pubout"],
    ]);
    const certificate = ["x509", "-in", files.certificate, "-noout", "-pubkey"];
    assertEquals(key, await output("openssl", certificate));
    const info = ["--pubkey-info", "--load-privkey", files.key, "--password", PASSPHRASE];
    assertStringIncludes(await output("certtool", info), key);
    const structure = await output("openssl", ["asn1parse", "-in", files.key]);
    assertMatch(
      structure,
      /:PBES2[^]*:PBKDF2[^]*INTEGER +:0927C0[^]*:hmacWithSHA256[^]*aes-256-cbc/,
    );
  });
}

programTest("QEMU takes the line that ca issue prints for encrypted keys as it is", [
  "qemu-img",
], async () => {
  using temp = temporaryDirectory();
  const cwd = `${temp.path}/a, b`;
  Deno.mkdirSync(cwd);
  Deno.writeTextFileSync(`${cwd}/ca pass`, `${PASSPHRASE}\n`);
  Deno.writeTextFileSync(`${cwd}/pass,word`, PASSPHRASE);
  const ca = await virtcreds(["ca", "init", "--passphrase-file", "ca pass"], { cwd });
  assertEquals(ca.code, 0, ca.stderr);
  const issued = await virtcreds([
    ...["ca", "issue", "host-a", "--passphrase-file", "ca pass"],
    ...["--host-passphrase-file", "pass,word"],
  ], { cwd });
  assertEquals([issued.code, issued.stderr], [0, ""]);
  for (const role of ["server", "client"]) {
    const line = new RegExp(`^  ${role} +-object (secret,.*) -object (tls-creds-x509,.*)$`, "m");
    const [, secret = "", creds = ""] = line.exec(issued.stdout)!;
    const image = ["--image-opts", "driver=null-co,size=1M"];
    await output("qemu-img", ["info", "--object", secret, "--object", creds, ...image]);
    const without = creds.replace(",passwordid=tls0-key", "");
    const refused = await run("qemu-img", ["info", "--object", without, ...image]);
    assertEquals(refused.code, 1);
    assertStringIncludes(refused.stderr, "Decryption has failed.");
  }
});

programTest("ca init --key signs with the key in a token, which ca issue then does too", [
  "softhsm2-util",
  "openssl",
  "qemu-img",
], async () => {
  using temp = temporaryDirectory();
  const cwd = temp.path;
  const env = { SOFTHSM2_CONF: `${cwd}/softhsm2.conf` };
  Deno.mkdirSync(`${cwd}/tokens`);
  Deno.writeTextFileSync(env.SOFTHSM2_CONF, `directories.tokendir = ${cwd}/tokens\n`);
  await output("softhsm2-util", [
    ...["--init-token", "--free", "--label", "virt", "--pin", "1234", "--so-pin", "5678"],
  ], env);
  await output("openssl", [
    ...["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
    ...["-out", `${cwd}/key`],
  ]);
  await output("softhsm2-util", [
    ...["--import", `${cwd}/key`, "--token", "virt", "--label", "ca-key"],
    ...["--id", "01", "--pin", "1234"],
  ], env);
  const publicKey = await output("openssl", ["pkey", "-in", `${cwd}/key`, "-pubout"]);
  Deno.removeSync(`${cwd}/key`);
  const uri = "pkcs11:token=virt;object=ca-key;type=private";
  const ca = (stdin: string, ...args: readonly string[]) =>
    virtcreds(["ca", ...args, "--engine", "gnutls", "--passphrase-file", "-"], { cwd, env, stdin });

  const wrong = await ca("9999\n", "init", "--key", uri);
  assertEquals([wrong.code, wrong.stdout], [1, ""]);
  assertStringIncludes(
    wrong.stderr,
    `error: cannot use CA key ${uri}: its token refuses the PIN\n`,
  );
  const made = await ca("1234\n", "init", "--key", uri);
  assertEquals(made.code, 0, made.stderr);
  assertEquals(Deno.readTextFileSync(`${cwd}/pki/ca-key.uri`), `${uri}\n`);
  const pki = [...Deno.readDirSync(`${cwd}/pki`)].map((entry) => entry.name).sort();
  assertEquals(pki, [".lock", "ca-cert.pem", "ca-crl.pem", "ca-key.uri", "ca.db", "ca.log"]);
  const certificate = ["x509", "-in", `${cwd}/pki/ca-cert.pem`, "-noout", "-pubkey"];
  assertEquals(await output("openssl", certificate), publicKey);

  const issued = await ca("1234", "issue", "host-a");
  assertEquals(issued.code, 0, issued.stderr);
  const host = `${cwd}/pki/hosts/host-a`;
  await output("openssl", [
    ...["verify", "-x509_strict", "-CAfile", `${host}/ca-cert.pem`, `${host}/server-cert.pem`],
  ]);
  await output("qemu-img", [
    ...["info", "--object", `tls-creds-x509,id=t,dir=${host},endpoint=server`],
    ...["--image-opts", "driver=null-co,size=1M"],
  ]);
  const none = await virtcreds(["ca", "issue", "b", "--engine", "gnutls"], { cwd, env });
  assertEquals(none.code, 1);
  assertStringIncludes(
    none.stderr,
    "pki/ca-key.uri: its token wants a PIN\nhint: give the token's",
  );
});

/** Types an answer at each prompt, on a terminal of its own, and gives all that was shown. */
async function type(
  cwd: string,
  args: readonly string[],
  answers: readonly string[],
): Promise<{ code: number; shown: string }> {
  const words = ["run", "-A", `--config=${PROJECT}/deno.json`, `${PROJECT}/cli/ca.ts`, ...args];
  const command = [Deno.execPath(), ...words].map((word) => `'${word}'`).join(" ");
  const child = new Deno.Command("script", {
    args: ["-q", "-e", "-c", command, "/dev/null"],
    cwd,
    env: { NO_COLOR: "1", INIT_CWD: cwd },
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), 60_000);
  const writer = child.stdin.getWriter();
  let shown = "";
  let answered = 0;
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    shown += text;
    if (answered < answers.length && shown.split(/: $|: \r?\n/).length > answered + 1) {
      await writer.write(new TextEncoder().encode(answers[answered++]!));
    }
  }
  await writer.close().catch(() => {});
  clearTimeout(timer);
  return { code: (await child.status).code, shown };
}

programTest("ca asks for a passphrase on a terminal and shows nothing of it", [
  "script",
  "openssl",
], async () => {
  using temp = temporaryDirectory();
  const cwd = temp.path;
  const differ = await type(cwd, ["init", "--passphrase-file", "-"], ["one\r", "two\r"]);
  assertEquals(differ.code, 2, differ.shown);
  assertStringIncludes(differ.shown, "error: the two passphrases differ");
  const stopped = await type(cwd, ["init", "--passphrase-file", "-"], ["on\x03"]);
  assertEquals(stopped.code, 130, stopped.shown);
  const init = await type(cwd, ["init", "--passphrase-file", "-"], [
    "gehö\x7fimm\x7f\r",
    "gehim\r",
  ]);
  assertEquals(init.code, 0, init.shown);
  assertEquals(/geh/.test(init.shown), false, init.shown);
  await output("openssl", [
    ...["pkey", "-in", `${cwd}/pki/ca-key.pem`, "-passin", "pass:gehim", "-noout"],
  ]);
  const wrong = await type(cwd, ["issue", "a"], ["wrong\r"]);
  assertEquals(wrong.code, 1, wrong.shown);
  const issue = await type(cwd, ["issue", "a"], ["gehim\r"]);
  assertEquals(issue.code, 0, issue.shown);
  assert(/^passphrase of the CA's key: \r?\nissued for a /.test(issue.shown), issue.shown);
});
