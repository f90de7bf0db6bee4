/** The errors of the authority. */

import { type ErrorFacts, type ErrorText, printable, VirtcredsError } from "../base/mod.ts";

const CA_ERRORS = {
  HOST_NAME: (f) => `${quoted(f)} is not a host name: ${f.cause}`,
  DNS_NAME: (f) => `${f.option} ${quoted(f)} is not a DNS name: ${f.cause}`,
  IP_ADDRESS: (f) => `${f.option} ${quoted(f)} is not an IP address: ${f.cause}`,
  COMMON_NAME: (f) => `${quoted(f)} cannot be the name of a CA: ${f.cause}`,
  INVENTORY: (f) => `cannot use inventory ${f.file}: ${f.cause}`,
  ROW: (f) => f.cause ?? "it cannot be used",
  HOST_UNKNOWN: (f) => `nothing was issued for ${f.value}: ${f.file} does not exist`,
  NOT_ISSUED: (f) => `cannot ${f.option} ${quoted(f)}: ${f.cause}`,
  EXPORT: (f) => `cannot export the credentials of ${f.value}: ${f.cause}`,
  EXPORT_OPTION: (f) => `cannot use ${f.option}: ${f.cause}`,
  ACCOUNT: (f) => `${f.option} ${quoted(f)} cannot be used: ${f.cause}`,
  NOT_RENEWABLE: (f) => `cannot renew ${f.value}: ${f.cause}`,
  SUBJECT: (f) => `${f.option} ${quoted(f)} cannot be used: ${f.cause}`,
  NAME_NOT_PERMITTED: (f) => `this CA may not vouch for ${f.value}: ${f.cause}`,
  DAYS: (f) => `cannot make a certificate for ${f.value} days: ${f.cause}`,
  TOO_MANY_NAMES: (f) => `the certificate of ${f.value} would be too large: ${f.cause}`,
  CA_EXISTS: (f) => `there is a CA already: ${f.file}`,
  CA_MISSING: (f) => `there is no CA: ${f.file} does not exist`,
  CA_CERTIFICATE: (f) => `cannot use CA certificate ${f.file}: ${f.cause}`,
  CA_KEY: (f) => `cannot use CA key ${f.file}: ${f.cause}`,
  KEY_URI: (f) => `cannot use the key that ${f.option} names: ${f.cause}`,
  PASSPHRASE: (f) => `cannot use the passphrase from ${f.file}: ${f.cause}`,
  CA_EXPIRED: (f) => `the CA certificate ${f.file} expired on ${f.value}`,
  CA_NOT_ACTIVE: (f) => `the CA certificate ${f.file} is not valid before ${f.value}`,
  CRL: (f) => `cannot use CRL ${f.file}: ${f.cause}`,
  REFUSED: (f) => `QEMU would refuse the credentials made for ${f.value}: ${f.cause}`,
  REQUEST: (f) => `cannot sign the request ${f.file}: ${f.cause}`,
  KEYS_EXIST: (f) => `there are keys or something else already: ${f.file}`,
  NOT_INSTALLABLE: (f) => `cannot install ${f.file}: ${f.cause}`,
  NOT_INSTALLABLE_THERE: (f) => `cannot install in ${f.file}: ${f.cause}`,
  ROOT: (f) => `cannot use the root for ${f.file}: ${f.cause}`,
  ROTATION: (f) => `cannot ${f.option}: ${f.cause}`,
  NOT_A_DIRECTORY: (f) => `cannot write to ${f.file}: it is ${f.cause}, not a directory`,
  SYMBOLIC_LINK: (f) => `cannot write to ${f.file}: it is a symbolic link`,
  STORE: (f) => `cannot use the database ${f.file}: ${f.cause}`,
  STORE_CONFLICT: (f) => `another command has changed ${f.file}: ${f.cause}`,
  STORE_DAMAGED: (f) => `the database ${f.file} is damaged: ${f.cause}`,
  STORE_MISSING: (f) => `there is no database ${f.file}, but ${f.cause}`,
  STORE_VERSION: (f) => `cannot use the database ${f.file}: ${f.cause}`,
  LOG: (f) => `cannot use the log ${f.file}: ${f.cause}`,
  BACKUP: (f) => `cannot use backup ${f.file}: ${f.cause}`,
  NOT_EMPTY: (f) => `cannot write to ${f.file}: ${f.cause}`,
  IMPORT: (f) => `cannot import ${f.file}: ${f.cause}`,
  JOURNAL: (f) => `cannot finish what ${f.file} says: ${f.cause}`,
} satisfies Record<string, ErrorText>;

/** Codes that mean that the user's input was wrong, not that the work failed. */
const USAGE: ReadonlySet<string> = new Set(
  [
    "HOST_NAME",
    "DNS_NAME",
    "IP_ADDRESS",
    "COMMON_NAME",
    "SUBJECT",
    "DAYS",
    "KEY_URI",
    "EXPORT_OPTION",
    "ACCOUNT",
  ],
);

function quoted(facts: ErrorFacts): string {
  return `'${printable(facts.value ?? "")}'`;
}

/** The codes of `ca`. */
export type CaErrorCode = keyof typeof CA_ERRORS;

/** An error of the authority: its input, its files, its key. */
export class CaError extends VirtcredsError {
  override readonly name = "CaError";

  constructor(readonly code: CaErrorCode, facts: ErrorFacts = {}, options?: ErrorOptions) {
    super(CA_ERRORS, code, facts, options);
  }

  override get exitCode(): 1 | 2 {
    return USAGE.has(this.code) ? 2 : 1;
  }
}
