/** Why a certificate is refused although it is well-formed DER: the cause of the `DER` error. */
export const CERTIFICATE_FAULTS = {
  algorithms: "the signature algorithms inside and outside differ",
  duplicate: "the same extension twice",
  version: "an unknown version",
  unexpected: "extensions in a certificate of version 1 or 2",
  subjectAltName: "a subject alternative name that cannot be read",
  time: "a time of validity that cannot be read",
} as const;
