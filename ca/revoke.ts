/** Certificates revoked, and the CRL that says so brought to every host's directory. */

import { type Clock, createFile, syncDirectory, syncFile, systemClock } from "../base/mod.ts";
import type { Engine } from "../engine/mod.ts";
import { syncFileSystem } from "../os/mod.ts";
import { changePki } from "./change.ts";
import type { RevokedEntry } from "./crl.ts";
import { type CrlChange, signCrlOf } from "./crl_file.ts";
import { CaError } from "./error.ts";
import { heldHosts } from "./held.ts";
import { refuseWithoutAuthority } from "./issue.ts";
import { findIssued, type IssuedRecord, readIssued, serialText } from "./issued.ts";
import { openIssuer } from "./issuer.ts";
import type { LockOptions } from "./lock.ts";
import {
  CA_CERTIFICATE_FILE,
  CA_CRL_FILE,
  ensureDirectory,
  isOwnDirectory,
  isThere,
  type PkiPaths,
  pkiPaths,
  removeAll,
  rename,
} from "./pki.ts";
import { readRevoked, type ReasonName, REASONS } from "./revoked.ts";
import { checkDays } from "./validity.ts";

/** What making a CRL needs. */
export interface CrlOptions extends LockOptions {
  /** The authority's directory. */
  readonly dir: string;
  readonly engine: Engine;
  readonly clock?: Clock;
  /** Of the CA's key, or the PIN of its token. */
  readonly passphrase?: string | undefined;
  /** Days until the next CRL is due; until the CA ends by default. */
  readonly days?: number | undefined;
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
 * @throws {CaError} What is wrong with the authority, as `issueHosts`; `DAYS`.
 */
export async function publishCrl(options: CrlOptions): Promise<PublishedCrl> {
  const paths = pkiPaths(options.dir);
  refuseWithoutAuthority(paths);
  return await changePki(paths, options, () => makeCrl(paths, options, []));
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
  return await changePki(paths, options, async () => {
    const issued = readIssued(paths);
    const records = new Map(
      targets.flatMap((target) => find(target, issued, now, paths))
        .map((record) => [record.serial, record]),
    );
    const before = readRevoked(paths).entries;
    const already = [...records.values()].filter((record) => before.has(record.serial));
    const revoked = [...records.values()].filter((record) => !before.has(record.serial));
    const entries = revoked.map((record): RevokedEntry => ({
      serial: record.certificate.serial,
      date: new Date(Math.floor(now.getTime() / 1000) * 1000),
      // RFC 5280 5.3.1: none at all in the place of `unspecified`.
      ...(reason === "unspecified" ? {} : { reason: REASONS[reason] }),
    }));
    return { revoked, already, crl: await makeCrl(paths, options, entries) };
  });
}

function find(
  target: string,
  issued: ReadonlyMap<string, IssuedRecord>,
  now: Date,
  paths: PkiPaths,
): IssuedRecord[] {
  const found = findIssued(target, issued);
  const isSerial = found.length === 1 && found[0]!.serial === serialText(target);
  const live = isSerial ? found : found.filter((one) => one.certificate.notAfter >= now);
  if (live.length > 0) return live;
  throw new CaError("NOT_ISSUED", {
    option: "revoke",
    value: target,
    cause: found.length > 0
      ? "all of its certificates have expired, nobody takes them any more"
      : "it is neither a host that was issued for nor the serial of a certificate",
    hint: `see what was issued: ls ${paths.hosts} ${paths.issued}`,
  });
}

async function makeCrl(
  paths: PkiPaths,
  options: CrlOptions,
  revoked: readonly RevokedEntry[],
): Promise<PublishedCrl> {
  const now = (options.clock ?? systemClock)();
  const { engine, passphrase, days } = options;
  const change: CrlChange = { revoked, days: days === undefined ? undefined : checkDays(days) };
  using issuer = await openIssuer(paths, { engine, now, passphrase });
  const { pem, number, thisUpdate, nextUpdate, entries } = await signCrlOf(
    paths,
    issuer,
    issuer.key,
    now,
    change,
  );
  const hosts = await replaceCrls(paths, pem);
  return { file: paths.caCrl, number, thisUpdate, nextUpdate, count: entries.length, hosts };
}

/**
 * Puts a CRL in its places, made in the staging directory, so that a crash leaves no half of one
 * nor a stray file beside a host's. The authority's own comes first: whatever dies after it, the
 * next CRL has all that this one has.
 *
 * @returns The hosts that got it.
 */
async function replaceCrls(paths: PkiPaths, pem: string): Promise<string[]> {
  const hosts = heldHosts(paths).filter((host) => {
    const dir = `${paths.hosts}/${host}`;
    return isOwnDirectory(dir) && isThere(`${dir}/${CA_CERTIFICATE_FILE}`);
  });
  const places = [paths.root, ...hosts.map((host) => `${paths.hosts}/${host}`)];
  const staged = (i: number) => `${paths.staging}/crl-${i}`;
  ensureDirectory(paths.staging);
  for (const i of places.keys()) createFile(staged(i), pem, 0o644, false);
  if (!await syncFileSystem(paths.staging)) { for (const i of places.keys()) syncFile(staged(i)); }
  for (const [i, place] of places.entries()) {
    rename(staged(i), `${place}/${CA_CRL_FILE}`);
    syncDirectory(place);
  }
  removeAll(paths.staging);
  return hosts;
}
