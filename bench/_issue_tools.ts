/** What a user would run instead of `ca issue`: a key and a certificate, one after the other. */

import { findProgram } from "../tests/support/programs.ts";
import { mustRun } from "./measure.ts";

/** A tool that makes certificates. */
export interface IssueTool {
  readonly name: string;
  /** Makes a CA once. */
  prepare(): Promise<void>;
  /** Makes a key and a certificate of a server. */
  issue(host: string): Promise<void>;
}

/** Debian's packages of the tools. */
const PACKAGES = "gnutls-bin openssl easy-rsa golang-cfssl";

/** The tools that are installed, all with EC P-256 keys, each with a folder of its own. */
export function issueTools(dir: string): IssueTool[] {
  const easyrsa = "/usr/share/easy-rsa/easyrsa";
  const tools = [
    findProgram("certtool") && certtool(`${dir}/certtool`),
    findProgram("openssl") && openssl(`${dir}/openssl`),
    isThere(easyrsa) && easyRsa(easyrsa, `${dir}/easy-rsa`),
    findProgram("cfssl") && cfssl(`${dir}/cfssl`),
  ].filter((tool) => typeof tool === "object");
  if (tools.length < 4) console.error(`note: tools are missing: apt-get install ${PACKAGES}`);
  return tools;
}

function isThere(file: string): boolean {
  try {
    return Deno.statSync(file).isFile;
  } catch {
    return false;
  }
}

function certtool(dir: string): IssueTool {
  const ca = ["--load-ca-certificate", `${dir}/ca.pem`, "--load-ca-privkey", `${dir}/ca-key.pem`];
  return {
    name: "certtool, two processes each",
    async prepare() {
      Deno.mkdirSync(dir);
      Deno.writeTextFileSync(`${dir}/ca.info`, "cn = bench\nca\ncert_signing_key\n");
      await mustRun("certtool", ["--generate-privkey", "--ecc", "--outfile", `${dir}/ca-key.pem`]);
      await mustRun("certtool", [
        ...["--generate-self-signed", "--load-privkey", `${dir}/ca-key.pem`],
        ...["--template", `${dir}/ca.info`, "--outfile", `${dir}/ca.pem`],
      ]);
    },
    async issue(host) {
      const [key, info] = [`${dir}/${host}-key.pem`, `${dir}/${host}.info`];
      Deno.writeTextFileSync(
        info,
        `cn = ${host}\ndns_name = ${host}\nsigning_key\ntls_www_server\n`,
      );
      await mustRun("certtool", ["--generate-privkey", "--ecc", "--outfile", key]);
      await mustRun("certtool", [
        ...["--generate-certificate", "--load-privkey", key, ...ca, "--template", info],
        ...["--outfile", `${dir}/${host}.pem`],
      ]);
    },
  };
}

/** One process for each certificate, which is the best that openssl can do. */
function openssl(dir: string): IssueTool {
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const make = (name: string, ...more: readonly string[]) =>
    mustRun("openssl", [
      ...["req", "-x509", ...key, "-subj", `/CN=${name}`, "-days", "365"],
      ...["-keyout", `${dir}/${name}-key.pem`, "-out", `${dir}/${name}.pem`, ...more],
    ]);
  return {
    name: "openssl req -x509 -CA, one process each",
    async prepare() {
      Deno.mkdirSync(dir);
      await make("ca");
    },
    async issue(host) {
      await make(
        host,
        ...["-CA", `${dir}/ca.pem`, "-CAkey", `${dir}/ca-key.pem`],
        ...["-addext", `subjectAltName=DNS:${host}`, "-addext", "extendedKeyUsage=serverAuth"],
      );
    },
  };
}

function easyRsa(program: string, dir: string): IssueTool {
  const env = {
    EASYRSA_BATCH: "1",
    EASYRSA_PKI: dir,
    EASYRSA_ALGO: "ec",
    EASYRSA_CURVE: "prime256v1",
  };
  return {
    name: "easyrsa build-server-full",
    async prepare() {
      await mustRun(program, ["init-pki"], { env });
      await mustRun(program, ["build-ca", "nopass"], { env });
    },
    async issue(host) {
      await mustRun(program, ["build-server-full", host, "nopass"], { env });
    },
  };
}

function cfssl(dir: string): IssueTool {
  const request = (name: string) =>
    JSON.stringify({ CN: name, hosts: [name], key: { algo: "ecdsa", size: 256 } });
  const run = (script: string, ...args: readonly string[]) =>
    mustRun("bash", ["-c", `cd "$0" && ${script}`, dir, ...args]);
  return {
    name: "cfssl gencert, two processes each",
    async prepare() {
      Deno.mkdirSync(dir);
      Deno.writeTextFileSync(`${dir}/ca.json`, request("bench"));
      await run("cfssl gencert -loglevel 5 -initca ca.json | cfssljson -bare ca");
    },
    async issue(host) {
      Deno.writeTextFileSync(`${dir}/${host}.json`, request(host));
      await run(
        'cfssl gencert -loglevel 5 -ca ca.pem -ca-key ca-key.pem "$1.json" | cfssljson -bare "$1"',
        host,
      );
    },
  };
}
