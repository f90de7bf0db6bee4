/** A certificate with a subject that no library would write. */

import { derChildren, derSequence, readDerWhole } from "../../base/mod.ts";
import { makeCertificate } from "../support/certificates.ts";

/** Replaces the subject of a certificate, whose signature is then wrong. */
export async function withSubject(name: Uint8Array): Promise<Uint8Array> {
  const { der } = await makeCertificate({ subject: "CN=x" });
  const [tbs, ...rest] = derChildren(readDerWhole(der));
  const fields = derChildren(tbs!).map(({ raw }) => raw);
  const changed = derSequence(...fields.with(5, name));
  return derSequence(changed, ...rest.map(({ raw }) => raw));
}
