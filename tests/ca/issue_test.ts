import { assert, assertEquals, assertRejects } from "@std/assert";
import { CaError, initAuthority, issueHost, issueHosts } from "../../ca/mod.ts";
import { checkCredentials, parseCertificate } from "../../creds/mod.ts";
import { decodePem } from "../../base/mod.ts";
import { chooseEngine, type KeyType } from "../../engine/mod.ts";
import { assertWholeSet, modeOf, SET_FILES } from "../support/credential_set.ts";
import { daysFromNow, makePki } from "../support/pki.ts";
import { readLedger } from "../../ca/ledger.ts";
import { pkiPaths } from "../../ca/pki.ts";
import { temporaryDirectory } from "../support/temp.ts";

const engine = await chooseEngine();

function certificateIn(file: string) {
  return parseCertificate(decodePem(Deno.readTextFileSync(file))[0]!.der);
}

/** Every path below a directory. */
function tree(dir: string): string[] {
  return [...Deno.readDirSync(dir)].flatMap((entry) =>
    entry.isDirectory
      ? tree(`${dir}/${entry.name}`).map((name) => `${entry.name}/${name}`)
      : [entry.name]
  ).sort();
}

Deno.test("initAuthority() makes its files, the key and the store for its owner alone", async () => {
  using temp = temporaryDirectory();
  const dir = `${temp.path}/not/yet/pki`;
  const made = await initAuthority({ dir, name: "Example CA", engine });
  assertEquals(tree(dir), [
    ".lock",
    "ca-cert.pem",
    "ca-crl.pem",
    "ca-key.pem",
    "ca.db",
    "ca.log",
  ]);
  for (const file of [made.files.key, `${dir}/ca.db`, `${dir}/ca.log`]) {
    assertEquals(modeOf(file), 0o600);
  }
  const certificate = certificateIn(made.files.certificate);
  assertEquals(certificate.subject.text, "CN=Example CA");
  assertEquals(certificate.basicConstraints, { critical: true, ca: true });
  assertEquals(certificate.keyUsage, { critical: true, usages: ["keyCertSign", "cRLSign"] });
  assertEquals(certificate.notAfter, made.notAfter);
});

Deno.test("initAuthority() goes on with no database of another CA, whose files are gone", async () => {
  using temp = temporaryDirectory();
  const { dir } = await makePki(temp.path, { hosts: [] });
  for (const name of ["ca-cert.pem", "ca-key.pem", "ca-crl.pem"]) Deno.removeSync(`${dir}/${name}`);
  const error = await assertRejects(() => initAuthority({ dir, engine }), CaError);
  assertEquals([error.code, error.facts.file], ["CA_EXISTS", `${dir}/ca.db`]);
  assertEquals(tree(dir), [".lock", "ca.db", "ca.log"]);
});

Deno.test("initAuthority() touches no CA that is there, nor a part of one", async () => {
  using temp = temporaryDirectory();
  for (const file of ["ca-cert.pem", "ca-key.pem", "ca-crl.pem"]) {
    const dir = `${temp.path}/${file}`;
    Deno.mkdirSync(dir);
    Deno.writeTextFileSync(`${dir}/${file}`, "mine");
    const error = await assertRejects(() => initAuthority({ dir, engine }), CaError);
    assertEquals(error.message, `there is a CA already: ${dir}/${file}`);
    assertEquals(tree(dir), [file]);
    assertEquals(Deno.readTextFileSync(`${dir}/${file}`), "mine");
  }
});

const KEY_TYPES: readonly KeyType[] = ["ec-p256", "ec-p384", "rsa-2048", "ed25519"];

for (const keyType of KEY_TYPES) {
  Deno.test(`issueHost() makes a set that every QEMU takes without a warning, ${keyType}`, async () => {
    using temp = temporaryDirectory();
    const dir = `${temp.path}/pki`;
    await initAuthority({ dir, keyType, engine });
    const issued = await issueHost({
      dir,
      host: "host-a",
      dns: ["Host-A.example.com", "host-a"],
      ip: ["192.0.2.7", "2001:DB8::7", "::ffff:10.0.0.1"],
      keyType,
      engine,
    });
    assertEquals(issued.dir, `${dir}/hosts/host-a`);
    assertEquals(issued.files, SET_FILES.map((name) => `${issued.dir}/${name}`));
    assertWholeSet(issued.dir);
    const verdicts = await checkCredentials(issued.dir, { engine, expiresIn: 30 * 86_400_000 });
    assert(verdicts.length >= 2 && verdicts.every((verdict) => verdict.ok));
    const loud = verdicts.flatMap((verdict) => verdict.findings)
      .filter((finding) => finding.severity !== "info");
    assertEquals(loud, []);
    for (const { role, certificate: file, serial } of issued.certificates) {
      const certificate = certificateIn(file);
      assertEquals(certificate.subject.text, "O=virtcreds CA,CN=host-a");
      assertEquals(certificate.serial.toHex().replace(/^00/, ""), serial);
      assertEquals(certificate.basicConstraints, { critical: true, ca: false });
      assertEquals(
        certificate.keyUsage,
        keyType.startsWith("rsa")
          ? { critical: true, usages: ["digitalSignature", "keyEncipherment"] }
          : { critical: false, usages: ["digitalSignature"] },
      );
      const purpose = role === "server" ? "1.3.6.1.5.5.7.3.1" : "1.3.6.1.5.5.7.3.2";
      assertEquals(certificate.extendedKeyUsage, { critical: false, purposes: [purpose] });
      const { dns, ip, critical } = certificate.subjectAltName!;
      assertEquals([dns, critical], [["host-a", "host-a.example.com"], false]);
      assertEquals(ip.map((octets) => octets.toHex()), [
        "c0000207",
        "20010db8000000000000000000000007",
        "00000000000000000000ffff0a000001",
      ]);
      const authority = certificateIn(`${issued.dir}/ca-cert.pem`);
      assertEquals(certificate.authorityKeyId?.id, authority.subjectKeyId!.id);
    }
  });
}

Deno.test("issueHost() makes an address a name of its kind", async () => {
  using temp = temporaryDirectory();
  const pki = await makePki(temp.path, { hosts: [{ name: "FD00:0::1" }, { name: "192.0.2.1" }] });
  assertEquals(pki.host("FD00:0::1"), `${temp.path}/hosts/fd00::1`);
  for (const name of ["FD00:0::1", "192.0.2.1"]) {
    const { dns, ip } = pki.issued(name);
    assertEquals([dns.length, ip.length], [0, 1]);
    const certificate = certificateIn(`${pki.host(name)}/server-cert.pem`);
    assertEquals([certificate.subjectAltName!.dns, certificate.subjectAltName!.ip.length], [[], 1]);
  }
});

Deno.test("issueHost() makes the files of the roles that are asked for, and says what it drops", async () => {
  using temp = temporaryDirectory();
  const pki = await makePki(temp.path, { hosts: [{ name: "h" }] });
  Deno.writeTextFileSync(`${pki.host("h")}/dh-params.pem`, "");
  const issued = await issueHost({ dir: pki.dir, host: "h", roles: ["client"], engine });
  assertEquals(tree(issued.dir), [
    "ca-cert.pem",
    "ca-crl.pem",
    "client-cert.pem",
    "client-key.pem",
  ]);
  assertEquals(issued.previous, `${temp.path}/previous/h`);
  assertEquals(issued.dropped, ["dh-params.pem", "server-cert.pem", "server-key.pem"]);
  assertEquals(tree(issued.previous!), [...SET_FILES, "dh-params.pem"].sort());
});

Deno.test("issueHost() leaves a name of more than 64 characters out of the subject", async () => {
  using temp = temporaryDirectory();
  const name = `${"a".repeat(60)}.example.com`;
  const pki = await makePki(temp.path, { hosts: [{ name }] });
  assertEquals(pki.issued(name).named, false);
  const certificate = certificateIn(`${pki.host(name)}/server-cert.pem`);
  assertEquals(certificate.subject.text, "O=virtcreds CA");
  assertEquals(certificate.subjectAltName!.dns, [name]);
});

Deno.test("issueHost() cuts what would outlive the CA, and never starts before it", async () => {
  using temp = temporaryDirectory();
  const pki = await makePki(temp.path, {
    days: 30,
    hosts: [{ name: "h" }, { name: "s", days: 7 }],
  });
  assertEquals([pki.issued("h").cut, pki.issued("s").cut], [true, false]);
  const authority = certificateIn(`${pki.dir}/ca-cert.pem`);
  assertEquals(pki.issued("h").notAfter, authority.notAfter);
});

Deno.test("issueHosts() changes nothing for any host if one cannot be issued", async () => {
  using temp = temporaryDirectory();
  const pki = await makePki(temp.path, { hosts: [{ name: "a" }] });
  const before = Deno.readTextFileSync(`${pki.host("a")}/server-cert.pem`);
  Deno.writeTextFileSync(`${temp.path}/hosts/b`, "mine");
  await assertRejects(
    () => issueHosts([{ host: "a" }, { host: "b" }], { dir: pki.dir, engine }),
    CaError,
    "it is a file, not a directory",
  );
  const many = Array.from({ length: 400 }, (_, i) => `${"x".repeat(60)}.${"y".repeat(60)}.n${i}`);
  const error = await assertRejects(
    () => issueHosts([{ host: "a" }, { host: "c", dns: many }], { dir: pki.dir, engine }),
    CaError,
  );
  assertEquals(error.code, "TOO_MANY_NAMES");
  assertEquals(Deno.readTextFileSync(`${pki.host("a")}/server-cert.pem`), before);
  const others = tree(temp.path)
    .filter((name) => !/^(ca[-.]|\.lock|hosts\/(a\/|b$))/.test(name));
  assertEquals(others, []);
  await using store = await readLedger(pkiPaths(temp.path));
  assertEquals((await store.certificatesOf("a")).length, 2);
  assertEquals(await store.certificatesOf("c"), []);
});

Deno.test("issueHosts() refuses a host that is given twice", async () => {
  using temp = temporaryDirectory();
  const issue = (...hosts: string[]) =>
    issueHosts(hosts.map((host) => ({ host })), { dir: temp.path, engine });
  await assertRejects(
    () => issue("a", "b", "a"),
    CaError,
    "'a' is not a host name: it is given twice",
  );
  await assertRejects(() => issue("a", "A."), CaError, "it is a, which is given already");
  assertEquals(tree(temp.path), []);
});

Deno.test("issueHost() makes expired and future credentials by another clock", async () => {
  using temp = temporaryDirectory();
  const pki = await makePki(temp.path, {
    hosts: [{ name: "late", clock: daysFromNow(-400) }, { name: "early", clock: daysFromNow(9) }],
  });
  const [late] = await checkCredentials(pki.host("late"), { engine, endpoint: "server" });
  assertEquals(
    late!.message,
    `The server certificate ${pki.host("late")}/server-cert.pem has expired`,
  );
  const [early] = await checkCredentials(pki.host("early"), { engine, endpoint: "client" });
  assertEquals(
    early!.message,
    `The client certificate ${pki.host("early")}/client-cert.pem is not yet active`,
  );
});

Deno.test("issueHost() makes a CRL for an authority that has none", async () => {
  using temp = temporaryDirectory();
  const pki = await makePki(temp.path, { hosts: [] });
  Deno.removeSync(`${pki.dir}/ca-crl.pem`);
  const issued = await issueHost({ dir: pki.dir, host: "h", engine });
  assertWholeSet(issued.dir);
  assertEquals(
    Deno.readTextFileSync(`${issued.dir}/ca-crl.pem`),
    Deno.readTextFileSync(`${pki.dir}/ca-crl.pem`),
  );
});

Deno.test("issueHost() gives the hosts every certificate of the CA's file and nothing else in it", async () => {
  using temp = temporaryDirectory();
  const [pki, other] = [
    await makePki(`${temp.path}/one`, { hosts: [] }),
    await makePki(`${temp.path}/two`, { name: "Other CA", hosts: [] }),
  ];
  const [own, foreign, key] = [
    Deno.readTextFileSync(`${pki.dir}/ca-cert.pem`),
    Deno.readTextFileSync(`${other.dir}/ca-cert.pem`),
    Deno.readTextFileSync(`${pki.dir}/ca-key.pem`),
  ];
  Deno.writeTextFileSync(`${pki.dir}/ca-cert.pem`, `old:\n${foreign}\nnew:\n${own}${key}`);
  const issued = await issueHost({ dir: pki.dir, host: "h", engine });
  assertEquals(Deno.readTextFileSync(`${issued.dir}/ca-cert.pem`), foreign + own);
  assertEquals(certificateIn(issued.certificates[0]!.certificate).issuer.text, "CN=virtcreds CA");
});

Deno.test("issueHost() hands nothing out that a line of QEMU would refuse", async () => {
  using temp = temporaryDirectory();
  const pki = await makePki(`${temp.path}/pki`, { hosts: [{ name: "h" }] });
  const early = await makePki(`${temp.path}/early`, { clock: daysFromNow(90), hosts: [] });
  const both = Deno.readTextFileSync(`${pki.dir}/ca-cert.pem`) +
    Deno.readTextFileSync(`${early.dir}/ca-cert.pem`);
  Deno.writeTextFileSync(`${pki.dir}/ca-cert.pem`, both);
  const before = Deno.readTextFileSync(`${pki.host("h")}/server-cert.pem`);
  const error = await assertRejects(() => issueHost({ dir: pki.dir, host: "h", engine }), CaError);
  assertEquals(
    error.message,
    "QEMU would refuse the credentials made for h: The CA certificate " +
      `${pki.host("h")}/ca-cert.pem is not yet active (QEMU 2.5-7.2.21)`,
  );
  assertEquals(error.hints.length, 1);
  assertEquals(Deno.readTextFileSync(`${pki.host("h")}/server-cert.pem`), before);
  assertWholeSet(pki.host("h"));
});

Deno.test("issueHost() leaves another CA out that has expired, which would make QEMU refuse all", async () => {
  using temp = temporaryDirectory();
  const pki = await makePki(`${temp.path}/pki`, { hosts: [{ name: "h" }] });
  const old = await makePki(`${temp.path}/old`, {
    name: "Old CA",
    clock: daysFromNow(-90),
    days: 30,
    hosts: [],
  });
  const own = Deno.readTextFileSync(`${pki.dir}/ca-cert.pem`);
  for (const file of ["ca-cert.pem", "ca-crl.pem"]) {
    const text = Deno.readTextFileSync(`${old.dir}/${file}`);
    Deno.writeTextFileSync(`${pki.dir}/${file}`, text, { append: true });
  }
  await issueHost({ dir: pki.dir, host: "h", engine });
  assertEquals(Deno.readTextFileSync(`${pki.host("h")}/ca-cert.pem`), own);
  const lists = Deno.readTextFileSync(`${pki.host("h")}/ca-crl.pem`);
  assertEquals(lists.match(/BEGIN X509 CRL/g)?.length, 1);
});

/** What can be wrong with an authority, how it is made so, and what is said. */
const BROKEN: readonly {
  readonly name: string;
  readonly code: string;
  readonly cause?: string;
  readonly hint?: string;
  readonly damage: (dir: string, other: string) => void | Promise<void>;
  readonly days?: number;
}[] = [
  {
    name: "no certificate",
    code: "CA_MISSING",
    damage: (dir) => Deno.removeSync(`${dir}/ca-cert.pem`),
  },
  {
    name: "garbage for a certificate",
    code: "CA_CERTIFICATE",
    cause: "it has no certificate in PEM",
    damage: (dir) => Deno.writeTextFileSync(`${dir}/ca-cert.pem`, "garbage"),
  },
  {
    name: "a certificate of garbage",
    code: "CA_CERTIFICATE",
    damage: (dir) =>
      Deno.writeTextFileSync(
        `${dir}/ca-cert.pem`,
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
      ),
  },
  {
    name: "no key",
    code: "CA_KEY",
    cause: "there is no such file",
    damage: (dir) => Deno.removeSync(`${dir}/ca-key.pem`),
  },
  {
    name: "garbage for a key",
    code: "CA_KEY",
    damage: (dir) => Deno.writeTextFileSync(`${dir}/ca-key.pem`, "secret garbage"),
  },
  {
    name: "an encrypted key",
    code: "CA_KEY",
    hint: "give it with --passphrase-file",
    damage: async (dir) => {
      using key = await engine.importKey(Deno.readTextFileSync(`${dir}/ca-key.pem`));
      Deno.writeTextFileSync(`${dir}/ca-key.pem`, await key.exportPem("passphrase"));
    },
  },
  {
    name: "another CA's key",
    code: "CA_KEY",
    damage: (dir, other) => Deno.copyFileSync(`${other}/ca-key.pem`, `${dir}/ca-key.pem`),
  },
  {
    name: "a host's certificate and key",
    code: "CA_CERTIFICATE",
    cause: "it is not the certificate of a CA",
    damage: (dir, other) => {
      Deno.copyFileSync(`${other}/hosts/h/server-cert.pem`, `${dir}/ca-cert.pem`);
      Deno.copyFileSync(`${other}/hosts/h/server-key.pem`, `${dir}/ca-key.pem`);
    },
  },
  {
    name: "another CA's CRL",
    code: "CRL",
    cause: "the CA did not sign it",
    damage: (dir, other) => Deno.copyFileSync(`${other}/ca-crl.pem`, `${dir}/ca-crl.pem`),
  },
  {
    name: "a CRL with the label that QEMU refuses",
    code: "CRL",
    cause: "it has no X509 CRL in PEM",
    damage: (dir) => {
      const text = Deno.readTextFileSync(`${dir}/ca-crl.pem`);
      Deno.writeTextFileSync(`${dir}/ca-crl.pem`, text.replaceAll("X509 CRL", "CRL"));
    },
  },
  { name: "an expired certificate", code: "CA_EXPIRED", damage: () => {}, days: 31 },
  { name: "a clock before it", code: "CA_NOT_ACTIVE", damage: () => {}, days: -2 },
];

for (const { name, code, cause, hint = "", damage, days = 0 } of BROKEN) {
  Deno.test(`issueHost() refuses an authority with ${name} and writes nothing`, async () => {
    using temp = temporaryDirectory();
    const pki = await makePki(`${temp.path}/pki`, { days: 30, hosts: [] });
    const other = await makePki(`${temp.path}/other`, { hosts: [{ name: "h" }] });
    await damage(pki.dir, other.dir);
    const before = tree(pki.dir);
    const error = await assertRejects(
      () => issueHost({ dir: pki.dir, host: "h", engine, clock: daysFromNow(days) }),
      CaError,
    );
    assertEquals(error.code, code);
    if (cause !== undefined) assertEquals(error.facts.cause, cause);
    assert(error.hints[0]?.startsWith(hint), error.hints.join());
    assert(!error.message.includes("secret"));
    assertEquals(tree(pki.dir), before);
  });
}
