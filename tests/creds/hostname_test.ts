import { assertEquals } from "@std/assert";
import { certificateNames, matchHostname, parseCertificate } from "../../creds/mod.ts";
import { type CertificateSpec, makeCertificate, PURPOSE } from "../support/certificates.ts";
import { enginesHere } from "../support/engines.ts";
import { Chance } from "../support/random_credentials.ts";
import { soakCount, soakRow } from "../support/soak.ts";

const engines = await enginesHere();

const BOTH_IPS = ["192.168.122.1", "fec0::dead:beaf"];
const ALT1 = { subject: "CN=qemu.org", dns: ["www.qemu.org", "qemu.org"], ip: BOTH_IPS };
const ALT2 = { subject: "CN=qemu.org", dns: ["www.qemu.org", "wiki.qemu.org"], ip: BOTH_IPS };
const WILDCARD = { subject: "CN=x", dns: ["*.example.org"] };

/** What GnuTLS was measured to match, row by row, and what its rules imply. */
const ROWS: readonly (readonly [CertificateSpec, Readonly<Record<string, boolean>>])[] = [
  [{ subject: "CN=qemu.org" }, {
    "qemu.org": true,
    "QEMU.ORG": true,
    "qemu.org.": false,
    "": false,
  }],
  [ALT1, {
    "qemu.org": true,
    "www.qemu.org": true,
    "wiki.qemu.org": false,
    "192.168.122.1": true,
    "192.168.122.01": false,
    "fec0::dead:beaf": true,
    "fec0:0:0:0:0:0:dead:beaf": true,
    "FEC0::DEAD:BEAF": true,
    "[fec0::dead:beaf]": false,
    "fec0::dead:bea": false,
  }],
  [ALT2, { "qemu.org": false, "www.qemu.org": true }],
  [{ subject: "CN=qemu.org", ip: ["127.0.0.1"] }, { "127.0.0.1": true, "qemu.org": false }],
  [{ subject: "CN=127.0.0.1" }, { "127.0.0.1": false }],
  [{ subject: "CN=x", dns: ["127.0.0.1"] }, { "127.0.0.1": false }],
  [WILDCARD, {
    "a.example.org": true,
    "A.Example.ORG": true,
    ".example.org": true,
    "a.b.example.org": false,
    "example.org": false,
  }],
  [{ subject: "CN=x", dns: ["w*.frag.example.org"] }, { "www.frag.example.org": false }],
  [{ subject: "CN=x", dns: ["*.com"] }, { "foo.com": false }],
  [{ subject: "CN=x", dns: ["*a.b.org"] }, {
    "xa.b.org": true,
    "a.b.org": true,
    "x.a.b.org": false,
  }],
  [{ subject: "CN=*.cn.example.org" }, { "h.cn.example.org": true }],
  [
    { subject: "CN=qemu.org", purposes: { critical: false, oids: [PURPOSE.client] } },
    { "qemu.org": false },
  ],
  [
    { subject: "CN=qemu.org", purposes: { critical: true, oids: [PURPOSE.any] } },
    { "qemu.org": true },
  ],
  [{ subject: "CN=a.org, CN=qemu.org" }, { "a.org": false, "qemu.org": false }],
  [{ subject: "CN=qemu.org", uri: ["https://other.org"] }, { "qemu.org": false }],
  [{ subject: "CN=x", dns: ["xn--zrich-kva.ch"] }, { "zürich.ch": true, "ZÜRICH.CH": true }],
  [{ subject: "CN=x", dns: ["xn--fa-hia.de"] }, { "faß.de": true, "fass.de": false }],
  [{
    subject: "CN=x",
    dns: [
      `${"a".repeat(60)}.${"b".repeat(60)}.${"c".repeat(60)}.${"d".repeat(60)}.${
        "e".repeat(20)
      }.org`,
    ],
  }, {
    [
      `${"a".repeat(60)}.${"b".repeat(60)}.${"c".repeat(60)}.${"d".repeat(60)}.${
        "e".repeat(20)
      }.org`
    ]: false,
    "x": false,
  }],
];

for (const [row, [spec, names]] of ROWS.entries()) {
  const label = `${spec.subject} with ${
    [...spec.dns ?? [], ...spec.ip ?? []].join(", ") || "no names"
  }`;
  Deno.test(`matchHostname() and GnuTLS agree on row ${row + 1}: ${label.slice(0, 80)}`, async () => {
    const { der } = await makeCertificate(spec);
    const certificate = parseCertificate(der);
    for (const [name, wanted] of Object.entries(names)) {
      assertEquals(matchHostname(certificate, name), wanted, `wanted ${name}`);
      for (const engine of engines) {
        if (engine.matchHostname === undefined) continue;
        assertEquals(engine.matchHostname(der, name), wanted, `${engine.name}, wanted ${name}`);
      }
    }
  });
}

Deno.test("matchHostname() and GnuTLS agree on names made by chance", async () => {
  const gnutls = engines.find((engine) => engine.matchHostname !== undefined);
  const count = soakCount(5_000, 100);
  const alphabet = ["a", "B", "1", ".", ".", "*", "-", ":", "ü", "org", "192.0.2.1", "::1", "_"];
  let matches = 0;
  for (let seed = 0; seed < count; seed++) {
    const chance = new Chance(seed);
    const word = () =>
      Array.from({ length: 1 + chance.below(5) }, () => chance.pick(alphabet)).join("");
    const ascii = () => word().replaceAll("ü", "u");
    const names = Array.from({ length: chance.below(3) }, ascii);
    const { der } = await makeCertificate({
      subject: chance.pick(["CN=a.b.org", "O=none", `CN=x`]),
      dns: names,
      ip: chance.pick([[], ["192.0.2.1"], ["::1"]]),
    });
    const certificate = parseCertificate(der);
    const wanted = [...names, word(), names[0]?.replace("*", "x") ?? "a.b.org"];
    for (const name of wanted) {
      const ours = matchHostname(certificate, name);
      if (ours) matches++;
      if (gnutls === undefined) continue;
      assertEquals(gnutls.matchHostname!(der, name), ours, `seed ${seed}: ${name} in ${names}`);
    }
  }
  soakRow("host names against GnuTLS", count, `${matches} matches, no difference`);
});

Deno.test("certificateNames() gives every name, addresses as people write them", async () => {
  const { der } = await makeCertificate(ALT1);
  assertEquals(certificateNames(parseCertificate(der)), [
    "www.qemu.org",
    "qemu.org",
    "192.168.122.1",
    "fec0::dead:beaf",
  ]);
});
