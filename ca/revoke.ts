/** Certificates revoked, and the CRL that says so brought to every host's directory. */

import { type Clock, encodePem, readTextLimited, systemClock } from "../base/mod.ts";
import { isIssuedBy } from "../creds/mod.ts";
import type { Engine, SigningKey } from "../engine/mod.ts";
import { openAuthorityKey } from "./authority_key.ts";
import { type Change, type ChangeOptions, changePki } from "./change.ts";
import type { RevokedEntry } from "./crl.ts";
import { type MadeCrl, mergeLists, signCrlOf } from "./crl_file.ts";
import { CaError } from "./error.ts";
import { heldHosts, readCertificate } from "./held.ts";
import { refuseWithoutAuthority } from "./issue.ts";
import { findIssued, type IssuedRecord, serialText } from "./issued.ts";
import { identify, type IssuerIdentity, openIssuer, readAuthority } from "./issuer.ts";
import { CA_CERTIFICATE_FILE, isOwnDirectory, isThere, type PkiPaths, pkiPaths } from "./pki.ts";
import { CRL_LABEL, readRevoked, type ReasonName, REASONS } from "./revoked.ts";
import { adoptAbove, refuseOtherRoot, type RootOptions } from "./root.ts";
import { issuerId, type Store } from "./store.ts";
import { checkDays } from "./validity.ts";

/** What making a CRL needs. */
export interface CrlOptions extends ChangeOptions {
  /** The authority's directory. */
  readonly dir: string;
  readonly engine: Engine;
  readonly clock?: Clock;
  /** Of the CA's key, or the PIN of its token. */
  readonly passphrase?: string | undefined;
  /** Days until the next CRL is due; until the CA ends by default. */
  readonly days?: number | undefined;
  /** The root of an issuing CA, whose CRL is made anew and brought too. */
  readonly root?: RootOptions | undefined;
}

/** A CRL that is in its places. */
export interface PublishedCrl {
  /** The authority's own file. */
  readonly file: string;
  readonly number: bigint;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date;
  /** How many certificates it revokes. */
  readonly count: number;
  /** Hosts whose directory has it. */
  readonly hosts: readonly string[];
}

/** The lists of a root, its own made anew. */
async function rootLists(options: CrlOptions, root: RootOptions): Promise<string> {
  const { file } = await publishCrl({
    ...options,
    dir: root.dir,
    passphrase: root.passphrase,
    root: undefined,
  });
  return readTextLimited(file);
}

/** A list that is made anew has to be of a CA above this one: hosts get no other. */
function refuseNotAbove(paths: PkiPaths, root: RootOptions): void {
  const own = readAuthority(paths);
  if (isIssuedBy(own.certificate, own.certificate)) {
    throw new CaError("ROOT", {
      file: paths.root,
      cause: `${own.certificate.subject.text} signs itself, no root is above it`,
      hint: `leave --root-dir out: deno task ca crl --dir ${paths.root}`,
    });
  }
  const above = pkiPaths(root.dir);
  refuseWithoutAuthority(above);
  const given = readAuthority(above).certificate;
  // Where there are more CAs than two, that of any of them.
  let child = own.certificate;
  for (let left = own.certificates.length; left > 0 && !isIssuedBy(child, given); left--) {
    const parent = own.certificates.find((one) => isIssuedBy(child, one));
    if (parent === undefined || parent === child || isIssuedBy(parent, parent)) break;
    child = parent;
  }
  refuseOtherRoot(given, root.dir, child);
}

/** What was revoked. */
export interface RevokeResult {
  readonly revoked: readonly IssuedRecord[];
  /** Those that were revoked before. */
  readonly already: readonly IssuedRecord[];
  readonly crl: PublishedCrl;
}

/**
 * Makes a new CRL, its number higher than that of any before, and writes it to the authority's
 * directory and to every host's, each by an atomic rename.
 *
 * @throws {CaError} What is wrong with the authority, as `issueHosts`; `DAYS`;
 * `ROOT` for a root that is none of the CAs above this one.
 */
export async function publishCrl(options: CrlOptions): Promise<PublishedCrl> {
  const paths = pkiPaths(options.dir);
  refuseWithoutAuthority(paths);
  if (options.root !== undefined) refuseNotAbove(paths, options.root);
  const above = options.root === undefined ? "" : await rootLists(options, options.root);
  return await changePki(paths, options, async (change) => {
    const signers = await openSigners(paths, options, change);
    return await makeCrl(paths, options, change, signers, [], above);
  });
}

/**
 * Revokes every certificate of hosts that is not over yet, or single ones by their serial, and
 * publishes the CRL.
 *
 * @param targets Hosts, and serials in hexadecimal with or without colons.
 * @throws {CaError} `NOT_ISSUED` For what no certificate is known of; as {@linkcode publishCrl}.
 */
export async function revokeCertificates(
  targets: readonly string[],
  reason: ReasonName,
  options: CrlOptions,
): Promise<RevokeResult> {
  const now = (options.clock ?? systemClock)();
  const paths = pkiPaths(options.dir);
  refuseWithoutAuthority(paths);
  return await changePki(paths, options, async (change) => {
    const store = await change.store();
    const signers = await openSigners(paths, options, change);
    const records = new Map<string, IssuedRecord>();
    for (const target of targets) {
      const found = await find(target, store, now, paths, signers);
      for (const one of found) records.set(one.serial, one);
    }
    const before = readRevoked(paths).entries;
    const already = [...records.values()].filter((record) => before.has(record.serial));
    const revoked = [...records.values()].filter((record) => !before.has(record.serial));
    const status = {
      date: new Date(Math.floor(now.getTime() / 1000) * 1000),
      // RFC 5280 5.3.1: none at all in the place of `unspecified`.
      ...(reason === "unspecified" ? {} : { reason: REASONS[reason] }),
    };
    for (const { host, serial, certificate } of revoked) {
      const issuer = issuerId(certificate.issuer.raw);
      change.record({ act: "revoke", host, issuer, serial, revoked: status });
    }
    const entries = revoked.map(({ certificate: { issuer, serial } }) => ({
      issuer: issuer.raw,
      entry: { serial, ...status },
    }));
    return { revoked, already, crl: await makeCrl(paths, options, change, signers, entries) };
  });
}

async function find(
  target: string,
  store: Store,
  now: Date,
  paths: PkiPaths,
  signers: readonly Signer[],
): Promise<IssuedRecord[]> {
  const found = await findIssued(paths, store, target);
  // Of a CA that was dropped nobody takes a certificate any more, nor reads a list.
  const ours = found.filter(({ certificate }) => signers.some(isSignerOf(certificate.issuer.raw)));
  const isSerial = ours.length === 1 && ours[0]!.serial === serialText(target);
  const live = isSerial ? ours : ours.filter((one) => one.certificate.notAfter >= now);
  if (live.length > 0) return live;
  throw new CaError("NOT_ISSUED", {
    option: "revoke",
    value: target,
    cause: found.length > 0 && ours.length === 0
      ? `${found[0]!.certificate.issuer.text} issued it, which is not the CA here`
      : found.length > 0
      ? "all of its certificates have expired, nobody takes them any more"
      : "it is neither a host that was issued for nor the serial of a certificate",
    hint: `see the hosts: deno task ca list --dir ${paths.root}`,
  });
}

/** An authority whose list can be signed: the one here, and the one that a roll-over left. */
type Signer = IssuerIdentity & { readonly key: SigningKey };

function isSignerOf(issuer: Uint8Array): (signer: Signer) => boolean {
  return ({ subject }) => subject.toHex() === issuer.toHex();
}

async function openSigners(
  paths: PkiPaths,
  { engine, passphrase, clock = systemClock }: CrlOptions,
  change: Change,
): Promise<Signer[]> {
  const issuer = await openIssuer(paths, { change, engine, now: clock(), passphrase });
  const former = await openFormer(paths, engine, passphrase);
  if (former !== undefined) change.signedBy(former);
  // The log's signature is the last one's: the CA's here.
  return [change.signedBy(issuer), ...(former === undefined ? [] : [former])];
}

/**
 * Opens the CA that a roll-over left. Its key may be locked with another passphrase than the one of
 * the CA here: then its list stays as it is.
 */
async function openFormer(
  paths: PkiPaths,
  engine: Engine,
  passphrase: string | undefined,
): Promise<Signer & Disposable | undefined> {
  if (!isOwnDirectory(paths.former)) return undefined;
  const certificate = readCertificate(`${paths.former}/${CA_CERTIFICATE_FILE}`);
  try {
    const key = await openAuthorityKey(pkiPaths(paths.former), engine, passphrase);
    return { ...identify(certificate), key, [Symbol.dispose]: () => key[Symbol.dispose]() };
  } catch (error) {
    if (error instanceof CaError) return undefined;
    throw error;
  }
}

async function makeCrl(
  paths: PkiPaths,
  options: CrlOptions,
  change: Change,
  signers: readonly Signer[],
  revoked: readonly { readonly issuer: Uint8Array; readonly entry: RevokedEntry }[],
  above = "",
): Promise<PublishedCrl> {
  const now = (options.clock ?? systemClock)();
  const days = options.days === undefined ? undefined : checkDays(options.days);
  const store = await change.store();
  const made: MadeCrl[] = [];
  for (const signer of signers) {
    const own = revoked.filter(({ issuer }) => isSignerOf(issuer)(signer)).map((one) => one.entry);
    made.push(await signCrlOf(paths, signer, signer.key, now, { revoked: own, days, store }));
  }
  const hosts = heldHosts(paths).filter((host) => {
    const dir = `${paths.hosts}/${host}`;
    return isOwnDirectory(dir) && isThere(`${dir}/${CA_CERTIFICATE_FILE}`);
  });
  const [first] = made as [MadeCrl];
  const newer = made.map(({ der }) => encodePem(CRL_LABEL, der)).join("") + above;
  const { certificates } = readAuthority(paths);
  change.stageCrl(mergeLists(first.pem, newer, certificates), hosts);
  for (const { act } of made) change.record(act);
  await adoptAbove(change, [], above);
  const { number, thisUpdate, nextUpdate } = first;
  const count = made.reduce((sum, { entries }) => sum + entries.length, 0);
  return { file: paths.caCrl, number, thisUpdate, nextUpdate, count, hosts };
}
