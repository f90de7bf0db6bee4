/** Path validation held against OpenSSL's, on chains made by chance. */

import { assert, assertEquals } from "@std/assert";
import { der, derOid, derSequence, Tag } from "../../base/mod.ts";
import { encodePem } from "../../base/mod.ts";
import { validatePath } from "../../creds/mod.ts";
import {
  type CertificateSpec,
  makeCertificate,
  PURPOSE,
  type TestCertificate,
} from "../support/certificates.ts";
import { run } from "../support/command.ts";
import { makeList } from "../support/crls.ts";
import { enginesHere } from "../support/engines.ts";
import { programTest } from "../support/programs.ts";
import { Chance } from "../support/random_credentials.ts";
import { soakCount, soakRow } from "../support/soak.ts";
import { temporaryDirectory } from "../support/temp.ts";

const engines = await enginesHere();

// No star right above a constraint: OpenSSL takes *.example where sub.example is excluded.
const NAMES = ["vm1.example", "vm1.sub.example", "*.sub.example", "other.test"];

const text = (tag: number, value: string) => der(tag, new TextEncoder().encode(value));

function common(value: string): Uint8Array {
  const attribute = derSequence(derOid("2.5.4.3"), text(Tag.UTF8_STRING, value));
  return der(0xa4, derSequence(der(Tag.SET, attribute)));
}

/** A constraint that half of the hosts break. */
function constraint(chance: Chance): NonNullable<CertificateSpec["extensions"]>[number] {
  const base = chance.pick([
    () => text(0x82, chance.pick(["example", "sub.example", "test"])),
    () => der(0x87, Uint8Array.fromHex(chance.pick(["c0000200ffffff00", "0a000000ff000000"]))),
    () => common(chance.pick(["host", "a", "stranger"])),
  ])();
  const list = chance.pick([0xa0, 0xa1]);
  return { oid: "2.5.29.30", critical: true, value: derSequence(der(list, derSequence(base))) };
}

function authority(chance: Chance, subject: string, keyNumber: number): CertificateSpec {
  return {
    subject,
    keyNumber,
    identifiers: true,
    basicConstraints: {
      critical: true,
      ca: !chance.happens(0.04),
      ...(chance.happens(0.25) ? { pathLength: chance.below(3) } : {}),
    },
    ...(chance.happens(0.9)
      ? {
        keyUsage: {
          critical: chance.happens(0.5),
          usages: chance.happens(0.95) ? ["keyCertSign", "cRLSign"] : ["cRLSign"],
        },
      }
      : {}),
    ...(chance.happens(0.1)
      ? { purposes: { critical: false, oids: [chance.pick([PURPOSE.server, PURPOSE.client])] } }
      : {}),
    ...(chance.happens(0.06) ? { hours: chance.pick([[-2, -1], [1, 2]] as const) } : {}),
    extensions: [
      ...(chance.happens(0.25) ? [constraint(chance)] : []),
      ...(chance.happens(0.04)
        ? [{ oid: "1.2.3.4", critical: true, value: Uint8Array.of(5, 0) }]
        : []),
    ],
  };
}

const pem = (certificates: readonly TestCertificate[]) => certificates.map((c) => c.pem).join("");

programTest("validatePath() and OpenSSL agree on chains made by chance", ["openssl"], async () => {
  const count = soakCount(2_000, 40);
  let accepted = 0;
  for (let seed = 0; seed < count; seed++) {
    const chance = new Chance(seed);
    const root = await makeCertificate(authority(chance, "CN=root", 1));
    const a = await makeCertificate({ ...authority(chance, "CN=a", 2), issuer: root });
    const b = await makeCertificate({ ...authority(chance, "CN=b", 3), issuer: a });
    const issuer = chance.pick([root, a, a, b, b, b]);
    const dns = chance.shuffled(NAMES).slice(0, 1 + chance.below(2));
    const leaf = await makeCertificate({
      subject: "CN=host",
      issuer,
      identifiers: true,
      serial: "44",
      dns,
      ...(chance.happens(0.3) ? { ip: [chance.pick(["192.0.2.1", "10.1.1.1"])] } : {}),
      ...(chance.happens(0.4)
        ? { purposes: { critical: false, oids: [chance.pick([PURPOSE.server, PURPOSE.client])] } }
        : {}),
    });
    const pool = chance.shuffled(chance.happens(0.1) ? [a] : [a, b]);
    const name = chance.pick(["vm1.example", "other.test"]);
    const isListed = chance.happens(0.2);
    const entries = chance.happens(0.5) ? [{ serial: "44" }] : [];
    const list = isListed ? await makeList(issuer, { entries }) : undefined;
    using dir = temporaryDirectory();
    const file = (file: string, content: string) => {
      Deno.writeTextFileSync(`${dir.path}/${file}`, content);
      return `${dir.path}/${file}`;
    };
    const args = [
      ...["verify", "-purpose", "sslserver", "-verify_hostname", name],
      ...["-CAfile", file("root.pem", root.pem), "-untrusted", file("pool.pem", pem(pool))],
      ...(list === undefined
        ? []
        : ["-crl_check", "-CRLfile", file("list.pem", encodePem("X509 CRL", list))]),
      file("leaf.pem", leaf.pem),
    ];
    const theirs = await run("openssl", args);
    for (const engine of engines) {
      const result = validatePath(leaf.der, {
        engine,
        trusted: [root.der],
        intermediates: pool.map((c) => c.der),
        crls: list === undefined ? [] : [list],
        endpoint: "server",
        names: [name],
        conformance: "path",
      });
      const said = result.ok ? "accepted" : `${result.code}: ${result.message}`;
      assertEquals(result.ok, theirs.code === 0, `seed ${seed}: ${said}\n${theirs.stderr}`);
    }
    if (theirs.code === 0) accepted++;
  }
  assert(accepted > count / 10 && accepted < count, `${accepted} of ${count} accepted`);
  soakRow("paths against OpenSSL", count, `${accepted} accepted, no difference`);
});
