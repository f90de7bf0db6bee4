import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import {
  checkCredentials,
  CredsError,
  type Finding,
  findProfile,
  ObjectRegistry,
} from "../../creds/mod.ts";
import type { CheckOptions, Verdict } from "../../creds/mod.ts";
import type { Endpoint } from "../../engine/mod.ts";
import {
  type CertificateSpec,
  type CredentialFiles,
  makeCertificate,
  makeCrl,
} from "../support/certificates.ts";
import { PURPOSE, writeCredentials } from "../support/certificates.ts";
import { enginesHere } from "../support/engines.ts";
import { temporaryDirectory } from "../support/temp.ts";

const engines = await enginesHere();

const CA: CertificateSpec = {
  subject: "CN=ca",
  keyNumber: 1,
  basicConstraints: { critical: true, ca: true },
  keyUsage: { critical: true, usages: ["keyCertSign", "cRLSign"] },
  hours: [-1, 1000],
};

/** An authority and a leaf of it; what is written is what the change makes of them. */
async function judge(
  endpoint: Endpoint,
  leaf: Partial<CertificateSpec>,
  change: (
    files: CredentialFiles,
    ca: Awaited<ReturnType<typeof makeCertificate>>,
  ) => CredentialFiles | Promise<CredentialFiles> = (files) => files,
  options: Partial<CheckOptions> = {},
): Promise<Verdict> {
  using dir = temporaryDirectory();
  const ca = await makeCertificate(CA);
  const own = await makeCertificate({ subject: "CN=vm1", issuer: ca, ...leaf });
  writeCredentials(
    dir.path,
    endpoint,
    await change({ ca: ca.pem, cert: own.pem, key: own.keyPem }, ca),
  );
  const verdicts = await Promise.all(engines.map(async (engine) => {
    const [verdict] = await checkCredentials(dir.path, {
      engine,
      endpoint,
      profiles: [findProfile("7.2.22")],
      ...options,
    });
    return verdict!;
  }));
  for (const verdict of verdicts) assertEquals(verdict, verdicts[0]!);
  return verdicts[0]!;
}

const short = ({ code, severity }: Finding) => `${severity} ${code}`;
const day = (days: number) => days * 86_400_000;

/** What QEMU loads, and what is said of it all the same. */
const BESIDE: Readonly<Record<string, readonly [...Parameters<typeof judge>]>> = {
  "warning CERT_EXPIRES_SOON": ["server", {}, undefined, { expiresIn: day(2) }],
  "error HOSTNAME_MISMATCH": ["server", { dns: ["a"] }, undefined, { hostnames: ["b"] }],
  "error SUBJECT_UNUSABLE": ["server", { subject: "", dns: ["a"] }],
  "warning CERT_CANNOT_SIGN": ["server", {
    keyUsage: { critical: false, usages: ["keyEncipherment"] },
  }],
  "warning CERT_OTHER_PURPOSE": ["server", {
    purposes: { critical: false, oids: [PURPOSE.client] },
  }],
  "warning PAIR_IGNORED": ["client", {}, ({ ca, cert }) => ({ ca: ca!, cert: cert! })],
  "info PEER_NOT_VERIFIED": ["server", {}, undefined, { verifyPeer: false }],
  "warning CERT_REVOKED": [
    "server",
    { serial: "33" },
    async (files, ca) => ({ ...files, crl: await makeCrl(ca, ["33"]) }),
  ],
  "warning CRL_EXPIRED": [
    "server",
    {},
    async (files, ca) => ({ ...files, crl: await makeCrl(ca, [], { hours: [-48, -24] }) }),
  ],
  "warning CRL_NOT_SIGNED": [
    "server",
    {},
    async (files, ca) => {
      const signer = await makeCertificate({ subject: "CN=other", keyNumber: 2 });
      return { ...files, crl: await makeCrl(ca, [], { signer }) };
    },
  ],
  "error KEY_MISMATCH": [
    "server",
    { keyType: "ed25519" },
    async (files) => {
      const other = await makeCertificate({ subject: "CN=x", keyType: "ed25519", keyNumber: 1 });
      return { ...files, key: other.keyPem };
    },
  ],
  "info CA_TOO_MANY": [
    "server",
    {},
    async (files) => {
      const more = Array.from(
        { length: 16 },
        (_, i) => makeCertificate({ ...CA, subject: `CN=${i}` }),
      );
      return { ...files, ca: files.ca + (await Promise.all(more)).map(({ pem }) => pem).join("") };
    },
  ],
};

for (const [found, args] of Object.entries(BESIDE)) {
  Deno.test(`checkCredentials() accepts with QEMU and finds beside it: ${found}`, async () => {
    const { ok, findings } = await judge(...args);
    assertEquals([ok, findings.map(short)], [true, [found]]);
    for (const { cause, mend, file } of findings) {
      assert(cause !== "" && mend !== "" && file !== "");
      assertMatch(cause, /^([a-z]|QEMU ).*[^.]$/);
    }
  });
}

Deno.test("checkCredentials() finds nothing in good credentials", async () => {
  assertEquals(
    (await judge("server", { dns: ["a"] }, undefined, { hostnames: ["a"] })).findings,
    [],
  );
  assertEquals((await judge("client", {})).findings, []);
});

Deno.test("checkCredentials() goes on where QEMU stops, and keeps its order", async () => {
  const { message, findings } = await judge("server", {
    hours: [-48, -24],
    basicConstraints: { critical: true, ca: true },
    keyUsage: { critical: true, usages: ["keyCertSign"] },
    purposes: { critical: true, oids: [PURPOSE.client] },
  }, (files) => ({ ...files, key: "junk", crl: "junk" }));
  assertEquals(findings.map(({ code }) => code), [
    "CERT_EXPIRED",
    "CERT_IS_CA",
    "CERT_KEY_USAGE",
    "CERT_PURPOSE",
    "KEY_DAMAGED",
    "CRL_DAMAGED",
  ]);
  assertEquals(message, findings[0]!.message);
});

Deno.test("checkCredentials() says what mends a directory of ca issue by its layout", async () => {
  using dir = temporaryDirectory();
  const host = `${dir.path}/my pki/hosts/vm1`;
  Deno.mkdirSync(host, { recursive: true });
  const [verdict] = await checkCredentials(host, { engine: engines[0]!, endpoint: "server" });
  const mends = verdict!.findings.map(({ mend }) => mend);
  assertEquals(mends[0], `cp '${dir.path}/my pki/ca-cert.pem' '${host}/ca-cert.pem'`);
  assertEquals(mends[1], `deno task ca issue vm1 --dir '${dir.path}/my pki'`);
});

Deno.test("checkCredentials() reads the numbered identities of QEMU 10.2", async () => {
  using dir = temporaryDirectory();
  const ca = await makeCertificate(CA);
  const leaf = await makeCertificate({ subject: "CN=vm1", issuer: ca });
  writeCredentials(dir.path, "server", { ca: ca.pem });
  const write = (name: string, text: string) =>
    Deno.writeTextFileSync(`${dir.path}/${name}`, text, { mode: 0o600 });
  write("server-cert-0.pem", leaf.pem);
  write("server-key-0.pem", leaf.keyPem);
  const judgeBy = async (version: string) => {
    const profiles = [findProfile(version)];
    const [verdict] = await checkCredentials(dir.path, { engine: engines[0]!, profiles });
    return verdict!.message.replaceAll(dir.path, "D");
  };
  assertEquals(await judgeBy("10.2"), "");
  assertEquals(
    await judgeBy("10.1.3"),
    "Unable to access credentials D/server-cert.pem: No such file or directory",
  );
  write("server-cert-1.pem", leaf.pem);
  assertEquals(
    await judgeBy("10.2"),
    "Cert 'D/server-cert-1.pem' without corresponding key 'D/server-key-1.pem'",
  );
  write("server-key-1.pem", leaf.keyPem);
  write("server-key-3.pem", "junk, and never looked at");
  assertEquals(await judgeBy("10.2"), "");
});

for (
  const [name, message] of [
    [
      "ca-cert.pem",
      "Cannot load CA cert list D/ca-cert.pem: Error reading file “D/ca-cert.pem”: Is a directory",
    ],
    [
      "server-cert.pem",
      "Cannot load CA cert list D/server-cert.pem: Error reading file “D/server-cert.pem”: Is a directory",
    ],
    [
      "server-key.pem",
      "Cannot load certificate 'D/server-cert.pem' & key 'D/server-key.pem': Error while reading file.",
    ],
    ["ca-crl.pem", "Cannot load CRL 'D/ca-crl.pem': Error while reading file."],
    ["dh-params.pem", "Error reading file “D/dh-params.pem”: Is a directory"],
  ] as const
) {
  Deno.test(`checkCredentials() says what QEMU says of a directory in the place of ${name}`, async () => {
    using dir = temporaryDirectory();
    const ca = await makeCertificate(CA);
    const leaf = await makeCertificate({ subject: "CN=vm1", issuer: ca });
    writeCredentials(dir.path, "server", { ca: ca.pem, cert: leaf.pem, key: leaf.keyPem });
    if (!/crl|dh/.test(name)) Deno.removeSync(`${dir.path}/${name}`);
    Deno.mkdirSync(`${dir.path}/${name}`);
    const options = {
      engine: engines[0]!,
      endpoint: "server",
      profiles: [findProfile("7.2.22")],
    } as const;
    const [verdict] = await checkCredentials(dir.path, options);
    assertEquals(verdict!.message.replaceAll(dir.path, "D"), message);
  });
}

Deno.test("ObjectRegistry.add() refuses a key of another Ed25519 certificate, which QEMU loads", async () => {
  using dir = temporaryDirectory();
  const ca = await makeCertificate(CA);
  const leaf = await makeCertificate({ subject: "CN=vm1", issuer: ca, keyType: "ed25519" });
  const other = await makeCertificate({ subject: "CN=x", keyType: "ed25519", keyNumber: 1 });
  writeCredentials(dir.path, "server", { ca: ca.pem, cert: leaf.pem, key: other.keyPem });
  for (const engine of engines) {
    using registry = new ObjectRegistry({ engine });
    const option = `tls-creds-x509,id=t,dir=${dir.path},endpoint=server`;
    await assertRejects(() => registry.add(option), CredsError, "the given key do not match");
  }
});
