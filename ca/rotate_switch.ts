/** The two CAs of a roll-over change places: the one that waited signs, the other is kept. */

import { createFile, decodePem, encodePem, readTextLimited } from "../base/mod.ts";
import { type Certificate, isIssuedBy, parseCrl } from "../creds/mod.ts";
import { openAuthorityKey } from "./authority_key.ts";
import { serialText } from "./certificate.ts";
import type { Change } from "./change.ts";
import { CaError } from "./error.ts";
import { bundlePem, identify, type Issuer } from "./issuer.ts";
import type { Removable } from "./journal.ts";
import { makeCross } from "./next_authority.ts";
import {
  CA_CERTIFICATE_FILE,
  CA_CRL_FILE,
  CA_KEY_FILE,
  CA_KEY_URI_FILE,
  CROSS_FILE,
  FORMER_DIRECTORY,
  isThere,
  makeDirectory,
  NEXT_DIRECTORY,
  type PkiPaths,
  pkiPaths,
} from "./pki.ts";
import { CRL_LABEL } from "./revoked.ts";
import { type Rotation, sameKey } from "./rotation.ts";
import type { RotateOptions } from "./rotate_start.ts";
import { issuerId } from "./store.ts";

/**
 * Stages the exchange of the CA that signs with the other one of a roll-over: forward to the next
 * CA, or back to the old one.
 *
 * @param issuer The CA that signs now.
 * @throws {CaError} `CA_KEY` If the other one's key cannot be used.
 */
export async function stageExchange(
  paths: PkiPaths,
  change: Change,
  issuer: Issuer,
  { position, other, certificates }: Rotation & { readonly other: Certificate },
  options: RotateOptions,
  now: Date,
): Promise<void> {
  const forward = position === "started";
  const [from, to] = forward
    ? [NEXT_DIRECTORY, FORMER_DIRECTORY] as const
    : [FORMER_DIRECTORY, NEXT_DIRECTORY] as const;
  const place = forward ? paths.next : paths.former;
  await checkKey(place, other, options);
  const kept = { file: keyFileIn(paths.root), into: keyFileIn(place) };
  const removes: Removable[] = [from];
  if (kept.file !== kept.into) removes.push(kept.file);
  const staged = change.stageAuthority("replace", removes);
  makeDirectory(`${staged}/${to}`);
  const copy = (source: string, target: string) =>
    createFile(`${staged}/${target}`, readTextLimited(source), 0o600, false);
  copy(`${paths.root}/${kept.file}`, `${to}/${kept.file}`);
  copy(`${place}/${kept.into}`, kept.into);
  createFile(
    `${staged}/${to}/${CA_CERTIFICATE_FILE}`,
    bundlePem([issuer.certificate]),
    0o644,
    false,
  );
  if (forward) await stageCross(`${staged}/${to}/${CROSS_FILE}`, change, issuer, other, now);
  const rest = certificates.filter((one) => !sameKey(one, other) && one !== issuer.certificate);
  const signing = certificates.find((one) => sameKey(one, other)) ?? other;
  // The one that signs comes first; what it replaces stays trusted.
  const own = certificates.filter((one) => sameKey(one, issuer.certificate));
  const bundle = bundlePem([signing, ...rest.filter((one) => !own.includes(one)), ...own]);
  createFile(`${staged}/${CA_CERTIFICATE_FILE}`, bundle, 0o644, false);
  createFile(`${staged}/${CA_CRL_FILE}`, listsInOrder(paths, signing), 0o644, false);
  change.record({
    act: "rotate",
    issuer: issuerId(other.subject.raw),
    note: forward ? "issue" : "back",
  });
}

/** The old CA may have expired, or may vouch for no other CA: then nobody needs its word. */
async function stageCross(
  file: string,
  change: Change,
  issuer: Issuer,
  next: Certificate,
  now: Date,
): Promise<void> {
  const old = issuer.certificate;
  const isRoot = isIssuedBy(old, old) && isIssuedBy(next, next);
  if (!isRoot || old.notAfter < now || old.basicConstraints?.pathLength === 0) return;
  const cross = await makeCross(next, { ...identify(old), key: issuer.key });
  createFile(file, encodePem("CERTIFICATE", cross.certificate), 0o644, false);
  change.record({
    act: "rotate",
    issuer: issuerId(issuer.subject),
    serial: serialText(cross.serial),
    certificate: cross.certificate,
    note: "cross",
  });
}

async function checkKey(
  place: string,
  certificate: Certificate,
  { engine, passphrase, newPassphrase = passphrase }: RotateOptions,
): Promise<void> {
  using key = await openAuthorityKey(pkiPaths(place), engine, newPassphrase);
  if (key.publicKey.toHex() === certificate.spki.toHex()) return;
  throw new CaError("CA_KEY", {
    file: `${place}/${keyFileIn(place)}`,
    cause: `it does not belong to ${place}/${CA_CERTIFICATE_FILE}`,
    hint: "put the key back that the certificate was made with",
  });
}

function keyFileIn(directory: string): typeof CA_KEY_FILE | typeof CA_KEY_URI_FILE {
  const hasFile = isThere(`${directory}/${CA_KEY_FILE}`);
  return !hasFile && isThere(`${directory}/${CA_KEY_URI_FILE}`) ? CA_KEY_URI_FILE : CA_KEY_FILE;
}

/** The lists of an authority, its own first. */
function listsInOrder(paths: PkiPaths, own: Certificate): string {
  const isOwn = (der: Uint8Array) =>
    parseCrl(der).issuer.raw.toHex() === own.subject.raw.toHex() ? 0 : 1;
  return decodePem(readTextLimited(paths.caCrl))
    .filter(({ label }) => label === CRL_LABEL).map(({ der }) => der)
    .sort((a, b) => isOwn(a) - isOwn(b))
    .map((der) => encodePem(CRL_LABEL, der)).join("");
}
