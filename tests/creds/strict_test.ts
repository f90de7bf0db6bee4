import { assert, assertEquals, assertMatch } from "@std/assert";
import { der, derOid, derSequence, Tag } from "../../base/mod.ts";
import { checkCredentials, type CheckOptions, explain, PROFILES } from "../../creds/mod.ts";
import type { Finding, KeyRegister, Verdict } from "../../creds/mod.ts";
import type { Endpoint } from "../../engine/mod.ts";
import {
  type CertificateSpec,
  makeCertificate,
  PURPOSE,
  type TestCertificate,
  writeCredentials,
} from "../support/certificates.ts";
import { extension, makeList } from "../support/crls.ts";
import { encodePem } from "../../base/mod.ts";
import { enginesHere } from "../support/engines.ts";
import { temporaryDirectory } from "../support/temp.ts";

const engines = await enginesHere();

const CA: CertificateSpec = {
  subject: "CN=ca",
  keyNumber: 1,
  serial: "4a".repeat(16),
  basicConstraints: { critical: true, ca: true },
  keyUsage: { critical: true, usages: ["keyCertSign", "cRLSign"] },
  identifiers: true,
  hours: [-1, 24 * 3650],
};

const HOST: CertificateSpec = {
  subject: "CN=vm1.example",
  serial: "3b".repeat(16),
  dns: ["vm1.example"],
  basicConstraints: { critical: true, ca: false },
  keyUsage: { critical: true, usages: ["digitalSignature"] },
  purposes: { critical: false, oids: [PURPOSE.server] },
  identifiers: true,
  hours: [-1, 24 * 365],
};

interface Change {
  readonly ca?: Partial<CertificateSpec>;
  readonly host?: Partial<CertificateSpec>;
  readonly endpoint?: Endpoint;
  readonly options?: Partial<CheckOptions>;
  /** Below the temporary directory. */
  readonly place?: string;
  /** Does something to the directory when all is written. */
  readonly then?: (dir: string, ca: TestCertificate) => void | Promise<void>;
}

async function judge(change: Change): Promise<Verdict[]> {
  using temporary = temporaryDirectory();
  const dir = `${temporary.path}${change.place ?? "/host"}`;
  const { endpoint = "server" } = change;
  const ca = await makeCertificate({ ...CA, ...change.ca });
  const own = await makeCertificate({ ...HOST, ...change.host, issuer: ca });
  writeCredentials(dir, endpoint, {
    ca: ca.pem,
    cert: own.pem,
    key: own.keyPem,
    ...(endpoint === "server" ? { crl: encodePem("X509 CRL", await makeList(ca)) } : {}),
  });
  await change.then?.(dir, ca);
  const verdicts = await Promise.all(
    engines.map((engine) =>
      checkCredentials(dir, { engine, endpoint, strict: true, ...change.options })
    ),
  );
  const [first, ...others] = verdicts.map((one) => one.map(withoutUnchecked));
  for (const one of others) assertEquals(one, first!);
  return first!;
}

/** Of SHA-1 one engine says that it cannot check it. */
const withoutUnchecked = (verdict: Verdict): Verdict => ({
  ...verdict,
  findings: verdict.findings.filter(({ code }) => code !== "SIGNATURE_NOT_CHECKED"),
});

const short = ({ code, severity }: Finding) => `${severity} ${code}`;
const last = (verdicts: readonly Verdict[]) => verdicts.at(-1)!;

const CONSTRAINED = {
  oid: "2.5.29.30",
  critical: true,
  value: derSequence(
    der(
      0xa0,
      derSequence(der(
        0xa4,
        derSequence(der(
          Tag.SET,
          derSequence(derOid("2.5.4.10"), der(Tag.UTF8_STRING, new TextEncoder().encode("Other"))),
        )),
      )),
    ),
  ),
};

/** What QEMU 10.2 loads, and what the strict look says of it. */
const ROWS: Readonly<Record<string, Change & { readonly reference?: string }>> = {
  "error KEY_WEAK": { host: { keyType: "rsa-1024" }, reference: "NIST SP 800-131A" },
  "error SIGNATURE_WEAK": {
    host: { hash: "SHA-1" },
    options: { sanityCheck: false },
    reference: "NIST SP 800-131A",
  },
  "error SERIAL_INVALID": { host: { serial: "3b".repeat(21) }, reference: "RFC 5280 4.1.2.2" },
  "warning SERIAL_SHORT": { host: { serial: "01020304" } },
  "info SERIAL_SHORT": { ca: { serial: "01" } },
  "warning LIFE_TOO_LONG": { host: { hours: [-1, 24 * 826] } },
  "warning OUTLIVES_ISSUER": { ca: { hours: [-1, 24] } },
  "warning AKI_MISSING": { host: { identifiers: false }, reference: "RFC 5280 4.2.1.1" },
  "warning SKI_MISSING": { ca: { identifiers: false }, reference: "RFC 5280 4.2.1.2" },
  "warning KEY_USAGE_MISSING": {
    ca: { keyUsage: undefined as never },
    reference: "RFC 5280 4.2.1.3",
  },
  "info KEY_USAGE_MISSING": { host: { keyUsage: undefined as never } },
  "warning KEY_USAGE_NOT_CRITICAL": {
    ca: { keyUsage: { critical: false, usages: ["keyCertSign", "cRLSign"] } },
  },
  "info KEY_USAGE_NOT_CRITICAL": {
    host: { keyUsage: { critical: false, usages: ["digitalSignature"] } },
    reference: "RFC 5280 4.2.1.3",
  },
  "warning KEY_ENCIPHERMENT_USELESS": {
    host: { keyUsage: { critical: true, usages: ["digitalSignature", "keyEncipherment"] } },
    reference: "RFC 8813 3, RFC 8410 5",
  },
  "warning CA_CONSTRAINTS_NOT_CRITICAL": {
    ca: { basicConstraints: { critical: false, ca: true } },
    reference: "RFC 5280 4.2.1.9",
  },
  "warning CA_CANNOT_REVOKE": { ca: { keyUsage: { critical: true, usages: ["keyCertSign"] } } },
  "info CERT_ANY_PURPOSE": { host: { purposes: undefined as never } },
  "warning SAN_MISSING": { host: { dns: [] }, reference: "RFC 9525 2" },
  "info SAN_MISSING": {
    endpoint: "client",
    host: { dns: [], purposes: { critical: false, oids: [PURPOSE.client] } },
  },
  "warning CN_NOT_IN_SAN": { host: { dns: ["vm2.example"] } },
  "warning SAN_MISFORMED": { host: { dns: ["vm1.example", "vm_1.example"] } },
  "error FILE_WRITABLE": { then: (dir) => Deno.chmodSync(`${dir}/ca-cert.pem`, 0o646) },
  "error DIRECTORY_WRITABLE": { then: (dir) => Deno.chmodSync(dir, 0o757) },
  "warning DIRECTORY_WRITABLE": { then: (dir) => Deno.chmodSync(dir, 0o770) },
  "info KEY_GROUP_ACCESS": { then: (dir) => Deno.chmodSync(`${dir}/server-key.pem`, 0o640) },
  "warning KEY_GROUP_ACCESS": {
    place: "/pki/hosts/vm1",
    then: (dir) => Deno.chmodSync(`${dir}/server-key.pem`, 0o640),
  },
  "warning LAYOUT_MODE": {
    place: "/image/etc/pki/qemu",
    then: (dir) => Deno.chmodSync(`${dir}/server-key.pem`, 0o660),
  },
  ...(Deno.uid() === 0
    ? {
      "warning LAYOUT_OWNER": {
        place: "/image/etc/pki/libvirt-vnc",
        then: (dir: string) => Deno.chownSync(`${dir}/server-cert.pem`, 4_000_000, null),
      },
    }
    : {}),
  "info CRL_MISSING": { then: (dir) => Deno.removeSync(`${dir}/ca-crl.pem`) },
  "warning CRL_NO_NEXT_UPDATE": {
    then: (dir, ca) => writeList(dir, ca, { hours: [-1, null] }),
    reference: "RFC 5280 5.1.2.5",
  },
  "warning CRL_NO_NUMBER": {
    then: (dir, ca) =>
      writeList(dir, ca, {
        number: null,
        extensions: [extension("1.2.3", false, Uint8Array.of(5, 0))],
      }),
  },
  "error PATH_REFUSED": { ca: { extensions: [CONSTRAINED] }, reference: "RFC 5280 4.2.1.10" },
  "warning VERDICTS_DIFFER": {},
};

async function writeList(
  dir: string,
  ca: TestCertificate,
  spec: Parameters<typeof makeList>[1],
): Promise<void> {
  Deno.writeTextFileSync(`${dir}/ca-crl.pem`, encodePem("X509 CRL", await makeList(ca, spec)));
}

for (const [row, change] of Object.entries(ROWS)) {
  Deno.test(`checkCredentials() says in a strict look: ${row}`, async () => {
    const { findings, ok } = last(await judge(change));
    const found = findings.find((finding) => short(finding) === row);
    assert(found !== undefined, `${findings.map(short)}`);
    assert(ok, "QEMU 10.2 loads it");
    assertEquals(found.message, "");
    assert(found.cause.length > 10 && found.mend.length > 10 && found.file.length > 0);
    assert(explain(found.code) !== undefined);
    if (change.reference !== undefined) {
      assertEquals(found.reference, change.reference);
      assertMatch(found.cause, /^accepted by QEMU.*, (forbidden|advised against) by [RN]/);
      assert(found.cause.includes(change.reference), found.cause);
    }
    const { options, ...without } = change;
    const lax = last(await judge({ ...without, options: { ...options, strict: false } }));
    assert(!lax.findings.some((finding) => short(finding) === row), "only in a strict look");
  });
}

Deno.test("checkCredentials() has nothing to say of a careful set in a strict look", async () => {
  const { findings } = last(await judge({ options: { profiles: [PROFILES.at(-1)!] } }));
  assertEquals(findings, []);
});

Deno.test("checkCredentials() says which QEMU accepts what another refuses", async () => {
  const verdicts = await judge({});
  assertEquals(verdicts.map(({ ok }) => ok), [false, true, false, true, true]);
  const [found] = last(verdicts).findings.filter(({ code }) => code === "VERDICTS_DIFFER");
  const start = "accepted by QEMU 7.2.22, 10.1.3, 10.2, refused by QEMU 2.5-7.2.21, 8.0-10.1.2: ";
  assert(found!.cause.startsWith(start), found!.cause);
  assertMatch(found!.cause, /usage does not permit key encipherment$/);
  assertMatch(found!.file, /server-cert\.pem$/);
});

Deno.test("checkCredentials() names only who accepts what a standard forbids", async () => {
  const cause = async (change: Change, code: string) =>
    last(await judge(change)).findings.find((finding) => finding.code === code)!.cause;
  const both = { host: { identifiers: false, keyUsage: undefined as never } };
  assertMatch(await cause(both, "AKI_MISSING"), /^accepted by QEMU, forbidden by RFC 5280/);
  const some = { host: { identifiers: false } };
  assertMatch(await cause(some, "AKI_MISSING"), /^accepted by QEMU 7\.2\.22, 10\.1\.3, 10\.2, for/);
  const none = { host: { identifiers: false, hours: [-9, -8] as const } };
  assertMatch(await cause(none, "AKI_MISSING"), /^forbidden by RFC 5280 4\.2\.1\.1: /);
});

Deno.test("checkCredentials() notices one key of two hosts, and of both roles", async () => {
  using dir = temporaryDirectory();
  const ca = await makeCertificate(CA);
  const purposes = { critical: false, oids: [PURPOSE.server, PURPOSE.client] };
  for (const host of ["a", "b"]) {
    for (const endpoint of ["server", "client"] as const) {
      const own = await makeCertificate({ ...HOST, issuer: ca, purposes });
      const files = { ca: ca.pem, cert: own.pem, key: own.keyPem };
      writeCredentials(`${dir.path}/${host}`, endpoint, files);
    }
  }
  const keys: KeyRegister = new Map();
  const codes: string[] = [];
  for (const host of ["a", "b"]) {
    const options = { engine: engines[0]!, strict: true, keys };
    for (const { findings, qemu } of await checkCredentials(`${dir.path}/${host}`, options)) {
      if (qemu === "10.2") codes.push(...findings.map(short));
    }
  }
  assertEquals(codes.filter((code) => code.includes("KEY_OF")), [
    "info KEY_OF_BOTH_ROLES",
    "warning KEY_OF_TWO_HOSTS",
    "warning KEY_OF_TWO_HOSTS",
  ]);
});

Deno.test("checkCredentials() looks at numbered identities in a strict look", async () => {
  const verdicts = await judge({
    then: async (dir, ca) => {
      const second = await makeCertificate({ ...HOST, issuer: ca, keyNumber: 3, serial: "01" });
      Deno.writeTextFileSync(`${dir}/server-cert-0.pem`, second.pem);
      Deno.writeTextFileSync(`${dir}/server-key-0.pem`, second.keyPem);
      Deno.chmodSync(`${dir}/server-key-0.pem`, 0o640);
    },
  });
  const found = last(verdicts).findings.filter(({ file }) => file.includes("-0.pem"));
  assertEquals(found.map(short), ["warning SERIAL_SHORT", "info KEY_GROUP_ACCESS"]);
});
