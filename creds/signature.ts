/** Who issued and signed a certificate or CRL. */

import { sameBytes } from "../base/mod.ts";
import { type Engine, EngineError } from "../engine/mod.ts";
import type { Certificate } from "./certificate.ts";

/** What carries a signature: a certificate or a CRL. */
export type Signed = Pick<Certificate, "tbs" | "signature" | "signatureAlgorithm">;

/** Tells whether a signature is an issuer's; `undefined` for an algorithm the engine has not. */
export type SignatureCheck = (signed: Signed, issuer: Certificate) => boolean | undefined;

const checks = new WeakMap<Engine, SignatureCheck>();

/** Checks signatures with an engine, and remembers the answers as long as the certificates live. */
export function signatureCheck(engine: Engine): SignatureCheck {
  let check = checks.get(engine);
  if (check === undefined) checks.set(engine, check = rememberedCheck(engine));
  return check;
}

function rememberedCheck(engine: Engine): SignatureCheck {
  const known = new WeakMap<Signed, WeakMap<Certificate, boolean | undefined>>();
  return (signed, issuer) => {
    let answers = known.get(signed);
    if (answers === undefined) known.set(signed, answers = new WeakMap());
    if (!answers.has(issuer)) answers.set(issuer, checkSignature(engine, signed, issuer));
    return answers.get(issuer);
  };
}

/** Whether the names and the key identifiers say that one certificate issued the other. */
export function isIssuedBy(certificate: Certificate, issuer: Certificate): boolean {
  if (!sameBytes(certificate.issuer.raw, issuer.subject.raw)) return false;
  const wanted = certificate.authorityKeyId?.id;
  const given = issuer.subjectKeyId?.id;
  return wanted === undefined || given === undefined || sameBytes(wanted, given);
}

function checkSignature(engine: Engine, signed: Signed, issuer: Certificate): boolean | undefined {
  try {
    return engine.verify({
      publicKey: issuer.spki,
      algorithm: signed.signatureAlgorithm.raw,
      data: signed.tbs,
      signature: signed.signature,
    });
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    // Of RSA-PSS GnuTLS refuses the parameters that it has no name for.
    return signed.signatureAlgorithm.oid === RSA_PSS ? false : undefined;
  }
}

const RSA_PSS = "1.2.840.113549.1.1.10";

/** The same authority, though perhaps in another certificate. */
export function sameKey(a: Certificate, b: Certificate): boolean {
  return sameBytes(a.subject.raw, b.subject.raw) && sameBytes(a.spki, b.spki);
}
