/** The authority as it signs: opened from its files, its parts encoded once for all it issues. */

import {
  day,
  decodePem,
  encodePem,
  readTextLimited,
  sameBytes,
  systemClock,
  Tag,
  VirtcredsError,
  writeFileAtomic,
} from "../base/mod.ts";
import {
  type Certificate,
  isIssuedBy,
  parseCertificate,
  parseCrl,
  type RevocationList,
  signatureCheck,
} from "../creds/mod.ts";
import type { Engine, SigningKey } from "../engine/mod.ts";
import type { Act } from "./act.ts";
import { openAuthorityKey } from "./authority_key.ts";
import type { Change } from "./change.ts";
import { type Constraints, constraintsOf } from "./constraints.ts";
import { nextCrlNumber, signCrl } from "./crl.ts";
import { signCrlOf } from "./crl_file.ts";
import { refuseLostCrl } from "./crl_copies.ts";
import { CaError } from "./error.ts";
import { authorityKeyIdentifier } from "./extensions.ts";
import { missingAuthority } from "./missing.ts";
import { sha256 } from "./log_entry.ts";
import { LONGEST_ATTRIBUTE } from "./name.ts";
import { readCertificate } from "./held.ts";
import { CROSS_FILE, isThere, type PkiPaths } from "./pki.ts";
import { CRL_LABEL } from "./revoked.ts";
import { issuerId } from "./store.ts";
import { crlDates, type Validity } from "./validity.ts";

/** What of an issuer goes into the certificates and CRLs that it signs. */
export interface IssuerIdentity extends Validity {
  /** Name, DER. */
  readonly subject: Uint8Array;
  /** Its subjectKeyIdentifier; a certificate of another tool may have none. */
  readonly keyId: Uint8Array | undefined;
}

/** An authority that can sign; owned by whoever opened it. */
export interface Issuer extends IssuerIdentity, Disposable {
  /** Its CN, where it has one that can stand in other names. */
  readonly commonName: string | undefined;
  /** The names that it may vouch for. */
  readonly constraints: Constraints;
  readonly key: SigningKey;
  readonly certificate: Certificate;
  /** Every certificate of its file. */
  readonly certificates: readonly Certificate[];
  /** What the hosts' certificates are followed by in their files, leaf's issuer first, PEM. */
  readonly chainPem: string;
  /** `ca-cert.pem` for the hosts: the certificates of the authority's own file. */
  readonly certificatePem: string;
  /** `ca-crl.pem` for the hosts. */
  readonly crlPem: string;
}

/** How an authority is opened. */
export interface OpenOptions {
  readonly engine: Engine;
  readonly now: Date;
  /** Of the key's file, or the PIN of its token. */
  readonly passphrase?: string | undefined;
  /** Whether its certificate may have expired. */
  readonly evenExpired?: boolean;
  /** Whether its CRL was compared with those of the hosts before. */
  readonly crlCompared?: boolean;
  /** Its store knows what was revoked, where neither the CA nor a host has a CRL any more. */
  readonly change: Pick<Change, "store" | "record">;
}

/**
 * Opens the authority of a directory; the caller holds its lock, as a CRL is made where neither it
 * nor a host has one.
 *
 * @throws {CaError} `CA_MISSING`, `CA_CERTIFICATE`, `CA_KEY`, `CA_EXPIRED`, `CA_NOT_ACTIVE`, `CRL`.
 */
export async function openIssuer(paths: PkiPaths, options: OpenOptions): Promise<Issuer> {
  const { engine, now } = options;
  const certificates = readCertificates(paths);
  const key = await openAuthorityKey(paths, engine, options.passphrase);
  try {
    const certificate = certificates.find((one) => sameBytes(one.spki, key.publicKey));
    if (certificate === undefined) {
      throw new CaError("CA_KEY", {
        file: paths.caKey,
        cause: `it does not belong to ${paths.caCertificate}`,
        hint: "put the key back that the certificate was made with, or make a new CA elsewhere",
      });
    }
    checkAuthority(paths, certificate, now, options.evenExpired ?? false);
    const identity = identify(certificate);
    const trust = trusted(certificates, certificate, now);
    const crls = isThere(paths.caCrl) ? readCrls(paths, engine, certificates, trust) : undefined;
    if (crls === undefined || !options.crlCompared) refuseLostCrl(paths, certificate, engine);
    return {
      ...identity,
      commonName: commonName(certificate),
      constraints: constraintsOf(certificate),
      key,
      certificate,
      certificates,
      chainPem: chainOf(paths, certificate, certificates, now),
      certificatePem: bundlePem(trust),
      crlPem: crls ?? await makeCrl(paths, identity, key, options),
      [Symbol.dispose]: () => key[Symbol.dispose](),
    };
  } catch (error) {
    key[Symbol.dispose]();
    throw error;
  }
}

/** A CRL that was made, and what the log is to have of it. */
export interface EmptyCrl {
  readonly pem: string;
  readonly act: Act;
}

/**
 * Makes a CRL that revokes nothing, with the label that openssl, certtool and QEMU take.
 *
 * @param last The highest number that the issuer's CRLs had.
 */
export async function signEmptyCrl(
  issuer: IssuerIdentity,
  key: SigningKey,
  now: Date,
  last = 0n,
): Promise<EmptyCrl> {
  const number = nextCrlNumber(now, last);
  const crl = await signCrl({
    issuer: issuer.subject,
    ...crlDates(now, issuer),
    number,
    ...(issuer.keyId === undefined ? {} : { authorityKey: authorityKeyIdentifier(issuer.keyId) }),
    revoked: [],
  }, key);
  return {
    pem: encodePem(CRL_LABEL, crl),
    act: { act: "crl", issuer: issuerId(issuer.subject), number, sha256: sha256(crl) },
  };
}

async function makeCrl(
  paths: PkiPaths,
  identity: IssuerIdentity,
  key: SigningKey,
  { now, change }: OpenOptions,
): Promise<string> {
  const store = await change.store();
  const { pem, act } = await signCrlOf(paths, identity, key, now, { store });
  change.record(act);
  writeFileAtomic(paths.caCrl, pem, 0o644);
  return pem;
}

/** An authority as everybody may see it: without its key. */
export interface Authority extends IssuerIdentity {
  readonly certificate: Certificate;
  /** Every certificate of its file. */
  readonly certificates: readonly Certificate[];
  /** `ca-cert.pem` as hosts get it. */
  readonly certificatePem: string;
}

/**
 * Reads an authority without its key.
 *
 * @throws {CaError} `CA_MISSING`, `CA_CERTIFICATE`.
 */
export function readAuthority(paths: PkiPaths, now: Date = systemClock()): Authority {
  const certificates = readCertificates(paths);
  const certificate = certificates[0]!;
  return {
    ...identify(certificate),
    certificate,
    certificates,
    certificatePem: bundlePem(trusted(certificates, certificate, now)),
  };
}

/** Writes certificates, PEM. */
export function bundlePem(certificates: readonly Certificate[]): string {
  return certificates.map((one) => encodePem("CERTIFICATE", one.raw)).join("");
}

/** What hosts trust: one other that has expired would make QEMU before 10.2 refuse all of them. */
export function trusted(all: readonly Certificate[], own: Certificate, now: Date): Certificate[] {
  return all.filter((one) => one === own || one.notAfter >= now);
}

/**
 * An issuing CA and all between it and its root go along with each certificate, so that the root is
 * all that others have to know. While a roll-over is under way the old CA vouches for the new one.
 */
function chainOf(
  paths: PkiPaths,
  own: Certificate,
  certificates: readonly Certificate[],
  now: Date,
): string {
  const cross = `${paths.former}/${CROSS_FILE}`;
  const chain: Certificate[] = [];
  let at = own;
  while (!isIssuedBy(at, at) && chain.length < certificates.length) {
    chain.push(at);
    const issuer = certificates.find((one) => isIssuedBy(at, one));
    if (issuer === undefined) break;
    at = issuer;
  }
  if (chain.length === 0 && isThere(cross)) {
    const crossed = readCross(cross);
    if (sameBytes(crossed.spki, own.spki) && crossed.notAfter >= now) chain.push(crossed);
  }
  return chain.map((one) => encodePem("CERTIFICATE", one.raw)).join("");
}

function readCross(file: string): Certificate {
  try {
    return readCertificate(file);
  } catch (error) {
    if (!(error instanceof VirtcredsError)) throw error;
    throw new CaError("CA_CERTIFICATE", {
      file,
      cause: reason(error),
      hint: [
        "put it back from a backup: hosts that trust the old CA alone need it",
        `or, where every host trusts the next CA already: rm ${file}`,
      ],
    }, { cause: error });
  }
}

/** Names an issuer as what it signs has it. */
export function identify(certificate: Certificate): IssuerIdentity {
  return {
    subject: certificate.subject.raw,
    keyId: certificate.subjectKeyId?.id,
    notBefore: certificate.notBefore,
    notAfter: certificate.notAfter,
  };
}

const COMMON_NAME = "2.5.4.3";
const TEXT_TAGS: readonly number[] = [Tag.PRINTABLE_STRING, Tag.UTF8_STRING];

function commonName(certificate: Certificate): string | undefined {
  const attribute = certificate.subject.rdns.flat().find((one) => one.oid === COMMON_NAME);
  if (attribute === undefined || !TEXT_TAGS.includes(attribute.tag)) return undefined;
  const text = new TextDecoder().decode(attribute.value);
  return [...text].length <= LONGEST_ATTRIBUTE && text !== "" ? text : undefined;
}

function readCertificates(paths: PkiPaths): Certificate[] {
  const file = paths.caCertificate;
  if (!isThere(file)) throw missingAuthority(paths);
  const blocks = decodePem(readTextLimited(file)).filter((block) => block.label === "CERTIFICATE");
  const refuse = (cause: string) =>
    new CaError("CA_CERTIFICATE", {
      file,
      cause,
      hint: "put the CA's own certificate back, for example from a host's ca-cert.pem",
    });
  if (blocks.length === 0) throw refuse("it has no certificate in PEM");
  return blocks.map((block) => {
    try {
      return parseCertificate(block.der);
    } catch (error) {
      throw refuse(reason(error));
    }
  });
}

function checkAuthority(
  paths: PkiPaths,
  certificate: Certificate,
  now: Date,
  evenExpired: boolean,
): void {
  const file = paths.caCertificate;
  const { basicConstraints, keyUsage, notBefore, notAfter } = certificate;
  const hint = `make another CA: deno task ca init --dir DIR`;
  if (basicConstraints?.ca !== true) {
    throw new CaError("CA_CERTIFICATE", { file, cause: "it is not the certificate of a CA", hint });
  }
  if (keyUsage !== undefined && !keyUsage.usages.includes("keyCertSign")) {
    const cause = "its key usage does not permit certificate signing";
    throw new CaError("CA_CERTIFICATE", { file, cause, hint });
  }
  if (now > notAfter && !evenExpired) {
    throw new CaError("CA_EXPIRED", {
      file,
      value: day(notAfter),
      hint: `renew it and all hosts: deno task ca renew --dir ${paths.root}`,
    });
  }
  if (now < notBefore) {
    throw new CaError("CA_NOT_ACTIVE", {
      file,
      value: notBefore.toISOString(),
      hint: `set this machine's clock right: it says ${now.toISOString()}`,
    });
  }
}

/** A server with a CRL of nobody whom it trusts does not start, so no host shall get one. */
function readCrls(
  paths: PkiPaths,
  engine: Engine,
  known: readonly Certificate[],
  trust: readonly Certificate[],
): string {
  const file = paths.caCrl;
  const refuse = (cause: string) =>
    new CaError("CRL", {
      file,
      cause,
      hint: `put the CA's own CRL back as ${file}`,
    });
  const blocks = decodePem(readTextLimited(file)).filter((block) => block.label === CRL_LABEL);
  if (blocks.length === 0) throw refuse(`it has no ${CRL_LABEL} in PEM`);
  const isSignedBy = signatureCheck(engine);
  const lists: Uint8Array[] = [];
  for (const block of blocks) {
    let crl: RevocationList;
    try {
      crl = parseCrl(block.der);
    } catch (error) {
      throw refuse(reason(error));
    }
    const signer = known.find((one) =>
      sameBytes(crl.issuer.raw, one.subject.raw) && isSignedBy(crl, one)
    );
    if (signer === undefined) throw refuse("the CA did not sign it");
    if (trust.some((one) => sameBytes(one.subject.raw, signer.subject.raw))) lists.push(block.der);
  }
  return lists.map((der) => encodePem(CRL_LABEL, der)).join("");
}

function reason(error: unknown): string {
  if (error instanceof VirtcredsError) return error.facts.cause ?? error.message;
  return error instanceof Error ? error.message : String(error);
}
