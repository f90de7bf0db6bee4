import { assert, assertEquals, assertThrows } from "@std/assert";
import { X509Certificate } from "node:crypto";
import {
  BaseError,
  decodePem,
  der,
  derChildren,
  derSequence,
  readDerWhole,
} from "../../base/mod.ts";
import {
  certificateNames,
  formatIpAddress,
  parseCertificate,
  parseCrl,
  parseIpAddress,
} from "../../creds/mod.ts";
import {
  type CertificateSpec,
  makeCertificate,
  makeCrl,
  PURPOSE,
} from "../support/certificates.ts";

const FULL: CertificateSpec = {
  subject: "C=GB, O=Example, CN=vm1",
  serial: "00ff01",
  dns: ["vm1.example", "*.example.org"],
  ip: ["192.0.2.1", "2001:db8::7"],
  uri: ["https://example.org/x"],
  basicConstraints: { critical: true, ca: true, pathLength: 3 },
  keyUsage: { critical: true, usages: ["digitalSignature", "keyCertSign"] },
  purposes: { critical: false, oids: [PURPOSE.server, PURPOSE.client] },
  identifiers: true,
};

Deno.test("parseCertificate() gives every field that node:crypto and the model library see", async () => {
  const made = await makeCertificate(FULL);
  const certificate = parseCertificate(made.der);
  const seen = new X509Certificate(made.pem);
  assertEquals(certificate.raw, made.der);
  assertEquals(certificate.version, 3);
  assertEquals(
    certificate.serial.toHex().toUpperCase().replace(/^0+/, ""),
    seen.serialNumber.replace(/^0+/, ""),
  );
  assertEquals(certificate.notBefore.getTime(), new Date(seen.validFrom).getTime());
  assertEquals(certificate.notAfter.getTime(), new Date(seen.validTo).getTime());
  assertEquals(
    new Uint8Array(seen.publicKey.export({ type: "spki", format: "der" })),
    certificate.spki,
  );
  assertEquals(certificate.subject.text, "C=GB,O=Example,CN=vm1");
  assertEquals(certificate.basicConstraints, { critical: true, ca: true, pathLength: 3 });
  assertEquals(certificate.keyUsage, {
    critical: true,
    usages: ["digitalSignature", "keyCertSign"],
  });
  assertEquals(certificate.extendedKeyUsage, {
    critical: false,
    purposes: [PURPOSE.server, PURPOSE.client],
  });
  assertEquals(certificate.subjectAltName?.dns, FULL.dns);
  assertEquals(certificate.subjectAltName?.uri, FULL.uri);
  assertEquals(certificate.subjectAltName?.ip.map(formatIpAddress), FULL.ip);
  assertEquals(certificate.subjectKeyId?.id, certificate.authorityKeyId?.id);
  assertEquals(certificate.malformed, []);
  assertEquals(certificateNames(certificate), [...FULL.dns!, ...FULL.ip!]);
});

Deno.test("parseCertificate() tells keys apart", async () => {
  const key = async (keyType: NonNullable<CertificateSpec["keyType"]>) =>
    parseCertificate((await makeCertificate({ subject: "CN=x", keyType })).der).publicKey;
  assertEquals(await key("ec"), { oid: "1.2.840.10045.2.1", curve: "1.2.840.10045.3.1.7" });
  assertEquals(await key("ec-p384"), { oid: "1.2.840.10045.2.1", curve: "1.3.132.0.34" });
  assertEquals(await key("rsa"), { oid: "1.2.840.113549.1.1.1", bits: 2048 });
  assertEquals(await key("ed25519"), { oid: "1.3.101.112" });
});

Deno.test("parseCertificate() names the extensions that it cannot decode, and keeps the rest", async () => {
  const junk = Uint8Array.of(4, 1, 0);
  for (const oid of ["2.5.29.15", "2.5.29.19", "2.5.29.37", "2.5.29.14", "2.5.29.35"]) {
    const { der } = await makeCertificate({
      subject: "CN=x",
      dns: ["a.example"],
      extensions: [{
        oid,
        critical: true,
        value: oid === "2.5.29.14" ? Uint8Array.of(5, 0) : junk,
      }],
    });
    const certificate = parseCertificate(der);
    assertEquals([certificate.malformed, certificate.subjectAltName?.dns], [[oid], ["a.example"]]);
  }
});

Deno.test("parseCertificate() refuses what GnuTLS refuses, naming the cause", async () => {
  const { der: good } = await makeCertificate({ subject: "CN=x", dns: ["a"] });
  const [tbs, algorithm, signature] = derChildren(readDerWhole(good)).map(({ raw }) => raw);
  const fields = derChildren(readDerWhole(tbs!)).map(({ raw }) => raw);
  const rebuilt = (changed: readonly Uint8Array[]) =>
    derSequence(derSequence(...changed), algorithm!, signature!);
  const san = derChildren(readDerWhole(derChildren(readDerWhole(fields.at(-1)!))[0]!.raw))[0]!.raw;
  const rows: readonly (readonly [string, Uint8Array])[] = [
    ["the same extension twice", rebuilt(fields.with(-1, der(0xa3, derSequence(san, san))))],
    ["extensions in a certificate of version 1 or 2", rebuilt(fields.slice(1))],
    ["an unknown version", rebuilt(fields.with(0, der(0xa0, der(2, Uint8Array.of(3)))))],
    [
      "the signature algorithms inside and outside differ",
      rebuilt(fields.with(2, derSequence(der(6, Uint8Array.of(0x2a, 3))))),
    ],
    ["bytes behind the end", Uint8Array.of(...good, 0)],
    ["it ends too early", good.subarray(0, good.length - 1)],
    ["a certificate of more than 1 MiB", new Uint8Array(2 ** 21)],
  ];
  for (const [cause, bytes] of rows) {
    assertEquals(assertThrows(() => parseCertificate(bytes), BaseError).facts.cause, cause);
  }
});

Deno.test("parseCrl() gives the issuer, the dates and every serial", async () => {
  const ca = await makeCertificate({ subject: "CN=ca, O=x" });
  const serials = Array.from({ length: 100 }, (_, i) => (0x1000 + i).toString(16));
  const crl = parseCrl(decodePem(await makeCrl(ca, serials, { hours: [-5, 5] }))[0]!.der);
  assertEquals(crl.issuer.text, "CN=ca,O=x");
  assertEquals([...crl.revoked.keys()], serials);
  assert(crl.thisUpdate < new Date() && crl.nextUpdate! > new Date());
  const empty = parseCrl(decodePem(await makeCrl(ca, []))[0]!.der);
  assertEquals(empty.revoked.size, 0);
});

Deno.test("parseIpAddress() reads what inet_pton reads, and nothing else", () => {
  const rows: readonly (readonly [string, string | undefined])[] = [
    ["192.0.2.1", "c0000201"],
    ["0.0.0.0", "00000000"],
    ["255.255.255.255", "ffffffff"],
    ["256.0.0.1", undefined],
    ["01.2.3.4", undefined],
    ["1.2.3", undefined],
    ["1.2.3.4.5", undefined],
    [" 1.2.3.4", undefined],
    ["::", "00000000000000000000000000000000"],
    ["::1", "00000000000000000000000000000001"],
    ["1::", "00010000000000000000000000000000"],
    ["2001:DB8::7", "20010db8000000000000000000000007"],
    ["1:2:3:4:5:6:7:8", "00010002000300040005000600070008"],
    ["::ffff:192.0.2.1", "00000000000000000000ffffc0000201"],
    ["1:2:3:4:5:6:192.0.2.1", "000100020003000400050006c0000201"],
    ["1.2.3.4::", undefined],
    ["1:2:3:4:5:6:7", undefined],
    ["1:2:3:4:5:6:7:8:9", undefined],
    ["1::2::3", undefined],
    ["12345::", undefined],
    ["::%eth0", undefined],
    ["[::1]", undefined],
    [":", undefined],
    [":::", undefined],
    ["example.org", undefined],
    ["", undefined],
  ];
  for (const [text, hex] of rows) assertEquals(parseIpAddress(text)?.toHex(), hex, text);
});

Deno.test("formatIpAddress() writes addresses as RFC 5952 wants them", () => {
  for (
    const text of [
      "192.0.2.1",
      "::",
      "::1",
      "1::",
      "2001:db8::7",
      "1:2:3:4:5:6:7:8",
      "1:0:0:2::3",
      "fec0::dead:beaf",
    ]
  ) assertEquals(formatIpAddress(parseIpAddress(text)!), text);
  assertEquals(formatIpAddress(parseIpAddress("0:0:1:0:0:0:1:0")!), "0:0:1::1:0");
  assertEquals(formatIpAddress(parseIpAddress("1:0:2:3:4:5:6:7")!), "1:0:2:3:4:5:6:7");
  assertEquals(formatIpAddress(Uint8Array.of(1, 2)), "0102");
});
