/** Which of the files that were found are the CA, and which certificates are whose. */

import {
  type Certificate,
  type RevocationList,
  type SignatureCheck,
  signatureCheck,
} from "../creds/mod.ts";
import { type Engine, EngineError, type SigningKey } from "../engine/mod.ts";
import { isEncrypted } from "./authority_key.ts";
import { CaError } from "./error.ts";
import { namesOf, serialOf } from "./held.ts";
import { parseHostName } from "./host_name.ts";
import type { FoundCertificate, FoundKey, Material } from "./import_files.ts";
import { type Role, ROLES } from "./profile.ts";
import { crlNumberOf } from "./revoked.ts";
import { hostOf } from "./take_over.ts";

/** The CA among what was found. */
export interface PickedAuthority {
  readonly certificate: Certificate;
  readonly file: string;
  readonly key: SigningKey;
  /** As it lay there, encrypted where it was. */
  readonly keyPem: string;
  readonly keyFile: string;
  /** Its issuers up to a root, as far as they were found. */
  readonly chain: readonly Certificate[];
}

/** What is known of the CA beforehand. */
export interface PickOptions {
  /** The file of its certificate. */
  readonly certificate?: string | undefined;
  /** The file of its key. */
  readonly key?: string | undefined;
  readonly engine: Engine;
  readonly passphrase?: string | undefined;
}

/**
 * Finds the CA: the one key that fits a CA's certificate.
 *
 * @throws {CaError} `IMPORT` If there is none, or several, or the key cannot be opened.
 */
export async function pickAuthority(
  source: string,
  material: Material,
  { certificate: named, key: namedKey, engine, passphrase }: PickOptions,
): Promise<PickedAuthority> {
  const found = material.certificates.filter(({ certificate }) => isAuthority(certificate));
  const authorities = found.filter(({ file }) => named === undefined || file === named);
  const keys = material.keys.filter(({ file }) => namedKey === undefined || file === namedKey);
  const refuse = (cause: string, hint: string) =>
    new CaError("IMPORT", { file: source, cause, hint });
  if (authorities.length === 0) {
    throw refuse("it has no certificate of a CA", "name it: --ca-cert FILE");
  }
  const picked = new Map<string, PickedAuthority>();
  const [likely, others] = byLikelihood(keys);
  let locked: string | undefined;
  let failure: { file: string; cause: string } | undefined;
  for (const { file: keyFile, pem: keyPem } of [...likely, ...others]) {
    // A CA has one key and its hosts have thousands.
    if (picked.size > 0 && others.some((one) => one.file === keyFile)) break;
    const encrypted = isEncrypted(keyPem);
    if (encrypted && passphrase === undefined) {
      locked ??= keyFile;
      continue;
    }
    let key: SigningKey;
    try {
      key = await engine.importKey(keyPem, encrypted ? passphrase : undefined);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      failure ??= { file: keyFile, cause: error.facts.cause ?? error.message };
      continue;
    }
    const spki = key.publicKey.toHex();
    const own = authorities.filter(({ certificate }) => certificate.spki.toHex() === spki);
    // Of several certificates of one key the newest is the CA's.
    const newest = own.sort((a, b) => +b.certificate.notAfter - +a.certificate.notAfter)[0];
    if (newest === undefined || picked.has(spki)) {
      key[Symbol.dispose]();
      continue;
    }
    const chain = chainOf(newest.certificate, found, signatureCheck(engine));
    picked.set(spki, { ...newest, key, keyPem, keyFile, chain });
  }
  const [first, ...more] = picked.values();
  if (first !== undefined && more.length === 0) return first;
  for (const one of picked.values()) one.key[Symbol.dispose]();
  if (first !== undefined) {
    const files = [...picked.values()].map(({ file }) => file);
    throw refuse(
      `it has the keys of several CAs: ${files.join(", ")}`,
      "say which: --ca-cert FILE --ca-key FILE",
    );
  }
  if (locked !== undefined) {
    throw refuse(
      `its key ${locked} is encrypted`,
      "give its passphrase: --passphrase-file FILE, or - for standard input",
    );
  }
  throw failure === undefined
    ? refuse("it has no key that fits a CA's certificate", "name it: --ca-key FILE")
    : refuse(
      `key ${failure.file}: ${failure.cause}`,
      `try it: openssl pkey -in ${failure.file} -noout`,
    );
}

function isAuthority({ basicConstraints }: Certificate): boolean {
  return basicConstraints?.ca === true;
}

/** Parts the keys that are called a CA's from the others. */
function byLikelihood(keys: readonly FoundKey[]): [likely: FoundKey[], others: FoundKey[]] {
  const isLikely = ({ file }: FoundKey) => /(^|\/)(ca|root)[^/]*$|ca[-_.]?key[^/]*$/i.test(file);
  return [keys.filter(isLikely), keys.filter((key) => !isLikely(key))];
}

function chainOf(
  certificate: Certificate,
  authorities: readonly FoundCertificate[],
  isSignedBy: SignatureCheck,
): Certificate[] {
  const chain: Certificate[] = [];
  for (let at = certificate; !isSame(at.issuer, at.subject) && chain.length < 8;) {
    const issuer = authorities.map((one) => one.certificate)
      .find((one) => isSame(one.subject, at.issuer) && isSignedBy(at, one) === true);
    if (issuer === undefined) return chain;
    chain.push(issuer);
    at = issuer;
  }
  return chain;
}

function isSame(a: Certificate["issuer"], b: Certificate["issuer"]): boolean {
  return a.raw.toHex() === b.raw.toHex();
}

/** A certificate that the CA issued. */
export interface PickedCertificate {
  readonly file: string;
  readonly certificate: Certificate;
  readonly serial: string;
  /** Empty where its name is none that a host can have. */
  readonly host: string;
  readonly roles: readonly Role[];
  /** The file's key where it was found; it may be encrypted. */
  readonly keyPem: string | undefined;
}

/** What the CA issued, and what of the files is not its own. */
export interface PickedCertificates {
  readonly issued: readonly PickedCertificate[];
  readonly foreign: readonly { readonly file: string; readonly cause: string }[];
}

/** Tells which certificates the CA issued; each comes once, however often it lies there. */
export async function pickCertificates(
  material: Material,
  authority: PickedAuthority,
  engine: Engine,
): Promise<PickedCertificates> {
  const isSignedBy = signatureCheck(engine);
  const keys = await keysByPublic(material.keys, engine);
  const issued = new Map<string, PickedCertificate>();
  const foreign: { file: string; cause: string }[] = [];
  for (const { certificate, files } of distinct(material.certificates)) {
    if (isOwn(certificate, authority)) continue;
    const serial = serialOf(certificate);
    const file = files.at(-1)!;
    const refuse = (cause: string) => foreign.push({ file, cause });
    const isSigned = isSignedBy(certificate, authority.certificate);
    if (!isSame(certificate.issuer, authority.certificate.subject)) refuse("another CA issued it");
    else if (isSigned === undefined) refuse("its signature is of a kind that cannot be checked");
    else if (!isSigned) refuse("the CA's key did not sign it");
    else if (issued.has(serial)) {
      refuse(`its serial ${serial} is the one of ${issued.get(serial)!.file}`);
    } else {
      const locked = files.map((one) => keys.locked.get(stemOf(one)));
      issued.set(serial, {
        file,
        certificate,
        serial,
        host: isAuthority(certificate) ? "" : hostNameOf(certificate),
        roles: rolesOf(certificate),
        keyPem: keys.public.get(certificate.spki.toHex()) ??
          locked.find((pem) => pem !== undefined),
      });
    }
  }
  return { issued: [...issued.values()], foreign };
}

/** The same certificate may lie under its serial and under its name. */
function distinct(found: readonly FoundCertificate[]) {
  const files = new Map<string, { certificate: Certificate; files: string[] }>();
  for (const { file, certificate } of found) {
    const id = certificate.raw.toHex();
    const known = files.get(id);
    if (known === undefined) files.set(id, { certificate, files: [file] });
    else known.files.push(file);
  }
  return files.values();
}

function isOwn(certificate: Certificate, { certificate: own, chain }: PickedAuthority): boolean {
  return [own, ...chain].some((one) => one.raw.toHex() === certificate.raw.toHex());
}

/** A key that is locked is known by its name alone: `NAME.key` to `NAME.crt`. */
async function keysByPublic(keys: readonly FoundKey[], engine: Engine) {
  const [open, locked] = [new Map<string, string>(), new Map<string, string>()];
  for (const { file, pem } of keys) {
    if (isEncrypted(pem)) {
      locked.set(stemOf(file), pem);
      continue;
    }
    try {
      using key = await engine.importKey(pem);
      open.set(key.publicKey.toHex(), pem);
    } catch (error) {
      // A key that nobody can read is no host's.
      if (!(error instanceof EngineError)) throw error;
    }
  }
  return { public: open, locked };
}

function stemOf(file: string): string {
  return file.replace(/.*\//, "").replace(/\.[^.]*$/, "").replace(/[-_.](key|cert|crt)$/, "");
}

/** The CN where it can be a host's name, else the first alternative name that can. */
function hostNameOf(certificate: Certificate): string {
  for (const text of [hostOf(certificate), ...namesOf(certificate).map((name) => name.text)]) {
    try {
      return parseHostName(text).text;
    } catch (error) {
      if (!(error instanceof CaError)) throw error;
    }
  }
  return "";
}

const PURPOSES: Readonly<Record<Role, string>> = {
  server: "1.3.6.1.5.5.7.3.1",
  client: "1.3.6.1.5.5.7.3.2",
};
const ANY_PURPOSE = "2.5.29.37.0";

/** One that names no purpose is for all. */
function rolesOf({ extendedKeyUsage }: Certificate): Role[] {
  if (extendedKeyUsage === undefined || extendedKeyUsage.purposes.includes(ANY_PURPOSE)) {
    return [...ROLES];
  }
  return ROLES.filter((role) => extendedKeyUsage.purposes.includes(PURPOSES[role]));
}

/** The newest list that the CA signed. */
export function pickCrl(
  material: Material,
  { certificate }: PickedAuthority,
  engine: Engine,
): RevocationList | undefined {
  const isSignedBy = signatureCheck(engine);
  return material.crls.map(({ crl }) => crl)
    .filter((crl) =>
      isSame(crl.issuer, certificate.subject) && isSignedBy(crl, certificate) === true
    )
    .sort((a, b) =>
      crlNumberOf(a) === crlNumberOf(b)
        ? +b.thisUpdate - +a.thisUpdate
        : crlNumberOf(a) < crlNumberOf(b)
        ? 1
        : -1
    )[0];
}
