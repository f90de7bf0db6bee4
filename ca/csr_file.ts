/** The requests in a file from a host, each judged by itself: who can be meant, and what is wanted. */

import { decodePem, encodePem, printable, readFileLimited, VirtcredsError } from "../base/mod.ts";
import { type CertificateRequest, parseCertificateRequest, REQUEST_LABELS } from "../creds/mod.ts";
import { type Engine, EngineError, KEY_TYPES, type KeyType } from "../engine/mod.ts";
import { CaError } from "./error.ts";
import { keyTypeOf } from "./held.ts";
import { formatIpName, parseDnsName, parseHostName, type SubjectName } from "./host_name.ts";
import type { Role } from "./profile.ts";

/** A name that a request asks for and nobody can have, or this host may not. */
export interface RefusedName {
  readonly name: string;
  readonly cause: string;
}

/** A request as it was read: its signature is right, nothing of it is granted yet. */
export interface ReadRequest {
  readonly file: string;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  readonly keyType: KeyType;
  /** The request in PEM, under RFC 7468's label. */
  readonly pem: string;
  /** The host that it says it is of: its CN, else its first name. */
  readonly claim: SubjectName | undefined;
  /** The names it asks for; none twice. */
  readonly names: readonly SubjectName[];
  /** What it asks for that is no name of a host. */
  readonly refused: readonly RefusedName[];
  /** The endpoints that it asks for; `undefined` where it says nothing of that. */
  readonly roles: readonly Role[] | undefined;
  /** What else it asks for, which is the authority's to decide. */
  readonly ignored: readonly string[];
}

/** Most requests that one file may have. */
const MOST_REQUESTS = 16;

/** The most that is read of a file, in bytes. */
const LARGEST_FILE = 1024 * 1024;

/**
 * Reads the requests of a file, PEM or DER, and checks that who made each has its key.
 *
 * @throws {CaError} `REQUEST` If one of them cannot be signed, whoever asks.
 * @throws {BaseError} `FILE_NOT_FOUND`, `FILE_NOT_READABLE`, `FILE_TOO_LARGE`.
 */
export function readRequests(
  file: string,
  engine: Engine,
  allowWildcard = false,
): ReadRequest[] {
  return requestBlocks(file).map((der) => readOne(file, der, engine, allowWildcard));
}

function requestBlocks(file: string): Uint8Array[] {
  const bytes = readFileLimited(file, LARGEST_FILE);
  if (bytes[0] === 0x30) return [bytes];
  const blocks = decodePem(new TextDecoder().decode(bytes));
  if (blocks.some(({ label }) => label.endsWith("PRIVATE KEY"))) {
    throw refuse(
      file,
      "it has a private key in it, which must not leave the host",
      "make new keys on the host: deno task ca request HOST --out DIR",
    );
  }
  const requests = blocks.filter(({ label }) => REQUEST_LABELS.includes(label));
  if (requests.length === 0) throw refuse(file, "it has no certificate request in PEM");
  if (requests.length > MOST_REQUESTS) {
    throw refuse(file, `it has ${requests.length} requests, more than ${MOST_REQUESTS}`);
  }
  return requests.map(({ der }) => der);
}

function readOne(
  file: string,
  der: Uint8Array,
  engine: Engine,
  allowWildcard: boolean,
): ReadRequest {
  let request: CertificateRequest;
  try {
    request = parseCertificateRequest(der);
  } catch (error) {
    throw refuse(file, error instanceof VirtcredsError ? error.message : String(error));
  }
  const keyType = supportedKey(file, request);
  checkPossession(file, request, engine);
  const { names, refused } = askedNames(request, allowWildcard);
  const { roles, ignored } = askedPurposes(file, request);
  return {
    file,
    publicKey: request.spki,
    keyType,
    pem: encodePem("CERTIFICATE REQUEST", request.raw),
    claim: claimOf(request, names),
    names,
    refused,
    roles,
    ignored: [...ignored, ...ignoredOf(request)],
  };
}

const RSA = "1.2.840.113549.1.1.1";

function supportedKey(file: string, request: CertificateRequest): KeyType {
  const { oid, bits } = request.publicKey;
  const type = bits !== undefined && oid !== RSA ? undefined : keyTypeOf(request);
  if (type !== undefined) return type;
  const size = bits === undefined ? "" : ` of ${bits} bits`;
  throw refuse(
    file,
    `its key${size} is none of ${KEY_TYPES.join(", ")}`,
    "make another key on the host: deno task ca request HOST --key-type TYPE",
  );
}

function checkPossession(file: string, request: CertificateRequest, engine: Engine): void {
  const { spki, signatureAlgorithm, tbs, signature } = request;
  let isRight = false;
  try {
    isRight = engine.verify({
      publicKey: spki,
      algorithm: signatureAlgorithm.raw,
      data: tbs,
      signature,
    });
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    throw refuse(
      file,
      `its signature cannot be checked: ${error.facts.cause ?? error.message}`,
      "make it with SHA-256: deno task ca request HOST",
    );
  }
  if (!isRight) throw refuse(file, "its key did not sign it, so nobody has shown to have that key");
}

function askedNames(
  request: CertificateRequest,
  allowWildcard: boolean,
): { readonly names: SubjectName[]; readonly refused: RefusedName[] } {
  const names = new Map<string, SubjectName>();
  const refused: RefusedName[] = [];
  const add = (name: SubjectName) => names.set(`${name.kind}:${name.text}`, name);
  const asked = request.subjectAltName;
  for (const text of asked?.dns ?? []) {
    try {
      if (!/^[\x21-\x7e]*$/.test(text)) throw new CaError("DNS_NAME", { cause: "it is not ASCII" });
      add(parseDnsName(text, "the request's", allowWildcard));
    } catch (error) {
      if (!(error instanceof CaError)) throw error;
      refused.push({ name: text, cause: error.facts.cause ?? error.message });
    }
  }
  for (const octets of asked?.ip ?? []) {
    if (octets.length === 4 || octets.length === 16) add(formatIpName(octets.slice()));
    else refused.push({ name: `IP ${octets.toHex()}`, cause: `it has ${octets.length} bytes` });
  }
  const cause = "certificates of hosts have DNS names and addresses alone";
  for (const [kind, texts] of otherNames(request)) {
    for (const text of texts) refused.push({ name: `${kind} ${text}`, cause });
  }
  return {
    names: [...names.values()],
    refused: refused.map(({ name, cause }) => ({ name: printable(name), cause })),
  };
}

function otherNames(
  { subjectAltName: names }: CertificateRequest,
): [kind: string, texts: readonly string[]][] {
  if (names === undefined) return [];
  return [
    ["e-mail address", names.email],
    ["URI", names.uri],
    ["directory name", names.directory.map((name) => name.text)],
    ["other name", names.other],
    ["registered ID", names.registeredId],
  ];
}

const COMMON_NAME = "2.5.4.3";

function claimOf(
  { subject }: CertificateRequest,
  names: readonly SubjectName[],
): SubjectName | undefined {
  const commonNames = subject.rdns.flat().filter((one) => one.oid === COMMON_NAME);
  const first = names.find((name) => !name.text.startsWith("*"));
  if (commonNames.length !== 1) return first;
  try {
    return parseHostName(new TextDecoder().decode(commonNames[0]!.value));
  } catch (error) {
    if (error instanceof CaError) return first;
    throw error;
  }
}

const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";
const ANY_PURPOSE = "2.5.29.37.0";

function askedPurposes(
  file: string,
  { extendedKeyUsage }: CertificateRequest,
): { readonly roles: readonly Role[] | undefined; readonly ignored: readonly string[] } {
  if (extendedKeyUsage === undefined) return { roles: undefined, ignored: [] };
  const { purposes } = extendedKeyUsage;
  const has = (purpose: string) => purposes.includes(purpose) || purposes.includes(ANY_PURPOSE);
  const roles: Role[] = [
    ...(has(SERVER_AUTH) ? ["server"] as const : []),
    ...(has(CLIENT_AUTH) ? ["client"] as const : []),
  ];
  if (roles.length === 0) {
    throw refuse(
      file,
      `it asks for other purposes than TLS: ${purposes.join(", ")}`,
      "make it on the host: deno task ca request HOST",
    );
  }
  const known = [SERVER_AUTH, CLIENT_AUTH, ANY_PURPOSE];
  const others = purposes.filter((purpose) => !known.includes(purpose));
  return { roles, ignored: others.map((purpose) => `the purpose ${purpose}`) };
}

const EXTENSION_NAMES: Readonly<Record<string, string>> = {
  "2.5.29.14": "subjectKeyIdentifier",
  "2.5.29.15": "keyUsage",
  "2.5.29.19": "basicConstraints",
  "2.5.29.30": "nameConstraints",
  "2.5.29.31": "cRLDistributionPoints",
  "2.5.29.32": "certificatePolicies",
  "2.5.29.35": "authorityKeyIdentifier",
  "1.3.6.1.5.5.7.1.1": "authorityInfoAccess",
  "1.2.840.113549.1.9.2": "unstructuredName",
  "1.2.840.113549.1.9.7": "challengePassword",
};

/** Subject alternative names and purposes are looked at; all else is not. */
const LOOKED_AT = ["2.5.29.17", "2.5.29.37"];

function ignoredOf({ extensions, attributes }: CertificateRequest): string[] {
  const oids = [...extensions.map((one) => one.oid), ...attributes];
  return oids.filter((oid) => !LOOKED_AT.includes(oid))
    .map((oid) => EXTENSION_NAMES[oid] ?? `the extension ${oid}`);
}

function refuse(
  file: string,
  cause: string,
  hint = "make it on the host: deno task ca request HOST",
): CaError {
  return new CaError("REQUEST", { file, cause, hint });
}
