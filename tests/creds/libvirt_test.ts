import { assert, assertEquals, assertThrows } from "@std/assert";
import { BaseError } from "../../base/mod.ts";
import {
  checkCredentials,
  findLibvirtProfile,
  LIBVIRT_PROFILES,
  type Verdict,
} from "../../creds/mod.ts";
import type { Endpoint } from "../../engine/mod.ts";
import {
  type CertificateSpec,
  type CredentialFiles,
  makeCertificate,
  PURPOSE,
  writeCredentials,
} from "../support/certificates.ts";
import { QEMU_CASES } from "../support/credential_cases.ts";
import { enginesHere } from "../support/engines.ts";
import { makePki } from "../support/pki.ts";
import { temporaryDirectory } from "../support/temp.ts";

const engines = await enginesHere();
const engine = engines[0]!;

/** Each line's message on files made of an authority and a leaf; `%D` stands for the directory. */
async function ask(
  endpoint: Endpoint,
  leaf: Partial<CertificateSpec>,
  change: (files: CredentialFiles) => CredentialFiles = (files) => files,
): Promise<Verdict[]> {
  using dir = temporaryDirectory();
  const ca = await makeCertificate({
    subject: "CN=ca",
    keyNumber: 1,
    basicConstraints: { critical: true, ca: true },
  });
  const own = await makeCertificate({ subject: "CN=vm1", issuer: ca, ...leaf });
  writeCredentials(
    dir.path,
    endpoint,
    change({ ca: ca.pem, cert: own.pem, key: own.keyPem }),
  );
  const verdicts = await checkCredentials(dir.path, {
    engine,
    endpoint,
    profiles: LIBVIRT_PROFILES,
  });
  return verdicts.map((one) => ({ ...one, message: one.message.replaceAll(dir.path, "%D") }));
}

const messages = (verdicts: readonly Verdict[]) => verdicts.map(({ message }) => message);
const four = (message: string) => [message, message, message, message];

const NO_FILE = "No such file or directory";
const CERT = "%D/server-cert.pem";
const KEY = "%D/server-key.pem";
const DS = { critical: true, usages: ["digitalSignature"] } as const;

/** What is asked, and what libvirt 9.0, 10.5, 11.6 and 11.10 say. */
const ROWS: Readonly<
  Record<string, readonly [...Parameters<typeof ask>, expected: readonly string[]]>
> = {
  "a critical key usage without keyEncipherment": [
    "server",
    { keyUsage: DS },
    (files) => files,
    [
      `Certificate ${CERT} usage does not permit key encipherment`,
      `Certificate ${CERT} usage does not permit key encipherment`,
      "",
      "",
    ],
  ],
  "anyExtendedKeyUsage, which permits nothing": [
    "server",
    { purposes: { critical: true, oids: [PURPOSE.any] } },
    (files) => files,
    four(`Certificate ${CERT} purpose does not allow use for with a TLS server`),
  ],
  "a purpose that it does not know, which permits everything": [
    "server",
    { purposes: { critical: true, oids: [PURPOSE.codeSigning] } },
    (files) => files,
    four(""),
  ],
  "the other role's purpose": [
    "client",
    { purposes: { critical: true, oids: [PURPOSE.server] } },
    (files) => files,
    four("Certificate %D/client-cert.pem purpose does not allow use for with a TLS client"),
  ],
  "no authority": ["server", {}, ({ cert, key }) => ({ cert: cert!, key: key! }), [
    `Cannot read CA certificate '%D/ca-cert.pem': ${NO_FILE}`,
    `CA certificate '%D/ca-cert.pem' does not exist: ${NO_FILE}`,
    `CA certificate '%D/ca-cert.pem' does not exist: ${NO_FILE}`,
    `CA certificate '%D/ca-cert.pem' does not exist: ${NO_FILE}`,
  ]],
  "a server without a key": ["server", {}, ({ ca, cert }) => ({ ca: ca!, cert: cert! }), [
    `Cannot read private key '${KEY}': ${NO_FILE}`,
    `Key '${KEY}' does not exist, but certificate '${CERT}' does: ${NO_FILE}`,
    `Key '${KEY}' does not exist, but certificate '${CERT}' does: ${NO_FILE}`,
    `Key '${KEY}' does not exist, but certificate '${CERT}' does: ${NO_FILE}`,
  ]],
  "a server without a certificate": ["server", {}, ({ ca, key }) => ({ ca: ca!, key: key! }), [
    `Cannot read certificate '${CERT}': ${NO_FILE}`,
    `Certificate '${CERT}' does not exist: ${NO_FILE}`,
    `Certificate '${CERT}' does not exist: ${NO_FILE}`,
    `Certificate '${CERT}' does not exist: ${NO_FILE}`,
  ]],
  "a client with a key alone": ["client", {}, ({ ca, key }) => ({ ca: ca!, key: key! }), [
    "",
    ...four(
      `Certificate '%D/client-cert.pem' does not exist, but key '%D/client-key.pem' does: ${NO_FILE}`,
    ).slice(1),
  ]],
  "another authority's certificate": [
    "server",
    { issuer: await makeCertificate({ subject: "CN=other", keyNumber: 2 }) },
    (files) => files,
    four(
      `Our own certificate ${CERT} failed validation against %D/ca-cert.pem: The certificate hasn't got a known issuer.`,
    ),
  ],
  "a weak signature": [
    "server",
    { hash: "SHA-1", keyType: "rsa" },
    (files) => files,
    four(
      `Our own certificate ${CERT} failed validation against %D/ca-cert.pem: The certificate uses an insecure algorithm`,
    ),
  ],
  "a damaged authority": [
    "server",
    {},
    (files) => ({ ...files, ca: "junk" }),
    four("Unable to import CA certificate list %D/ca-cert.pem"),
  ],
  "a key of another certificate": ["server", {}, (files) => ({ ...files, key: OTHER.keyPem }), [
    ...four(
      `Unable to set x509 key and certificate: ${KEY}, ${CERT}: The certificate and the given key do not match.`,
    ),
  ]],
  "a file of more than 64 KiB": [
    "server",
    {},
    (files) => ({ ...files, cert: files.cert! + "#".repeat(65_536) }),
    four(`Failed to read file '${CERT}': Value too large for defined data type`),
  ],
  "a damaged CRL": [
    "server",
    {},
    (files) => ({ ...files, crl: "junk" }),
    four(
      "Unable to set x509 certificate revocation list: %D/ca-crl.pem: Base64 decoding error.",
    ),
  ],
};

const OTHER = await makeCertificate({ subject: "CN=other", keyNumber: 4 });

for (const [what, [endpoint, leaf, change, expected]] of Object.entries(ROWS)) {
  Deno.test(`checkCredentials() says what libvirt says of ${what}`, async () => {
    const verdicts = await ask(endpoint, leaf, change);
    assertEquals(messages(verdicts), expected);
    assertEquals(verdicts.map(({ ok }) => ok), expected.map((message) => message === ""));
  });
}

Deno.test("checkCredentials() has libvirt log what is not critical, and nothing more", async () => {
  const [old, , recent] = await ask("server", {
    keyUsage: { critical: false, usages: ["digitalSignature"] },
    purposes: { critical: false, oids: [PURPOSE.any] },
  });
  const logged = ({ findings }: Verdict) =>
    findings.filter(({ code }) => code === "LIBVIRT_LOGS").map(({ message }) =>
      message.replace(/ \/.*\.pem/, "")
    );
  assert(old!.ok && recent!.ok);
  assertEquals(logged(old!), [
    "Certificate usage does not permit key encipherment",
    "Certificate purpose does not allow use for with a TLS server",
  ]);
  assertEquals(logged(recent!), ["Certificate purpose does not allow use for with a TLS server"]);
});

Deno.test("libvirt and QEMU before 10.2 take and refuse the same of QEMU's own cases", async () => {
  for (const one of QEMU_CASES) {
    if (one.name.startsWith("missing")) continue;
    using dir = temporaryDirectory();
    writeCredentials(dir.path, one.endpoint, await one.files());
    const profiles = [findLibvirtProfile("11.6"), findLibvirtProfile("9.0.0")];
    const [recent, old] = await checkCredentials(dir.path, {
      engine,
      endpoint: one.endpoint,
      profiles,
    });
    assertEquals(recent!.ok, one.message === "", one.name);
    assertEquals(old!.ok, one.message === "" && one.enciphermentMessage === undefined, one.name);
  }
});

Deno.test("what ca issue makes has neither errors nor warnings under any line of libvirt", async () => {
  using dir = temporaryDirectory();
  const keyTypes = ["ec-p256", "rsa-2048", "ed25519"] as const;
  const pki = await makePki(dir.path, {
    hosts: keyTypes.map((keyType) => ({ name: keyType, keyType })),
  });
  for (const keyType of keyTypes) {
    for (const engine of engines) {
      const options = { engine, profiles: LIBVIRT_PROFILES };
      for (const verdict of await checkCredentials(pki.host(keyType), options)) {
        assertEquals([verdict.ok, verdict.message], [true, ""]);
        assertEquals(verdict.findings.filter(({ severity }) => severity !== "info"), []);
      }
    }
  }
});

Deno.test("findLibvirtProfile() knows which line a version belongs to", () => {
  const rules = (version: string) => {
    const { wantsKeyEncipherment, locatesFirst, takesNumbered } = findLibvirtProfile(version);
    return [wantsKeyEncipherment, locatesFirst ?? false, takesNumbered ?? false].map(Number).join(
      "",
    );
  };
  const versions = [
    "9.0.0",
    "10.4",
    "10.5.0",
    "11.3.0",
    "11.5.0",
    "11.6",
    "11.9.0",
    "11.10.0",
    "12.1",
  ];
  assertEquals(versions.map(rules), [
    "100",
    "100",
    "110",
    "110",
    "110",
    "010",
    "010",
    "011",
    "011",
  ]);
  for (const { name } of LIBVIRT_PROFILES) assertEquals(findLibvirtProfile(name).name, name);
  for (const version of ["8.0.0", "x"]) {
    const error = assertThrows(() => findLibvirtProfile(version), BaseError);
    assertEquals(error.message, `unknown libvirt version '${version}'`);
  }
});
