/** The first step of a roll-over: the next CA is made, and hosts are told of it. */

import { type Clock, createFile, encodePem, systemClock } from "../base/mod.ts";
import { type Certificate, isIssuedBy, parseCertificate } from "../creds/mod.ts";
import type { Engine, KeyType, SigningKey } from "../engine/mod.ts";
import { authorityKeyLock, checkKeyUri, openTokenKey } from "./authority_key.ts";
import { fingerprint, serialText } from "./certificate.ts";
import { type Change, type ChangeOptions, changePki } from "./change.ts";
import { CaError } from "./error.ts";
import { heldHosts, keyTypeOf, readHeld } from "./held.ts";
import { checkCommonName } from "./init.ts";
import { refuseWithoutAuthority } from "./issue.ts";
import { bundlePem, type Issuer, openIssuer, signEmptyCrl, trusted } from "./issuer.ts";
import { authorityDays } from "./life.ts";
import { type MadeAuthority, makeNext, nextName } from "./next_authority.ts";
import {
  CA_CERTIFICATE_FILE,
  CA_CRL_FILE,
  CA_KEY_FILE,
  CA_KEY_URI_FILE,
  makeDirectory,
  NEXT_DIRECTORY,
  type PkiPaths,
  pkiPaths,
} from "./pki.ts";
import { type RootOptions, withRoot } from "./root.ts";
import { readRotation } from "./rotation.ts";
import { issuerId } from "./store.ts";

/** What every step of a roll-over needs. */
export interface RotateOptions extends ChangeOptions {
  /** The authority's directory. */
  readonly dir: string;
  readonly engine: Engine;
  readonly clock?: Clock;
  /** Of the CA's key, or the PIN of its token. */
  readonly passphrase?: string | undefined;
  /** Of the next CA's key; the same by default. */
  readonly newPassphrase?: string | undefined;
}

/** What the next CA is to be; what is left out is as the old one has it. */
export interface StartOptions extends RotateOptions {
  readonly keyType?: KeyType | undefined;
  /** Its common name. */
  readonly name?: string | undefined;
  readonly days?: number | undefined;
  /** `pkcs11:` URI of its key in a token. */
  readonly key?: string | undefined;
  /** The root that signs it, where the CA is an issuing one. */
  readonly root?: RootOptions | undefined;
}

/** A roll-over that was started. */
export interface RotationStart {
  /** Whether it was started before, so that nothing was done. */
  readonly already: boolean;
  /** Subject of the next CA. */
  readonly name: string;
  /** Fingerprint of its certificate, in hexadecimal. */
  readonly sha256: string;
  readonly notAfter: Date;
  /** When the old CA ends. */
  readonly oldNotAfter: Date;
  /** Hosts whose directory tells of both CAs. */
  readonly hosts: readonly string[];
  /** Hosts whose directory cannot be read. */
  readonly damaged: readonly string[];
}

/** QEMU before 10.2 reads so many certificates of a bundle. */
const MOST_AUTHORITIES = 16;

/**
 * Makes the next CA, which signs nothing yet, and puts its certificate and CRL beside the old ones
 * into every host's directory. Done once, it does nothing when it is done again.
 *
 * @throws {CaError} `ROTATION` If the CA before is still trusted, or the bundle would be too long;
 * `COMMON_NAME`, `DAYS`, `KEY_URI`, `CA_KEY`; what is wrong with the authority, as `renewHosts`.
 */
export async function startRotation(options: StartOptions): Promise<RotationStart> {
  const now = (options.clock ?? systemClock)();
  const paths = pkiPaths(options.dir);
  if (options.name !== undefined) checkCommonName(options.name);
  const uri = options.key === undefined ? undefined : checkKeyUri(options.key, "--key");
  refuseWithoutAuthority(paths);
  return await changePki(paths, options, async (change) => {
    const { position, other, own } = readRotation(paths);
    if (position === "started") return await started(paths, own, other!, true);
    if (position === "issuing") {
      throw refuse("the roll-over before is not finished", [
        `see how far it is: deno task ca rotate status --dir ${paths.root}`,
        `then end it: deno task ca rotate finish --dir ${paths.root}`,
      ]);
    }
    const { engine, passphrase } = options;
    const issuer = change.signedBy(
      await openIssuer(paths, { change, engine, now, passphrase, evenExpired: true }),
    );
    await refuseIssuing(change, issuer, now);
    using key = await nextKey(options, issuer, uri);
    const made = await makeWith(options, issuer, key, now);
    await stage(paths, change, issuer, key, made, options, uri, now);
    return await started(paths, issuer.certificate, parseCertificate(made.certificate), false);
  });
}

/** A root's key is what its issuing CAs' certificates come from. */
async function refuseIssuing(change: Change, issuer: Issuer, now: Date): Promise<void> {
  const id = issuerId(issuer.subject);
  const below = (await (await change.store()).certificatesOf(""))
    .filter((one) => one.issuer === id)
    .map((one) => parseCertificate(one.certificate))
    .filter((one) => one.basicConstraints?.pathLength === 0 && one.notAfter >= now);
  if (below.length === 0) return;
  throw refuse(`it is the root of ${below.at(-1)!.subject.text}`, [
    "roll the issuing CA over: deno task ca rotate start --root-dir ROOT",
    "or make another root and issuing CA: deno task ca init --dir DIR --root-dir NEW",
  ]);
}

async function nextKey(
  options: StartOptions,
  issuer: Issuer,
  uri: string | undefined,
): Promise<SigningKey> {
  const { engine, keyType, passphrase, newPassphrase = passphrase } = options;
  if (uri !== undefined) return await openTokenKey(uri, engine, newPassphrase, uri);
  if (keyType === undefined && isInToken(options)) {
    throw refuse("the CA's key is in a token, and no other key is named", [
      "make another key in the token and name it: --key pkcs11:…",
      "or have it in a file from now on: --key-type TYPE",
    ]);
  }
  return await engine.generateKey(keyType ?? keyTypeOf(issuer.certificate) ?? "ec-p256");
}

function isInToken({ dir }: StartOptions): boolean {
  return authorityKeyLock(dir) === "pin";
}

async function makeWith(
  options: StartOptions,
  issuer: Issuer,
  key: SigningKey,
  now: Date,
): Promise<MadeAuthority> {
  const old = issuer.certificate;
  if (issuer.certificates.length >= MOST_AUTHORITIES) {
    throw refuse(
      `its file has ${issuer.certificates.length} certificates, and QEMU before 10.2 reads ${MOST_AUTHORITIES}`,
      "take those out that nobody needs any more",
    );
  }
  const subject = nextName(old, issuer.certificates.map((one) => one.subject.raw), options.name);
  const days = options.days ?? authorityDays(old, issuer.certificates);
  if (isIssuedBy(old, old)) return await makeNext(old, key, { subject, now, days });
  return await withRoot(options, old, async (signer, record) => {
    const made = await makeNext(old, key, { subject, now, days, signer });
    record(made.serial, made.certificate);
    return made;
  });
}

async function stage(
  paths: PkiPaths,
  change: Change,
  issuer: Issuer,
  key: SigningKey,
  made: MadeAuthority,
  options: StartOptions,
  uri: string | undefined,
  now: Date,
): Promise<void> {
  // The PIN of a token is no passphrase for a file.
  const { passphrase, newPassphrase = isInToken(options) ? undefined : passphrase } = options;
  // One of this name may have been given up before.
  const last = await (await change.store()).crlNumber(issuerId(made.subject));
  const crl = await signEmptyCrl(made, key, now, last);
  const next = parseCertificate(made.certificate);
  const others = issuer.certificates.filter((one) => one !== issuer.certificate);
  const bundle = [issuer.certificate, ...others, next];
  const lists = issuer.crlPem + crl.pem;
  const staged = change.stageAuthority("replace");
  const own = `${staged}/${NEXT_DIRECTORY}`;
  makeDirectory(own);
  const [keyFile, keyText] = uri === undefined
    ? [CA_KEY_FILE, await key.exportPem(newPassphrase)]
    : [CA_KEY_URI_FILE, `${uri}\n`];
  createFile(`${own}/${keyFile}`, keyText, 0o600, false);
  createFile(
    `${own}/${CA_CERTIFICATE_FILE}`,
    encodePem("CERTIFICATE", made.certificate),
    0o644,
    false,
  );
  createFile(`${staged}/${CA_CRL_FILE}`, lists, 0o644, false);
  createFile(`${staged}/${CA_CERTIFICATE_FILE}`, bundlePem(bundle), 0o644, false);
  // Whose CA has expired has nothing that still works, and a bundle with it would not load.
  if (issuer.notAfter >= now) {
    const trust = bundlePem(trusted(bundle, issuer.certificate, now));
    for (const host of heldHosts(paths)) {
      const held = readHeld(paths, host)!;
      if (held.damage !== undefined) continue;
      // A CRL of a CA that the server does not trust yet would keep it from starting.
      change.stageFiles(host, [[CA_CERTIFICATE_FILE, trust], [CA_CRL_FILE, lists]]);
    }
  }
  change.record({
    act: "rotate",
    issuer: issuerId(next.issuer.raw),
    serial: serialText(made.serial),
    certificate: made.certificate,
    note: "start",
  });
  change.record(crl.act);
}

async function started(
  paths: PkiPaths,
  old: Certificate,
  next: Certificate,
  already: boolean,
): Promise<RotationStart> {
  const held = heldHosts(paths).map((host) => readHeld(paths, host)!);
  const names = (isDamaged: boolean) =>
    held.filter((one) => (one.damage !== undefined) === isDamaged).map((one) => one.host);
  return {
    already,
    name: next.subject.text,
    sha256: await fingerprint(next.raw),
    notAfter: next.notAfter,
    oldNotAfter: old.notAfter,
    hosts: names(false),
    damaged: names(true),
  };
}

function refuse(cause: string, hint: string | readonly string[]): CaError {
  return new CaError("ROTATION", { option: "start a roll-over", cause, hint });
}
