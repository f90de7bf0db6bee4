/** Directories of credentials made by chance from a seed: every trait that a check looks at. */

import { der, derSequence } from "../../base/mod.ts";
import type { Endpoint } from "../../engine/mod.ts";
import { type CertificateSpec, makeCertificate, makeCrl, PURPOSE } from "./certificates.ts";
import type { CredentialFiles, TestCertificate, TestKeyType } from "./certificates.ts";
import { flipScalar } from "./hurt_key.ts";

/** A directory by chance. */
export interface RandomCredentials {
  readonly endpoint: Endpoint;
  readonly sanityCheck: boolean;
  readonly verifyPeer: boolean;
  readonly files: CredentialFiles;
}

/** Chance that repeats: the same seed gives the same numbers (mulberry32). */
export class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 up to 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  happens(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }

  shuffled<T>(items: readonly T[]): T[] {
    return items.map((item) => [this.next(), item] as const).sort((a, b) => a[0] - b[0])
      .map(([, item]) => item);
  }
}

/** Makes a directory from a seed. */
export async function randomCredentials(seed: number): Promise<RandomCredentials> {
  const chance = new Chance(seed);
  const endpoint = chance.pick(["server", "client"] as const);
  const root = await makeCertificate(randomAuthority(chance, "CN=root CA", 1));
  const middle = await makeCertificate({
    ...randomAuthority(chance, "CN=middle CA", 2),
    issuer: root,
  });
  const issuer = chance.pick([root, root, root, middle, middle]);
  const leaf = await makeCertificate({ ...leafSpec(chance, endpoint), issuer });
  const strangers = await Promise.all(
    Array.from(
      { length: chance.happens(0.05) ? 17 : chance.below(3) },
      (_, i) => makeCertificate(randomAuthority(chance, `CN=stranger ${i}`, 3)),
    ),
  );
  const bundle = chance.shuffled([
    ...(chance.happens(issuer === root ? 0.95 : 0.6) ? [root] : []),
    ...(chance.happens(issuer === middle ? 0.9 : 0.2) ? [middle] : []),
    ...(chance.happens(0.3) ? strangers : []),
    ...(chance.happens(0.03) ? [leaf] : []),
  ]);
  const chain = chance.happens(0.8)
    ? [leaf]
    : chance.pick([[leaf, middle], [leaf, root], [leaf, middle, root], [middle, leaf], [
      leaf,
      leaf,
    ]]);
  const isHalf = chance.happens(0.08);
  const files: CredentialFiles = {
    ca: damage(chance, pem(bundle), 0.04),
    cert: damage(chance, pem(chain), 0.06),
    key: damage(chance, await keyText(chance, leaf), 0.06),
    ...(chance.happens(0.25) ? { crl: damage(chance, await crlText(chance, root), 0.2) } : {}),
  };
  const absent = isHalf ? chance.pick(["ca", "cert", "key"] as const) : undefined;
  return {
    endpoint,
    sanityCheck: chance.happens(0.9),
    verifyPeer: chance.happens(0.8),
    files: Object.fromEntries(Object.entries(files).filter(([part]) => part !== absent)),
  };
}

const pem = (certificates: readonly TestCertificate[]): string =>
  certificates.map((certificate) => certificate.pem).join("");

const HOURS: readonly (readonly [number, number])[] = [[-2, -1], [1, 2], [-24, 0.01]];
const KINDS: readonly TestKeyType[] = ["ec", "ec", "ec", "rsa", "ec-p384", "ed25519"];

/** An authority by chance, mostly a good one. */
export function randomAuthority(
  chance: Chance,
  subject: string,
  keyNumber: number,
): CertificateSpec {
  const critical = chance.happens(0.7);
  return {
    subject,
    keyNumber,
    keyType: chance.pick(KINDS),
    identifiers: chance.happens(0.5),
    ...(chance.happens(0.07) ? { hours: chance.pick(HOURS) } : {}),
    ...(chance.happens(0.95)
      ? {
        basicConstraints: {
          critical: chance.happens(0.8),
          ca: chance.happens(0.96),
          ...(chance.happens(0.2) ? { pathLength: chance.below(2) } : {}),
        },
      }
      : {}),
    ...(chance.happens(0.7)
      ? {
        keyUsage: {
          critical,
          usages: chance.happens(0.93) ? ["keyCertSign", "cRLSign"] : ["digitalSignature"],
        },
      }
      : {}),
    extensions: [...oddExtensions(chance), ...nameConstraints(chance)],
  };
}

function leafSpec(chance: Chance, endpoint: Endpoint): CertificateSpec {
  const usages = chance.pick(
    [
      ["digitalSignature"],
      ["digitalSignature", "keyEncipherment"],
      ["digitalSignature", "keyEncipherment"],
      ["keyEncipherment"],
      ["keyCertSign"],
      [],
    ] as const,
  );
  const oids = chance.pick([
    [PURPOSE[endpoint]],
    [PURPOSE[endpoint]],
    [PURPOSE.server, PURPOSE.client],
    [PURPOSE.client],
    [PURPOSE.server],
    [PURPOSE.any],
    [PURPOSE.codeSigning],
    [PURPOSE.codeSigning, PURPOSE.any],
  ]);
  return {
    subject: chance.pick(["CN=vm1.example", "C=GB, O=Example, CN=vm1", "CN=root CA"]),
    keyType: chance.pick(KINDS),
    identifiers: chance.happens(0.5),
    hash: chance.happens(0.03) ? "SHA-384" : "SHA-256",
    ...(chance.happens(0.07) ? { hours: chance.pick(HOURS) } : {}),
    ...(chance.happens(0.85)
      ? { basicConstraints: { critical: chance.happens(0.7), ca: chance.happens(0.05) } }
      : {}),
    ...(chance.happens(0.8) ? { keyUsage: { critical: chance.happens(0.5), usages } } : {}),
    ...(chance.happens(0.8) ? { purposes: { critical: chance.happens(0.4), oids } } : {}),
    ...(chance.happens(0.5) ? { dns: ["vm1.example"], ip: ["192.0.2.1"] } : {}),
    extensions: oddExtensions(chance),
  };
}

/** An unknown extension, critical or not. */
function oddExtensions(chance: Chance): NonNullable<CertificateSpec["extensions"]> {
  if (!chance.happens(0.05)) return [];
  return [{ oid: "1.2.3.4", critical: chance.happens(0.5), value: Uint8Array.of(5, 0) }];
}

/** Constraints on DNS names and addresses, permitted or excluded. */
function nameConstraints(chance: Chance): NonNullable<CertificateSpec["extensions"]> {
  if (!chance.happens(0.08)) return [];
  const text = new TextEncoder();
  const base = () =>
    chance.happens(0.7)
      ? der(0x82, text.encode(chance.pick(["example", "vm1.example", "other.org", "", ".example"])))
      : der(
        0x87,
        Uint8Array.from(
          chance.pick([[192, 0, 2, 0, 255, 255, 255, 0], [10, 0, 0, 0, 255, 0, 0, 0]]),
        ),
      );
  const subtrees = Array.from({ length: 1 + chance.below(2) }, () => derSequence(base()));
  const value = derSequence(der(chance.pick([0xa0, 0xa0, 0xa1]), ...subtrees));
  return [{ oid: "2.5.29.30", critical: chance.happens(0.7), value }];
}

async function keyText(chance: Chance, leaf: TestCertificate): Promise<string> {
  if (chance.happens(0.95)) return leaf.keyPem;
  const other = await makeCertificate({
    subject: "CN=other",
    keyType: chance.pick(KINDS),
    keyNumber: 4,
  });
  return chance.pick([other.keyPem, leaf.pem]);
}

async function crlText(chance: Chance, root: TestCertificate): Promise<string> {
  const serials = chance.happens(0.3) ? ["0102030400"] : [];
  return await makeCrl(root, serials, chance.happens(0.3) ? { hours: [-48, -24] } : {});
}

/** Hurts a PEM file in one of the ways in which files get hurt. */
function damage(chance: Chance, text: string, probability: number): string {
  if (!chance.happens(probability)) {
    return chance.happens(0.1)
      ? chance.pick([text.replaceAll("\n", "\r\n"), `# a comment\n${text}`, `${text}trailing`])
      : text;
  }
  const lines = text.split("\n");
  const at = 1 + chance.below(Math.max(1, lines.length - 2));
  return chance.pick<() => string>([
    () => "",
    () => "junk\n",
    () => text.slice(0, chance.below(text.length)),
    () => lines.toSpliced(at, 1, "!!!!").join("\n"),
    () => lines.filter((line) => !line.startsWith("-----END")).join("\n"),
    () => lines.filter((line) => !line.startsWith("-----BEGIN")).join("\n"),
    () =>
      text.replaceAll("-----BEGIN ", "-----BEGIN X509 ").replaceAll("-----END ", "-----END X509 "),
    () =>
      text.replaceAll("CERTIFICATE", "TRUSTED CERTIFICATE").replaceAll("PRIVATE KEY", "SECRET KEY"),
    () => text.replaceAll("\n", ""),
    () => text.replaceAll("\n", "\n\n  \t"),
    () => flipScalar(text, chance.below(31), chance.below(8)),
    () => flipScalar(text, chance.below(31), chance.below(8)),
  ])();
}
