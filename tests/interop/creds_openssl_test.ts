/** What openssl makes, in kinds that no library of ours writes: QEMU and we say the same of it. */

import { assert, assertEquals } from "@std/assert";
import { checkCredentials, findProfile } from "../../creds/mod.ts";
import { run } from "../support/command.ts";
import { enginesHere } from "../support/engines.ts";
import { programTest } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";

const engines = await enginesHere();

const EC = ["ecparam", "-name", "prime256v1", "-genkey", "-noout"];
const RSA = ["genrsa", "2048"];
const EXTENSIONS = ["-extfile", "ext"];
const INSECURE = "The certificate uses an insecure algorithm";
const NOT_TRUSTED = "The certificate is not trusted";
const NO_HEADER = "Base64 unexpected header error.";

/** Whose key each authority has. */
const AUTHORITY_KEY = {
  ec: "ec",
  rsa: "rsa",
  v1: "ec",
  sha1: "ec",
  brainpool: "brainpool",
  secp256k1: "secp256k1",
  pss: "pss",
} as const;

interface Kind {
  /** Arguments that make the leaf's key on standard output. */
  readonly key?: readonly string[];
  /** Arguments that sign the leaf. */
  readonly sign?: readonly string[];
  /** The authority; without a word one on P-256. */
  readonly by?: keyof typeof AUTHORITY_KEY;
  /** Arguments that turn the certificate into what is in server-cert.pem. */
  readonly turn?: readonly string[];
  /** How QEMU's message ends; empty where it accepts. */
  readonly says: string;
  /** Only GnuTLS can tell. */
  readonly only?: "gnutls";
}

const KINDS: Readonly<Record<string, Kind>> = {
  "version 1": { sign: [], says: "" },
  "version 3": { says: "" },
  "SHA-1 on P-256": { sign: [...EXTENSIONS, "-sha1"], says: INSECURE },
  "SHA-1 with RSA": { key: RSA, by: "rsa", sign: [...EXTENSIONS, "-sha1"], says: INSECURE },
  "MD5 with RSA": { key: RSA, by: "rsa", sign: [...EXTENSIONS, "-md5"], says: INSECURE },
  "SHA-224": { sign: [...EXTENSIONS, "-sha224"], says: "" },
  "SHA-512": { sign: [...EXTENSIONS, "-sha512"], says: "" },
  "SHA3-256": { sign: [...EXTENSIONS, "-sha3-256"], says: "" },
  "RSA-PSS": {
    key: RSA,
    by: "rsa",
    sign: [...EXTENSIONS, "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32"],
    says: "",
  },
  "RSA-PSS with an odd salt": {
    key: RSA,
    by: "rsa",
    sign: [...EXTENSIONS, "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:20"],
    says: NOT_TRUSTED,
  },
  "RSA-PSS with SHA-1": {
    key: RSA,
    by: "rsa",
    sign: [
      ...EXTENSIONS,
      "-sha1",
      "-sigopt",
      "rsa_padding_mode:pss",
      "-sigopt",
      "rsa_pss_saltlen:20",
    ],
    says: NOT_TRUSTED,
  },
  "P-521": { key: ["ecparam", "-name", "secp521r1", "-genkey", "-noout"], says: "" },
  "P-224": { key: ["ecparam", "-name", "secp224r1", "-genkey", "-noout"], says: "" },
  "secp256k1": {
    key: ["ecparam", "-name", "secp256k1", "-genkey", "-noout"],
    says: "ASN1 parser: Error in DER parsing.",
    only: "gnutls",
  },
  "explicit curve": {
    key: ["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-param_enc", "explicit"],
    says: "ASN1 parser: Error in DER parsing.",
    only: "gnutls",
  },
  "Ed25519": { key: ["genpkey", "-algorithm", "ed25519"], says: "" },
  "Ed448": { key: ["genpkey", "-algorithm", "ed448"], says: "" },
  "RSA-1024": { key: ["genrsa", "1024"], says: "" },
  "RSA key in PKCS#1": { key: ["genrsa", "-traditional", "2048"], says: "" },
  "key of RSA-PSS": { key: ["genpkey", "-algorithm", "rsa-pss"], says: "" },
  "serial number 0": { sign: [...EXTENSIONS, "-set_serial", "0"], says: "" },
  "serial number -5": { sign: [...EXTENSIONS, "-set_serial", "-5"], says: "" },
  "authority of version 1": { by: "v1", says: "is missing basic constraints for a CA" },
  "authority that signed itself with SHA-1": { by: "sha1", says: "" },
  "CA with a key of RSA-PSS": { by: "pss", says: "" },
  "CA on brainpool": { by: "brainpool", says: NOT_TRUSTED },
  "CA on secp256k1": { by: "secp256k1", says: NOT_TRUSTED },
  "text before the certificate": { turn: ["x509", "-text"], says: "" },
  "DER": { turn: ["x509", "-outform", "DER"], says: NO_HEADER },
  "TRUSTED CERTIFICATE": { turn: ["x509", "-trustout"], says: NO_HEADER },
};

programTest("checkCredentials() and qemu-img agree on what openssl makes", [
  "openssl",
  "qemu-img",
  "certtool",
], async (t) => {
  using dir = temporaryDirectory();
  const cwd = dir.path;
  const openssl = async (...args: readonly string[]) => {
    const { code, stderr } = await run("openssl", args, { cwd });
    assertEquals(code, 0, `openssl ${args.join(" ")}: ${stderr}`);
  };
  await makeAuthorities(openssl);
  Deno.writeTextFileSync(
    `${cwd}/ext`,
    "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n",
  );
  await run("sh", ["-c", "certtool --get-dh-params --sec-param=medium > dh-params.pem"], { cwd });
  const { stdout } = await run("qemu-img", ["--version"]);
  const profiles = [findProfile(/version ([\d.]+)/.exec(stdout)![1]!)];
  for (
    const [name, { key = EC, sign = EXTENSIONS, by = "ec", turn, says, only }] of Object.entries(
      KINDS,
    )
  ) {
    await t.step(name, async () => {
      await openssl(...key.slice(0, 1), "-out", "server-key.pem", ...key.slice(1));
      await openssl("req", "-new", "-key", "server-key.pem", "-subj", "/CN=vm1", "-out", "csr");
      const issuer = ["-CA", `${by}.pem`, "-CAkey", `${AUTHORITY_KEY[by]}-key.pem`];
      const serial = sign.includes("-set_serial") ? [] : ["-set_serial", "77"];
      const request = ["x509", "-req", "-in", "csr", "-days", "9", "-out", "server-cert.pem"];
      await openssl(...request, ...issuer, ...serial, ...sign);
      if (turn !== undefined) {
        await openssl(
          ...turn.slice(0, 1),
          "-in",
          "server-cert.pem",
          "-out",
          "turned",
          ...turn.slice(1),
        );
        Deno.renameSync(`${cwd}/turned`, `${cwd}/server-cert.pem`);
      }
      Deno.copyFileSync(`${cwd}/${by}.pem`, `${cwd}/ca-cert.pem`);
      const object = `tls-creds-x509,id=t,dir=${cwd},endpoint=server`;
      const image = ["--image-opts", "driver=null-co,size=1M"];
      const { stderr } = await run("qemu-img", ["info", "--object", object, ...image]);
      const said = stderr.trim().replace(/^qemu-img: /, "");
      assert(said.endsWith(says) && (said === "") === (says === ""), said);
      for (const engine of engines) {
        if (only !== undefined && engine.name !== only) continue;
        const [verdict] = await checkCredentials(cwd, { engine, endpoint: "server", profiles });
        assertEquals(verdict!.message, said, engine.name);
      }
    });
  }
});

async function makeAuthorities(
  openssl: (...args: readonly string[]) => Promise<void>,
): Promise<void> {
  await openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "ec-key.pem");
  await openssl("genrsa", "-out", "rsa-key.pem", "2048");
  const authority = ["-days", "30", "-addext", "basicConstraints=critical,CA:TRUE"];
  const selfSign = (key: string, name: string, ...more: readonly string[]) =>
    openssl(
      "req",
      "-x509",
      "-new",
      "-key",
      key,
      "-subj",
      `/CN=${name} CA`,
      "-out",
      `${name}.pem`,
      ...authority,
      ...more,
    );
  await selfSign("ec-key.pem", "ec");
  await selfSign("rsa-key.pem", "rsa");
  await selfSign("ec-key.pem", "sha1", "-sha1");
  await openssl("genpkey", "-algorithm", "rsa-pss", "-out", "pss-key.pem");
  await selfSign("pss-key.pem", "pss");
  for (const [name, curve] of [["brainpool", "brainpoolP256r1"], ["secp256k1", "secp256k1"]]) {
    await openssl("ecparam", "-name", curve!, "-genkey", "-noout", "-out", `${name}-key.pem`);
    await selfSign(`${name}-key.pem`, name!);
  }
  await openssl("req", "-new", "-key", "ec-key.pem", "-subj", "/CN=v1 CA", "-out", "v1.csr");
  await openssl(
    "x509",
    "-req",
    "-in",
    "v1.csr",
    "-signkey",
    "ec-key.pem",
    "-days",
    "30",
    "-out",
    "v1.pem",
  );
}
