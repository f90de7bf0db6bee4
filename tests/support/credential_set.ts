/** Whether a host's directory is one whole set, judged without this project's own readers. */

import { createPrivateKey, X509Certificate } from "node:crypto";
import { assert, assertEquals } from "@std/assert";

/** The files that issuing for both roles makes. */
export const SET_FILES: readonly string[] = [
  "ca-cert.pem",
  "ca-crl.pem",
  "client-cert.pem",
  "client-key.pem",
  "server-cert.pem",
  "server-key.pem",
];

/**
 * Asserts that a directory has all files of a set with their modes, that each key fits its
 * certificate, that the CA signed both, and that both are for the same names.
 *
 * @returns The alternative names, as node:crypto writes them.
 */
export function assertWholeSet(dir: string): string {
  assertEquals([...Deno.readDirSync(dir)].map((entry) => entry.name).sort(), SET_FILES);
  const read = (name: string) => Deno.readTextFileSync(`${dir}/${name}`);
  const authority = new X509Certificate(read("ca-cert.pem"));
  const names = (["server", "client"] as const).map((role) => {
    const certificate = new X509Certificate(read(`${role}-cert.pem`));
    const key = createPrivateKey(read(`${role}-key.pem`));
    assert(certificate.checkPrivateKey(key), `${dir}: ${role}-key.pem is not the certificate's`);
    assert(certificate.verify(authority.publicKey), `${dir}: the CA did not sign ${role}-cert.pem`);
    assertEquals(modeOf(`${dir}/${role}-key.pem`), 0o600);
    assertEquals(modeOf(`${dir}/${role}-cert.pem`), 0o644);
    return certificate.subjectAltName ?? "";
  });
  assertEquals(names[0], names[1], `${dir}: server and client are of two sets`);
  return names[0]!;
}

/** The permission bits of a file. */
export function modeOf(file: string): number {
  return Deno.statSync(file).mode! & 0o7777;
}
