import { assertEquals, assertThrows } from "@std/assert";
import { BaseError, der, derOid, derSequence, derString, Tag } from "../../base/mod.ts";
import { dnText, parseCertificate } from "../../creds/mod.ts";
import { makeCertificate } from "../support/certificates.ts";
import { enginesHere } from "../support/engines.ts";
import { Chance } from "../support/random_credentials.ts";
import { soakCount, soakRow } from "../support/soak.ts";
import { withSubject } from "./_subject.ts";

const gnutls = (await enginesHere()).find((engine) => engine.dnText !== undefined);

const OIDS: Readonly<Record<string, string>> = {
  C: "2.5.4.6",
  ST: "2.5.4.8",
  L: "2.5.4.7",
  O: "2.5.4.10",
  OU: "2.5.4.11",
  CN: "2.5.4.3",
  UID: "0.9.2342.19200300.100.1.1",
  DC: "0.9.2342.19200300.100.1.25",
  EMAIL: "1.2.840.113549.1.9.1",
  serialNumber: "2.5.4.5",
};

type Part = readonly [type: string, text: string | Uint8Array, tag?: number];

/** A Name of one RDN for each list of parts. */
function name(...rdns: readonly (readonly Part[])[]): Uint8Array {
  const part = ([type, text, tag = Tag.UTF8_STRING]: Part) =>
    derSequence(
      derOid(OIDS[type] ?? type),
      typeof text === "string" ? derString(tag, text) : der(tag, text),
    );
  return derSequence(...rdns.map((parts) => der(Tag.SET, ...parts.map(part))));
}

const one = (text: string | Uint8Array, tag?: number) =>
  name([["O", text, tag ?? Tag.UTF8_STRING]]);
const utf16 = (text: string) => Uint8Array.from([...text].flatMap((c) => [0, c.charCodeAt(0)]));

/** What QEMU was seen to compare, and every way in which a value can be encoded. */
const ROWS: readonly (readonly [string, Uint8Array, string])[] = [
  [
    "certificate order",
    name([["C", "GB", Tag.PRINTABLE_STRING]], [["O", "Example Org"]], [["L", "London"]], [[
      "CN",
      "vm1.example.com",
    ]]),
    "C=GB,O=Example Org,L=London,CN=vm1.example.com",
  ],
  [
    "CN first",
    name([["CN", "vm1"]], [["O", "X"]], [["C", "GB", Tag.PRINTABLE_STRING]]),
    "CN=vm1,O=X,C=GB",
  ],
  [
    "escapes",
    name([["O", "A, Inc"]], [["OU", "R+D"]], [["CN", 'a "q" b']]),
    'O=A\\, Inc,OU=R\\+D,CN=a \\"q\\" b',
  ],
  ["leading space", name([["O", "Ünï"]], [["CN", " lead"]]), "O=Ünï,CN=\\ lead"],
  ["trailing space", name([["CN", "trail "]]), "CN=trail\\ "],
  ["one space", name([["CN", " "]]), "CN=\\ "],
  ["leading hash", name([["CN", "#hash"]]), "CN=\\#hash"],
  ["other signs", one("semi;colon<>#="), "O=semi\\;colon\\<\\>#="],
  ["backslash", one("a\\b"), "O=a\\\\b"],
  ["two attributes in an RDN", name([["O", "a"], ["CN", "b"]], [["L", "c"]]), "O=a+CN=b,L=c"],
  ["unknown type", name([["1.2.3.4", "x"]]), "1.2.3.4=#0c0178"],
  ["BMPString", one(utf16("Bmp"), Tag.BMP_STRING), "O=Bmp"],
  ["TeletexString of ASCII", one("Tele", Tag.TELETEX_STRING), "O=Tele"],
  ["TeletexString beyond ASCII", one(Uint8Array.of(0xe9), Tag.TELETEX_STRING), "O=\\#e9"],
  ["IA5String where a DirectoryString belongs", one("ia5", Tag.IA5_STRING), "O=#1603696135"],
  ["UTF8String where a PrintableString belongs", name([["C", "GB"]]), "C=#0c024742"],
  ["NUL inside", one("a\0b"), "O=#0c03610062"],
  ["domain component", name([["DC", "example", Tag.IA5_STRING]]), "DC=example"],
  ["e-mail", name([["EMAIL", "a@b.org", Tag.IA5_STRING]]), "EMAIL=a@b.org"],
];

for (const [what, encoded, text] of ROWS) {
  Deno.test(`dnText() and GnuTLS agree on ${what}`, async () => {
    assertEquals(dnText(encoded), text);
    const certificate = await withSubject(encoded);
    assertEquals(parseCertificate(certificate).subject.text, text);
    if (gnutls !== undefined) assertEquals(gnutls.dnText!(certificate), text);
  });
}

Deno.test("dnText() refuses what GnuTLS has no text for", () => {
  for (const encoded of [name(), one("")]) assertThrows(() => dnText(encoded), BaseError);
  assertThrows(() => dnText(Uint8Array.of(1, 2, 3)), BaseError);
});

Deno.test("dnText() gives what the model library encoded", async () => {
  const { der: encoded } = await makeCertificate({ subject: "C=GB, O=Example Org, CN=vm1" });
  assertEquals(parseCertificate(encoded).subject.text, "C=GB,O=Example Org,CN=vm1");
});

Deno.test("dnText() and GnuTLS agree on subjects made by chance", async () => {
  const count = soakCount(5_000, 100);
  const characters = [..."abc ,+\"\\<>;#=ü漢 \t'/%*"];
  const tags = [
    Tag.UTF8_STRING,
    Tag.UTF8_STRING,
    Tag.PRINTABLE_STRING,
    Tag.TELETEX_STRING,
    Tag.IA5_STRING,
  ];
  for (let seed = 0; seed < count; seed++) {
    const chance = new Chance(seed);
    const rdns = Array.from(
      { length: 1 + chance.below(3) },
      () =>
        Array.from({ length: chance.happens(0.2) ? 2 : 1 }, (): Part => [
          chance.pick([...Object.keys(OIDS), "1.2.3.4"]),
          Array.from({ length: 1 + chance.below(6) }, () => chance.pick(characters)).join(""),
          chance.pick(tags),
        ]),
    );
    const encoded = name(...rdns);
    const text = dnText(encoded);
    if (gnutls !== undefined) {
      assertEquals(gnutls.dnText!(await withSubject(encoded)), text, `seed ${seed}`);
    }
  }
  soakRow("subjects against GnuTLS", count, "no difference");
});
