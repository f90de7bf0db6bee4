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
    if (signed.signatureAlgorithm.oid === RSA_PSS) return false;
    return isReadByGnutls(issuer.publicKey) ? undefined : false;
  }
}

/** A key that GnuTLS cannot read has signed nothing, whatever another library makes of it. */
function isReadByGnutls({ oid, curve }: Certificate["publicKey"]): boolean {
  return oid === EC ? GNUTLS_CURVES.includes(curve ?? "") : GNUTLS_KEYS.includes(oid);
}

const EC = "1.2.840.10045.2.1";

/** P-192, P-224, P-256, P-384 and P-521. */
const GNUTLS_CURVES = [
  "1.2.840.10045.3.1.1",
  "1.3.132.0.33",
  "1.2.840.10045.3.1.7",
  "1.3.132.0.34",
  "1.3.132.0.35",
];

/** RSA, RSA-PSS, DSA, Ed25519, Ed448 and the three of GOST. */
const GNUTLS_KEYS = [
  "1.2.840.113549.1.1.1",
  "1.2.840.113549.1.1.10",
  "1.2.840.10040.4.1",
  "1.3.101.112",
  "1.3.101.113",
  "1.2.643.2.2.19",
  "1.2.643.7.1.1.1.1",
  "1.2.643.7.1.1.1.2",
];

const RSA_PSS = "1.2.840.113549.1.1.10";

/** The same authority, though perhaps in another certificate. */
export function sameKey(a: Certificate, b: Certificate): boolean {
  return sameBytes(a.subject.raw, b.subject.raw) && sameBytes(a.spki, b.spki);
}
