/** Why a certification path is refused. */

import { printable } from "../base/mod.ts";
import type { Certificate } from "./certificate.ts";

/** Kinds of refusal, stable: what programs may compare. */
export type PathProblem =
  /** The bytes are no certificate, or an extension cannot be decoded. */
  | "malformed"
  /** A bound of the budget was reached. */
  | "budget"
  /** No certificate of the issuer's name is there. */
  | "no-issuer"
  /** More authorities than `maxDepth`. */
  | "depth"
  /** Certificates that lead back to themselves only. */
  | "loop"
  | "expired"
  | "not-yet-valid"
  /** The signature is not the issuer's. */
  | "signature"
  /** An algorithm that the engine does not know, or a key that it cannot use. */
  | "unsupported-algorithm"
  /** A key or signature that is too weak to prove anything. */
  | "weak"
  /** An issuer that is no authority. */
  | "not-an-authority"
  | "path-length"
  | "key-usage"
  /** The extended key usage does not have the purpose. */
  | "purpose"
  /** A critical extension that is not processed. */
  | "critical-extension"
  | "name-constraints"
  | "policy"
  /** Something that RFC 5280 section 4 forbids, refused in the strict mode only. */
  | "nonconforming"
  | "revoked"
  /** A revocation list was wanted, or given, and tells nothing. */
  | "revocation-unknown"
  /** The certificate is not for the name that was expected. */
  | "peer-name";

/** One reason against a certificate or a path. */
export interface PathFault {
  readonly code: PathProblem;
  /** Why, in words: lower case, no full stop. */
  readonly message: string;
  /** The section of RFC 5280, or another standard by its name. */
  readonly section?: string;
  /** The certificate it is about, where it is one. */
  readonly certificate?: Certificate;
}

/** Names in a message are an issuer's to choose: it stays on one line that can be read. */
const LONGEST = 400;

/** Makes a fault. */
export function fault(
  code: PathProblem,
  message: string,
  section?: string,
  certificate?: Certificate,
): PathFault {
  return {
    code,
    message: printable(message, LONGEST),
    ...(section === undefined ? {} : { section }),
    ...(certificate === undefined ? {} : { certificate }),
  };
}
