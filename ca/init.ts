/** A new authority. */

import { dirname, resolve } from "@std/path";
import { type Clock, createFile, encodePem, systemClock } from "../base/mod.ts";
import { type Certificate, parseCertificate } from "../creds/mod.ts";
import type { Engine, KeyType, SigningKey } from "../engine/mod.ts";
import { checkKeyUri, openTokenKey } from "./authority_key.ts";
import { fingerprint, randomSerial, serialText, signCertificate } from "./certificate.ts";
import { type Change, type ChangeOptions, changePki } from "./change.ts";
import { parseDomain, parseNetwork, type Subtree } from "./constraints.ts";
import { CaError } from "./error.ts";
import { keyIdentifier } from "./extensions.ts";
import { bundlePem, signEmptyCrl, trusted } from "./issuer.ts";
import { wayBack } from "./missing.ts";
import { encodeName, LONGEST_ATTRIBUTE, parseSubject } from "./name.ts";
import { within } from "./next_authority.ts";
import {
  CA_CERTIFICATE_FILE,
  CA_CRL_FILE,
  CA_KEY_FILE,
  CA_KEY_URI_FILE,
  ensureRoot,
  isThere,
  type PkiPaths,
  pkiPaths,
} from "./pki.ts";
import { authorityExtensions } from "./profile.ts";
import { adoptAbove, type RootOptions, withRoot } from "./root.ts";
import { issuerId } from "./store.ts";
import { authorityValidity, CA_DAYS, checkDays, LONGEST_DAYS, type Validity } from "./validity.ts";

/** Name of a CA unless said otherwise. */
export const CA_NAME = "virtcreds CA";

/** Name of a root unless said otherwise. */
export const ROOT_NAME = "virtcreds root CA";

/** What a new authority is to be. */
export interface InitOptions extends ChangeOptions {
  /** Its directory, made if it is not there. */
  readonly dir: string;
  /** Common name, {@linkcode CA_NAME} by default. */
  readonly name?: string;
  /** What its subject has before the CN, as {@linkcode parseSubject} reads it. */
  readonly subject?: string | undefined;
  /** The domains that it may vouch for; all when there is none. */
  readonly permitDns?: readonly string[];
  /** The networks that it may vouch for; all when there is none. */
  readonly permitIp?: readonly string[];
  /** P-256 by default. */
  readonly keyType?: KeyType;
  /** Days of validity, {@linkcode CA_DAYS} by default. */
  readonly days?: number;
  readonly engine: Engine;
  /** `pkcs11:` URI of a key in a token (RFC 7512), which then is the CA's. */
  readonly key?: string | undefined;
  /** Encrypts the key, or is the PIN of its token. */
  readonly passphrase?: string | undefined;
  /** The root that signs it, made if it is not there; it signs itself without one. */
  readonly root?: (RootOptions & { readonly name?: string | undefined }) | undefined;
  readonly clock?: Clock;
}

/** An authority that was made. */
export interface InitResult {
  readonly dir: string;
  readonly name: string;
  /** `undefined` for a token's key of a kind that this toolkit does not make. */
  readonly keyType: KeyType | undefined;
  /** Paths of the files; `key` may have the URI of a key in a token. */
  readonly files: { readonly certificate: string; readonly key: string; readonly crl: string };
  /** In hexadecimal. */
  readonly serial: string;
  /** Fingerprint of the certificate, in hexadecimal. */
  readonly sha256: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** The root that signed it, with its subject, and whether it was made for that. */
  readonly root:
    | { readonly dir: string; readonly name: string; readonly isNew: boolean }
    | undefined;
}

/**
 * Makes a CA: key, certificate and an empty CRL. An existing one is never touched.
 *
 * @throws {CaError} `CA_EXISTS` If the directory has a CA or a part of one; `COMMON_NAME`,
 * `SUBJECT`, `DNS_NAME`, `IP_ADDRESS`, `DAYS`
 * for input that cannot be used; `ROOT` for a root that may not sign a CA, or that could be made
 * nowhere;
 * `KEY_URI`, `CA_KEY` for a token's key that cannot be used.
 * @throws {BaseError} `FILE_NOT_WRITABLE` If the directory cannot be written to.
 */
export async function initAuthority(options: InitOptions): Promise<InitResult> {
  const { engine, keyType = "ec-p256", name = CA_NAME, days = CA_DAYS } = options;
  const now = (options.clock ?? systemClock)();
  const paths = pkiPaths(options.dir);
  checkCommonName(name);
  const attributes = options.subject === undefined ? [] : parseSubject(options.subject);
  const permitted = [
    ...(options.permitDns ?? []).map(parseDomain),
    ...(options.permitIp ?? []).map(parseNetwork),
  ];
  checkDays(days);
  refuseExisting(paths);
  const uri = options.key === undefined ? undefined : checkKeyUri(options.key, "--key");
  using key = uri === undefined
    ? await engine.generateKey(keyType)
    : await openTokenKey(uri, engine, options.passphrase, uri);
  const subject = encodeName([...attributes, ["CN", name]]);
  const serial = randomSerial();
  const own = { serial, subject, publicKey: key.publicKey, permitted, days, now };
  const signed = options.root === undefined
    ? await selfSigned(own, key)
    : await signedByRoot(own, options, options.root);
  const { certificate, above, ...validity } = signed;
  const keyId = keyIdentifier(key.publicKey);
  const { pem: crl, act: crlMade } = await signEmptyCrl({ subject, keyId, ...validity }, key, now);
  const [keyFile, keyText] = uri === undefined
    ? [CA_KEY_FILE, await key.exportPem(options.passphrase)]
    : [CA_KEY_URI_FILE, `${uri}\n`];
  ensureRoot(paths.root);
  await changePki(paths, options, async (change) => {
    refuseExisting(paths);
    await refuseUsed(paths, change);
    const staged = change.stageAuthority("create");
    createFile(`${staged}/${keyFile}`, keyText, 0o600, false);
    createFile(`${staged}/${CA_CRL_FILE}`, crl + above.crlPem, 0o644, false);
    const text = encodePem("CERTIFICATE", certificate) + bundlePem(above.certificates);
    createFile(`${staged}/${CA_CERTIFICATE_FILE}`, text, 0o644, false);
    change.signedBy({ key, [Symbol.dispose]: () => {} });
    change.record({
      act: "init",
      issuer: issuerId(parseCertificate(certificate).issuer.raw),
      serial: serialText(serial),
      certificate,
    });
    change.record(crlMade);
    await adoptAbove(change, above.certificates, above.crlPem);
  });
  return {
    dir: paths.root,
    name,
    keyType: key.type,
    files: {
      certificate: paths.caCertificate,
      key: uri === undefined ? paths.caKey : paths.caKeyUri,
      crl: paths.caCrl,
    },
    serial: serialText(serial),
    sha256: fingerprint(certificate),
    ...validity,
    root: above.root,
  };
}

/** A CA's own certificate before somebody signed it. */
interface OwnFields {
  readonly serial: Uint8Array;
  readonly subject: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly permitted: readonly Subtree[];
  readonly days: number;
  readonly now: Date;
}

/** A CA's certificate, and what is above it in the files of hosts. */
interface SignedOwn extends Validity {
  readonly certificate: Uint8Array;
  readonly above: {
    readonly certificates: readonly Certificate[];
    readonly crlPem: string;
    readonly root: InitResult["root"];
  };
}

async function selfSigned(own: OwnFields, key: SigningKey): Promise<SignedOwn> {
  const { subject, now, days, publicKey, permitted } = own;
  const validity = authorityValidity(now, days);
  const extensions = authorityExtensions(publicKey, permitted);
  const fields = { ...own, ...validity, issuer: subject, extensions };
  const certificate = await signCertificate(fields, key);
  return {
    certificate,
    ...validity,
    above: { certificates: [], crlPem: "", root: undefined },
  };
}

/** Made first, where there is none: with the same kind of key, for twice as long. */
async function signedByRoot(
  own: OwnFields,
  options: InitOptions,
  root: RootOptions & { readonly name?: string | undefined },
): Promise<SignedOwn> {
  const { engine, keyType } = options;
  const isNew = !isThere(pkiPaths(root.dir).caCertificate);
  if (isNew) {
    refuseNowhere(options.dir, root.dir);
    await initAuthority({
      dir: root.dir,
      engine,
      name: root.name ?? ROOT_NAME,
      ...(keyType === undefined ? {} : { keyType }),
      days: Math.min(LONGEST_DAYS, 2 * own.days),
      passphrase: root.passphrase,
      clock: () => own.now,
    });
  }
  return await withRoot({ ...options, clock: () => own.now }, undefined, async (signer, record) => {
    const validity = within(authorityValidity(own.now, own.days), signer);
    const extensions = authorityExtensions(own.publicKey, own.permitted, signer);
    const fields = { ...own, ...validity, issuer: signer.subject, extensions };
    const certificate = await signCertificate(fields, signer.key);
    record(own.serial, certificate);
    const { certificates, crlPem } = signer;
    const name = signer.certificate.subject.text;
    return {
      certificate,
      ...validity,
      above: {
        certificates: trusted(certificates, signer.certificate, own.now),
        crlPem,
        root: { dir: root.dir, name, isNew },
      },
    };
  });
}

/** A root belongs onto a medium, and is not to be made beside it because that is not there. */
function refuseNowhere(dir: string, root: string): void {
  const parent = dirname(resolve(root));
  if (isThere(parent)) return;
  throw new CaError("ROOT", {
    file: dir,
    cause: `there is no CA in ${root}, and no directory ${parent} to make one in`,
    hint: [
      "mount the medium that the root is on, or mend the path",
      `for a new root there: mkdir -p ${parent}`,
    ],
  });
}

function refuseExisting(paths: PkiPaths): void {
  for (const file of [paths.caCertificate, paths.caKey, paths.caKeyUri, paths.caCrl]) {
    if (!isThere(file)) continue;
    throw new CaError("CA_EXISTS", {
      file,
      hint: wayBack(paths) ?? [
        "go on with it: deno task ca issue HOST --dir " + paths.root,
        "or make another one elsewhere: deno task ca init --dir DIR",
      ],
    });
  }
}

/** What another CA has done there is nothing that a new one should go on with. */
async function refuseUsed(paths: PkiPaths, change: Change): Promise<void> {
  const { seq } = await (await change.store()).head();
  if (seq === 0) return;
  throw new CaError("CA_EXISTS", {
    file: paths.store,
    hint: [
      "put its ca-cert.pem and key back, for example from a backup",
      "or make another CA elsewhere: deno task ca init --dir DIR",
    ],
  });
}

/**
 * Checks the name of a CA.
 *
 * @throws {CaError} `COMMON_NAME`.
 */
export function checkCommonName(name: string): void {
  const length = [...name].length;
  const cause = name.trim() !== name || name === ""
    ? "it is empty or has blanks around it"
    : /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/u.test(name)
    ? "it has a control character"
    : length > LONGEST_ATTRIBUTE
    ? `it has ${length} characters, more than ${LONGEST_ATTRIBUTE}`
    : undefined;
  if (cause === undefined) return;
  throw new CaError("COMMON_NAME", {
    option: "--name",
    value: name,
    cause,
    hint: `choose one such as --name "${CA_NAME}"`,
  });
}
