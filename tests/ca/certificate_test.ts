import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { assert, assertEquals } from "@std/assert";
import { derChildren, derInteger, derTime, derUnsigned, readDerWhole } from "../../base/mod.ts";
import { encodeTbsCertificate, randomSerial } from "../../ca/certificate.ts";
import { encodeTbsCrl, nextCrlNumber } from "../../ca/crl.ts";
import { authorityKeyIdentifier, keyIdentifier } from "../../ca/extensions.ts";
import { parseDnsName, parseIpName } from "../../ca/host_name.ts";
import { encodeName } from "../../ca/name.ts";
import { authorityExtensions, leafExtensions } from "../../ca/profile.ts";
import type { KeyType, SignatureAlgorithm } from "../../engine/mod.ts";

interface Kind {
  readonly type: KeyType;
  readonly algorithm: SignatureAlgorithm;
  readonly generate: RsaHashedKeyGenParams | EcKeyGenParams | { readonly name: string };
  readonly sign: { readonly name: string; readonly hash: string };
}

const rsa = {
  name: "RSASSA-PKCS1-v1_5",
  hash: "SHA-256",
  modulusLength: 2048,
  publicExponent: Uint8Array.of(1, 0, 1),
};

const KINDS: readonly Kind[] = [
  {
    type: "ec-p256",
    algorithm: "ecdsa-with-SHA256",
    generate: { name: "ECDSA", namedCurve: "P-256" },
    sign: { name: "ECDSA", hash: "SHA-256" },
  },
  {
    type: "ec-p384",
    algorithm: "ecdsa-with-SHA384",
    generate: { name: "ECDSA", namedCurve: "P-384" },
    sign: { name: "ECDSA", hash: "SHA-384" },
  },
  {
    type: "rsa-2048",
    algorithm: "sha256WithRSAEncryption",
    generate: rsa,
    sign: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
  },
  {
    type: "ed25519",
    algorithm: "Ed25519",
    generate: { name: "Ed25519" },
    sign: { name: "Ed25519", hash: "SHA-512" },
  },
];

/** On both sides of 2050, where the form of a date changes. */
const DATES = [
  [new Date("2025-01-31T23:59:59Z"), new Date("2026-01-31T23:59:59Z")],
  [new Date("2049-12-31T23:59:59Z"), new Date("2050-01-01T00:00:00Z")],
] as const;

async function generate(kind: Kind): Promise<{ keys: CryptoKeyPair; spki: Uint8Array }> {
  const keys = await crypto.subtle.generateKey(kind.generate, true, [
    "sign",
    "verify",
  ]) as CryptoKeyPair;
  return { keys, spki: new Uint8Array(await crypto.subtle.exportKey("spki", keys.publicKey)) };
}

/** The part of a certificate or CRL that is signed. */
function signedPart(raw: ArrayBuffer): string {
  return derChildren(readDerWhole(new Uint8Array(raw)))[0]!.raw.toHex();
}

for (const kind of KINDS) {
  for (const [notBefore, notAfter] of DATES) {
    const until = notAfter.getUTCFullYear();

    Deno.test(`encodeTbsCertificate() writes the CA that @peculiar/x509 writes, ${kind.type}, to ${until}`, async () => {
      const { keys, spki } = await generate(kind);
      const serial = randomSerial();
      const name = "Ünïversal CA, O=x";
      const subject = encodeName([["CN", name]]);
      const expected = await x509.X509CertificateGenerator.create({
        serialNumber: derUnsigned(serial).slice(2).toHex(),
        subject: [{ CN: [name] }],
        issuer: [{ CN: [name] }],
        notBefore,
        notAfter,
        publicKey: keys.publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: kind.sign,
        extensions: [
          new x509.BasicConstraintsExtension(true, undefined, true),
          new x509.KeyUsagesExtension(
            x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
            true,
          ),
          await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
        ],
      });
      const extensions = await authorityExtensions(spki);
      const tbs = encodeTbsCertificate(
        { serial, issuer: subject, subject, notBefore, notAfter, publicKey: spki, extensions },
        kind.algorithm,
      );
      assertEquals(tbs.toHex(), signedPart(expected.rawData));
    });

    Deno.test(`encodeTbsCertificate() writes the leaf that @peculiar/x509 writes, ${kind.type}, to ${until}`, async () => {
      const [issuer, { keys, spki }] = [await generate(kind), await generate(kind)];
      const serial = Uint8Array.of(0x7f, 0xff, 0, 1);
      const isRsa = kind.type.startsWith("rsa");
      const flags = x509.KeyUsageFlags;
      const issuerKeyId = await keyIdentifier(issuer.spki);
      const expected = await x509.X509CertificateGenerator.create({
        serialNumber: serial.toHex(),
        subject: [{ O: ["virtcreds CA"] }, { CN: ["host-a"] }],
        issuer: [{ CN: ["virtcreds CA"] }],
        notBefore,
        notAfter,
        publicKey: keys.publicKey,
        signingKey: issuer.keys.privateKey,
        signingAlgorithm: kind.sign,
        extensions: [
          new x509.BasicConstraintsExtension(false, undefined, true),
          isRsa
            ? new x509.KeyUsagesExtension(flags.digitalSignature | flags.keyEncipherment, true)
            : new x509.KeyUsagesExtension(flags.digitalSignature, false),
          new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth], false),
          new x509.SubjectAlternativeNameExtension([
            { type: "dns", value: "host-a" },
            { type: "dns", value: "host-a.example.com" },
            { type: "ip", value: "192.0.2.7" },
            { type: "ip", value: "2001:db8::7" },
          ]),
          await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
          new x509.AuthorityKeyIdentifierExtension(issuerKeyId.toHex()),
        ],
      });
      const tbs = encodeTbsCertificate({
        serial,
        issuer: encodeName([["CN", "virtcreds CA"]]),
        subject: encodeName([["O", "virtcreds CA"], ["CN", "host-a"]]),
        notBefore,
        notAfter,
        publicKey: spki,
        extensions: await leafExtensions({
          profile: "widest",
          role: "server",
          keyType: kind.type,
          publicKey: spki,
          names: [
            parseDnsName("host-a"),
            parseDnsName("host-a.example.com"),
            parseIpName("192.0.2.7"),
            parseIpName("2001:db8::7"),
          ],
          issuerKeyId,
          anonymous: false,
        }),
      }, kind.algorithm);
      assertEquals(tbs.toHex(), signedPart(expected.rawData));
    });
  }

  for (const revoked of [0, 2]) {
    Deno.test(`encodeTbsCrl() writes the CRL that @peculiar/x509 writes, ${kind.type}, ${revoked} entries`, async () => {
      const { keys, spki } = await generate(kind);
      const keyId = await keyIdentifier(spki);
      const [thisUpdate, nextUpdate] = DATES[1];
      const number = nextCrlNumber(thisUpdate);
      const entries = [
        // Without a reason the library would write an empty list of extensions, which is no DER.
        { serial: Uint8Array.of(0x01, 0x02), date: thisUpdate, reason: 4 },
        { serial: Uint8Array.of(0x80, 0x02), date: nextUpdate, reason: 1 },
      ].slice(0, revoked);
      const expected = await x509.X509CrlGenerator.create({
        issuer: [{ CN: ["virtcreds CA"] }],
        thisUpdate,
        nextUpdate,
        entries: entries.map(({ serial, date, reason }) => ({
          serialNumber: derUnsigned(serial).slice(2).toHex(),
          revocationDate: date,
          reason,
        })),
        extensions: [
          new x509.AuthorityKeyIdentifierExtension(keyId.toHex()),
          new x509.Extension("2.5.29.20", false, derInteger(Number(number)).slice()),
        ],
        signingKey: keys.privateKey,
        signingAlgorithm: kind.sign,
      });
      const tbs = encodeTbsCrl({
        issuer: encodeName([["CN", "virtcreds CA"]]),
        thisUpdate,
        nextUpdate,
        number,
        authorityKey: authorityKeyIdentifier(keyId),
        revoked: entries,
      }, kind.algorithm);
      assertEquals(tbs.toHex(), signedPart(expected.rawData));
    });
  }
}

Deno.test("encodeTbsCrl() writes no extensions for an entry without a reason", () => {
  const date = new Date("2025-01-01T00:00:00Z");
  const tbs = encodeTbsCrl({
    issuer: encodeName([["CN", "x"]]),
    thisUpdate: date,
    nextUpdate: date,
    number: 1n,
    revoked: [{ serial: Uint8Array.of(5), date }],
  }, "Ed25519");
  const list = derChildren(readDerWhole(tbs))[5]!;
  assertEquals(list.raw.toHex(), `30143012020105${derTime(date).toHex()}`);
});

Deno.test("leafExtensions() names a client by its purpose, and marks the names critical without a subject", async () => {
  const { spki } = await generate(KINDS[0]!);
  const extensions = await leafExtensions({
    profile: "widest",
    role: "client",
    keyType: "ec-p256",
    publicKey: spki,
    names: [parseDnsName("a")],
    issuerKeyId: undefined,
    anonymous: true,
  });
  const parsed = extensions.map((raw) => new x509.Extension(raw.slice()));
  const find = (oid: string) => parsed.find((one) => one.type === oid)!;
  assertEquals(find("2.5.29.17").critical, true);
  assertEquals(new Uint8Array(find("2.5.29.37").value).toHex(), "300a06082b06010505070302");
  assertEquals(find("2.5.29.35"), undefined);
});

Deno.test("randomSerial() gives positive serials of 128 bits, none twice", () => {
  const serials = Array.from({ length: 1000 }, randomSerial);
  assertEquals(new Set(serials.map((serial) => serial.toHex())).size, 1000);
  assert(serials.every((serial) => serial.length === 16 && serial[0] !== 0));
  const high = serials.find((serial) => serial[0]! >= 0x80)!;
  assertEquals(derUnsigned(high)[2], 0);
});

Deno.test("nextCrlNumber() gives seconds, and more where a known number is as high", () => {
  const now = new Date("2027-01-01T00:00:00.900Z");
  const seconds = 1798761600n;
  assertEquals(nextCrlNumber(now), seconds);
  assertEquals(nextCrlNumber(now, seconds - 1n, 0n), seconds);
  assertEquals(nextCrlNumber(now, 3n, seconds), seconds + 1n);
  assertEquals(nextCrlNumber(now, 1n << 150n, seconds), (1n << 150n) + 1n);
});
