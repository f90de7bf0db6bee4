/** Certificates revoked, and the CRL that says so brought to every host's directory. */

import { type Clock, systemClock } from "../base/mod.ts";
import type { Engine } from "../engine/mod.ts";
import { type Change, changePki } from "./change.ts";
import type { RevokedEntry } from "./crl.ts";
import { signCrlOf } from "./crl_file.ts";
import { CaError } from "./error.ts";
import { heldHosts } from "./held.ts";
import { refuseWithoutAuthority } from "./issue.ts";
import { findIssued, type IssuedRecord, serialText } from "./issued.ts";
import { openIssuer } from "./issuer.ts";
import type { LockOptions } from "./lock.ts";
import { CA_CERTIFICATE_FILE, isOwnDirectory, isThere, type PkiPaths, pkiPaths } from "./pki.ts";
import { readRevoked, type ReasonName, REASONS } from "./revoked.ts";
import { issuerId, type Store } from "./store.ts";
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
  return await changePki(paths, options, (change) => makeCrl(paths, options, change, []));
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
    const records = new Map<string, IssuedRecord>();
    for (const target of targets) {
      for (const one of await find(target, store, now, paths)) records.set(one.serial, one);
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
    const entries = revoked.map(({ certificate: { serial } }) => ({ serial, ...status }));
    return { revoked, already, crl: await makeCrl(paths, options, change, entries) };
  });
}

async function find(
  target: string,
  store: Store,
  now: Date,
  paths: PkiPaths,
): Promise<IssuedRecord[]> {
  const found = await findIssued(paths, store, target);
  const isSerial = found.length === 1 && found[0]!.serial === serialText(target);
  const live = isSerial ? found : found.filter((one) => one.certificate.notAfter >= now);
  if (live.length > 0) return live;
  throw new CaError("NOT_ISSUED", {
    option: "revoke",
    value: target,
    cause: found.length > 0
      ? "all of its certificates have expired, nobody takes them any more"
      : "it is neither a host that was issued for nor the serial of a certificate",
    hint: `see the hosts: deno task ca list --dir ${paths.root}`,
  });
}

async function makeCrl(
  paths: PkiPaths,
  options: CrlOptions,
  change: Change,
  revoked: readonly RevokedEntry[],
): Promise<PublishedCrl> {
  const now = (options.clock ?? systemClock)();
  const { engine, passphrase, days } = options;
  const issuer = change.signedBy(await openIssuer(paths, { engine, now, passphrase }));
  const { pem, number, thisUpdate, nextUpdate, entries, act } = await signCrlOf(
    paths,
    issuer,
    issuer.key,
    now,
    {
      revoked,
      days: days === undefined ? undefined : checkDays(days),
      store: await change.store(),
    },
  );
  const hosts = heldHosts(paths).filter((host) => {
    const dir = `${paths.hosts}/${host}`;
    return isOwnDirectory(dir) && isThere(`${dir}/${CA_CERTIFICATE_FILE}`);
  });
  change.stageCrl(pem, hosts);
  change.record(act);
  return { file: paths.caCrl, number, thisUpdate, nextUpdate, count: entries.length, hosts };
}
