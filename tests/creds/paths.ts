/** Paths of made certificates, and what every engine says of them. */

import { assertEquals } from "@std/assert";
import { type PathOptions, validatePath } from "../../creds/mod.ts";
import {
  type CertificateSpec,
  makeCertificate,
  type TestCertificate,
} from "../support/certificates.ts";
import { enginesHere } from "../support/engines.ts";

export const engines = await enginesHere();

/** What makes an authority of a certificate. */
export const CA: Omit<CertificateSpec, "subject"> = {
  basicConstraints: { critical: true, ca: true },
  keyUsage: { critical: true, usages: ["keyCertSign", "cRLSign"] },
  identifiers: true,
};

export const authority = (
  subject: string,
  keyNumber: number,
  issuer?: TestCertificate,
  more: Partial<CertificateSpec> = {},
): Promise<TestCertificate> =>
  makeCertificate({ subject, keyNumber, ...CA, ...(issuer && { issuer }), ...more });

export const host = (
  issuer: TestCertificate,
  more: Partial<CertificateSpec> = {},
): Promise<TestCertificate> =>
  makeCertificate({ subject: "CN=host", issuer, identifiers: true, dns: ["vm1.example"], ...more });

/** The outcome with every engine: the code, or the subjects of the path. */
export function outcome(
  leaf: TestCertificate,
  trusted: readonly TestCertificate[],
  intermediates: readonly TestCertificate[] = [],
  options: Partial<PathOptions> = {},
): string {
  const found = engines.map((engine) => {
    const result = validatePath(leaf.der, {
      engine,
      trusted: trusted.map((c) => c.der),
      intermediates: intermediates.map((c) => c.der),
      ...options,
    });
    return result.ok ? result.path.map(({ subject }) => subject.text).join(" < ") : result.code;
  });
  for (const one of found) assertEquals(one, found[0]);
  return found[0]!;
}

/** A path of four whose members may be wrong. */
export async function chain(
  wrong: Partial<Record<"root" | "a" | "b" | "host", Partial<CertificateSpec>>>,
): Promise<{ leaf: TestCertificate; root: TestCertificate; pool: readonly TestCertificate[] }> {
  const r = await authority("CN=root", 1, undefined, wrong.root);
  const x = await authority("CN=a", 2, r, wrong.a);
  const y = await authority("CN=b", 3, x, wrong.b);
  return { leaf: await host(y, wrong.host), root: r, pool: [x, y] };
}
