// Keys and signatures of each engine, and those of openssl and certtool.

import { assert, assertEquals, assertFalse } from "@std/assert";
import { decodePem, derChildren, derOid, derSequence, readDerWhole } from "../../base/mod.ts";
import type { Engine, KeyType } from "../../engine/mod.ts";
import { run } from "../support/command.ts";
import { enginesHere } from "../support/engines.ts";
import { programTest } from "../support/programs.ts";
import { soakCount, soakRow } from "../support/soak.ts";
import { temporaryDirectory } from "../support/temp.ts";

const engines = await enginesHere();
const TYPES: readonly KeyType[] = ["ec-p256", "ec-p384", "rsa-2048", "ed25519"];
const data = new TextEncoder().encode("what is signed");

async function must(program: string, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run(program, args);
  assertEquals(code, 0, `${program} ${args.join(" ")}: ${stderr}`);
  return stdout;
}

/** `openssl pkey` and its like want the passphrase in a form of its own. */
const secret = "pass:correct horse";

for (const engine of engines) {
  for (const type of TYPES) {
    programTest(`openssl reads a ${type} key of ${engine.name} and checks its signature`, [
      "openssl",
    ], async () => {
      using temp = temporaryDirectory();
      const file = (name: string) => `${temp.path}/${name}`;
      using key = await engine.generateKey(type);
      Deno.writeTextFileSync(file("plain"), await key.exportPem());
      Deno.writeTextFileSync(file("locked"), await key.exportPem("correct horse"));
      Deno.writeFileSync(file("data"), data);
      Deno.writeFileSync(file("signature"), await key.sign(data));
      for (const name of ["plain", "locked"]) {
        const check = type === "ed25519" ? [] : ["-check"];
        await must("openssl", [
          ...["pkey", "-in", file(name), "-passin", secret, ...check],
          ...["-pubout", "-out", file("public")],
        ]);
        const pem = Deno.readTextFileSync(file("public"));
        assertEquals(decodePem(pem)[0]!.der, key.publicKey);
      }
      const digest = type === "ec-p384" ? "sha384" : "sha256";
      await must("openssl", [
        ...["pkeyutl", "-verify", "-pubin", "-inkey", file("public"), "-rawin"],
        ...(type === "ed25519" ? [] : ["-digest", digest]),
        ...["-in", file("data"), "-sigfile", file("signature")],
      ]);
    });

    programTest(`certtool reads a ${type} key of ${engine.name}`, ["certtool"], async () => {
      using temp = temporaryDirectory();
      using key = await engine.generateKey(type);
      for (const password of [undefined, "correct horse"]) {
        const file = `${temp.path}/key-${password}`;
        Deno.writeTextFileSync(file, await key.exportPem(password));
        const locked = password === undefined ? [] : ["--password", password];
        const said = await must("certtool", ["--pubkey-info", "--load-privkey", file, ...locked]);
        assertEquals(decodePem(said)[0]!.der, key.publicKey);
      }
    });
  }

  for (
    const [name, args, expected] of [
      ["P-256", ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"], "ec-p256"],
      ["P-384", ["EC", "-pkeyopt", "ec_paramgen_curve:P-384"], "ec-p384"],
      ["P-521", ["EC", "-pkeyopt", "ec_paramgen_curve:P-521"], undefined],
      ["RSA-1024", ["RSA", "-pkeyopt", "rsa_keygen_bits:1024"], undefined],
      ["RSA-2048", ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"], "rsa-2048"],
      ["Ed25519", ["ED25519"], "ed25519"],
    ] as const
  ) {
    programTest(
      `importKey() by ${engine.name} reads openssl's ${name} in every form`,
      ["openssl"],
      async () => {
        using temp = temporaryDirectory();
        const file = (form: string) => `${temp.path}/${form}`;
        const plain = file("pkcs8");
        await must("openssl", ["genpkey", "-algorithm", ...args, "-out", plain]);
        const convert = (form: string, ...how: readonly string[]) =>
          must("openssl", [...how, "-in", plain, "-out", file(form)]);
        await convert("pbes2", "pkey", "-aes256", "-passout", secret);
        await convert("hmac-sha1", "pkcs8", "-topk8", "-v2prf", "hmacWithSHA1", "-passout", secret);
        await convert("aes-128", "pkcs8", "-topk8", "-v2", "aes-128-cbc", "-passout", secret);
        await convert("3des", "pkcs8", "-topk8", "-v2", "des3", "-passout", secret);
        // GnuTLS knows no scrypt, and so QEMU does not.
        if (engine.name !== "gnutls") {
          await convert("scrypt", "pkcs8", "-topk8", "-scrypt", "-passout", secret);
        }
        if (name.startsWith("RSA")) {
          await convert("pkcs1", "rsa", "-traditional");
          await convert("pkcs1-locked", "rsa", "-traditional", "-aes128", "-passout", secret);
        }
        if (name.startsWith("P-")) {
          await convert("sec1", "ec");
          await convert("sec1-locked", "ec", "-aes128", "-passout", secret);
        }
        const spki = decodePem(await must("openssl", ["pkey", "-in", plain, "-pubout"]))[0]!.der;
        for (const { name: form } of Deno.readDirSync(temp.path)) {
          const pem = Deno.readTextFileSync(file(form));
          using key = await engine.importKey(pem, "correct horse");
          assertEquals([form, key.type], [form, expected]);
          assertEquals(key.publicKey, spki);
          assert((await key.sign(data)).length > 0);
        }
      },
    );
  }

  programTest(
    `importKey() by ${engine.name} reads certtool's keys in every form`,
    ["certtool"],
    async () => {
      // GnuTLS puts a zero before every second EC scalar: one key shows nothing.
      const rounds = soakCount(400, 8);
      const kinds = [
        ["ec-p256", ["--key-type", "ecdsa", "--curve", "secp256r1"]],
        ["ec-p384", ["--key-type", "ecdsa", "--curve", "secp384r1"]],
        ["ed25519", ["--key-type", "ed25519"]],
      ] as const;
      const locked = ["--pkcs8", "--password", "correct horse"];
      for (const [type, args] of kinds) {
        for (let round = 0; round < rounds; round++) {
          const form = [[], ["--pkcs8", "--password", ""], locked][round % 3]!;
          const pem = await must("certtool", ["--generate-privkey", "--no-text", ...args, ...form]);
          using key = await engine.importKey(pem, form === locked ? "correct horse" : undefined);
          assertEquals(key.type, type);
          assert((await key.sign(data)).length > 0);
        }
      }
      soakRow(`certtool's keys read by ${engine.name}`, rounds * kinds.length, "all read");
    },
  );

  programTest(
    `verify() by ${engine.name} accepts what openssl signed, by every algorithm, but for odd salts`,
    [
      "openssl",
    ],
    async () => {
      using temp = temporaryDirectory();
      const file = (name: string) => `${temp.path}/${name}`;
      const pss = (digest: string, salt: number) => [
        ...["-sigopt", "rsa_padding_mode:pss", "-sigopt", `rsa_pss_saltlen:${salt}`],
        ...["-sigopt", `rsa_mgf1_md:${digest}`],
      ];
      const rows: readonly (readonly [key: readonly string[], req: readonly string[]])[] = [
        [["RSA", "-pkeyopt", "rsa_keygen_bits:2048"], ["-sha1"]],
        [["RSA", "-pkeyopt", "rsa_keygen_bits:2048"], ["-sha256"]],
        [["RSA", "-pkeyopt", "rsa_keygen_bits:2048"], ["-sha384"]],
        [["RSA", "-pkeyopt", "rsa_keygen_bits:2048"], ["-sha512"]],
        [["RSA", "-pkeyopt", "rsa_keygen_bits:2048"], ["-sha256", ...pss("sha256", 32)]],
        [["RSA", "-pkeyopt", "rsa_keygen_bits:2048"], ["-sha384", ...pss("sha384", 48)]],
        [["RSA", "-pkeyopt", "rsa_keygen_bits:2048"], ["-sha512", ...pss("sha512", 64)]],
        [["EC", "-pkeyopt", "ec_paramgen_curve:P-256"], ["-sha256"]],
        [["EC", "-pkeyopt", "ec_paramgen_curve:P-256"], ["-sha512"]],
        [["EC", "-pkeyopt", "ec_paramgen_curve:P-384"], ["-sha384"]],
        [["EC", "-pkeyopt", "ec_paramgen_curve:P-521"], ["-sha512"]],
        [["ED25519"], []],
      ];
      const salty = (digest: string, salt: number): typeof rows[number] => [
        ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        [`-${digest}`, ...pss(digest, salt)],
      ];
      // Of a key of plain RSA GnuTLS takes no salt of another length than the digest's.
      const refused = [salty("sha512", 20), salty("sha256", 0), salty("sha256", 64)];
      for (const [key, req] of [...rows, ...refused]) {
        await must("openssl", ["genpkey", "-algorithm", ...key, "-out", file("key")]);
        const pem = await must("openssl", [
          ...["req", "-x509", "-new", "-key", file("key"), "-subj", "/CN=x", ...req],
        ]);
        const spki =
          decodePem(await must("openssl", ["pkey", "-in", file("key"), "-pubout"]))[0]!.der;
        const signed = certificateParts(decodePem(pem)[0]!.der);
        const what = [...key, ...req].join(" ");
        assertEquals(verify(engine, spki, signed), rows.some((row) => row[1] === req), what);
        const { signature } = signed;
        signature[signature.length - 1]! ^= 1;
        assertFalse(verify(engine, spki, signed), what);
      }
    },
  );

  programTest(`verify() by ${engine.name} takes no signature by another digest or salt`, [
    "openssl",
  ], async () => {
    using key = await engine.generateKey("rsa-2048");
    using temp = temporaryDirectory();
    Deno.writeTextFileSync(`${temp.path}/key`, await key.exportPem());
    const pem = await must("openssl", [
      ...["req", "-x509", "-new", "-key", `${temp.path}/key`, "-subj", "/CN=x", "-sha384"],
    ]);
    const signed = certificateParts(decodePem(pem)[0]!.der);
    assert(verify(engine, key.publicKey, signed));
    const sha256 = derSequence(derOid("1.2.840.113549.1.1.11"), Uint8Array.of(5, 0));
    assertFalse(verify(engine, key.publicKey, { ...signed, algorithm: sha256 }));
  });
}

interface Signed {
  readonly data: Uint8Array;
  readonly algorithm: Uint8Array;
  readonly signature: Uint8Array;
}

function certificateParts(der: Uint8Array): Signed {
  const [tbs, algorithm, signature] = derChildren(readDerWhole(der));
  const bits = signature!.content.slice(1);
  return { data: tbs!.raw, algorithm: algorithm!.raw, signature: bits };
}

function verify(engine: Engine, publicKey: Uint8Array, signed: Signed): boolean {
  return engine.verify({ publicKey, ...signed });
}
