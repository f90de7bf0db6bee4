/** What an authority and its hosts hold, and how long it lasts. */

import { type Clock, systemClock } from "../base/mod.ts";
import type { Certificate } from "../creds/mod.ts";
import type { KeyType } from "../engine/mod.ts";
import { CaError } from "./error.ts";
import { heldHosts, type HeldSet, keyTypeOf, namesOf, readHeld, serialOf } from "./held.ts";
import { readAuthority } from "./issuer.ts";
import { knownRevoked } from "./known_revoked.ts";
import { readLedger } from "./ledger.ts";
import { isThere, type PkiPaths, pkiPaths } from "./pki.ts";
import { isRevoked } from "./plan.ts";
import type { Role } from "./profile.ts";
import { readRevoked, type RevokedList } from "./revoked.ts";
import { dueAt, isDue, type Validity } from "./validity.ts";

/**
 * How it stands with a host, the worst first: a file cannot be read, a certificate is revoked, is
 * over, is not valid yet, ends soon ({@linkcode FleetOptions.expiring}), has used up two thirds of
 * its life.
 */
export const HOST_STATES = [
  "damaged",
  "revoked",
  "expired",
  "early",
  "expiring",
  "due",
  "ok",
] as const;

/** One of {@linkcode HOST_STATES}. */
export type HostState = typeof HOST_STATES[number];

/** A certificate that a host holds. */
export interface FleetCertificate extends Validity {
  readonly role: Role;
  /** In hexadecimal. */
  readonly serial: string;
  readonly file: string;
}

/** A host and what it holds. */
export interface FleetHost {
  readonly host: string;
  readonly dir: string;
  readonly state: HostState;
  /** What cannot be read, for `damaged`. */
  readonly damage: string | undefined;
  readonly dns: readonly string[];
  readonly ip: readonly string[];
  readonly keyType: KeyType | undefined;
  readonly certificates: readonly FleetCertificate[];
  /** When the first of them ends. */
  readonly notAfter: Date | undefined;
  /** When the first of them should be renewed. */
  readonly dueAt: Date | undefined;
}

/** An authority and all of its hosts. */
export interface Fleet {
  readonly authority: Validity & {
    readonly name: string;
    readonly file: string;
    readonly serial: string;
    readonly state: "expired" | "expiring" | "due" | "ok";
  };
  readonly crl: {
    readonly file: string;
    /** Whether there is none, so that the store alone knows what is revoked. */
    readonly missing: boolean;
    readonly number: bigint;
    readonly nextUpdate: Date | undefined;
    readonly count: number;
  };
  /** By name. */
  readonly hosts: readonly FleetHost[];
}

/** How long before its end, in ms, what was not renewed is `expiring`: 30 days. */
export const ENDS_SOON = 30 * 86_400_000;

/** How a fleet is looked at. */
export interface FleetOptions {
  /** The authority's directory. */
  readonly dir: string;
  /**
   * What ends within this time, in ms, is `expiring`; by default what ends within
   * {@linkcode ENDS_SOON} and should have been renewed, so that a short life is not so from its start.
   */
  readonly expiring?: number | undefined;
  readonly clock?: Clock;
}

/**
 * Looks at an authority and its hosts; changes nothing and needs no key.
 *
 * @throws {CaError} `CA_MISSING`, `CA_CERTIFICATE`, `CRL`.
 */
export async function readFleet(options: FleetOptions): Promise<Fleet> {
  const { dir, expiring } = options;
  const now = (options.clock ?? systemClock)();
  const paths = pkiPaths(dir);
  const { certificate } = readAuthority(paths);
  const revoked = await revokedIn(paths);
  const { number, nextUpdate, entries } = revoked;
  const hosts = heldHosts(paths)
    .map((host) => hostOf(readHeld(paths, host)!, revoked, now, expiring));
  const state = stateOf(certificate, now, expiring);
  return {
    authority: {
      name: certificate.subject.text,
      file: paths.caCertificate,
      serial: serialOf(certificate),
      notBefore: certificate.notBefore,
      notAfter: certificate.notAfter,
      state: state === "early" ? "ok" : state,
    },
    crl: {
      file: paths.caCrl,
      missing: !isThere(paths.caCrl),
      number,
      nextUpdate,
      count: entries.size,
    },
    hosts,
  };
}

/** A database that cannot be read keeps nobody from seeing what the CRL says. */
async function revokedIn(paths: PkiPaths): Promise<RevokedList> {
  try {
    await using store = await readLedger(paths);
    return await knownRevoked(paths, store);
  } catch (error) {
    const isStores = error instanceof CaError && error.code.startsWith("STORE");
    if (!isStores || !isThere(paths.caCrl)) throw error;
    return readRevoked(paths);
  }
}

function hostOf(
  held: HeldSet,
  revoked: RevokedList,
  now: Date,
  expiring: number | undefined,
): FleetHost {
  const all = held.certificates.map((one) => one.certificate);
  const names = all[0] === undefined ? [] : namesOf(all[0]);
  const earliest = (dates: readonly Date[]) =>
    dates.length === 0 ? undefined : new Date(Math.min(...dates.map(Number)));
  const states = all.map((one) => stateOf(one, now, expiring));
  const worst = HOST_STATES.find((state) => (states as HostState[]).includes(state)) ?? "ok";
  return {
    host: held.host,
    dir: held.dir,
    state: held.damage !== undefined ? "damaged" : isRevoked(held, revoked) ? "revoked" : worst,
    damage: held.damage,
    dns: names.filter((name) => name.kind === "dns").map((name) => name.text),
    ip: names.filter((name) => name.kind === "ip").map((name) => name.text),
    keyType: all[0] === undefined ? undefined : keyTypeOf(all[0]),
    certificates: held.certificates.map(({ role, serial, file, certificate }) => ({
      role,
      serial,
      file,
      notBefore: certificate.notBefore,
      notAfter: certificate.notAfter,
    })),
    notAfter: earliest(all.map((one) => one.notAfter)),
    dueAt: earliest(all.map(dueAt)),
  };
}

function stateOf(certificate: Certificate, now: Date, expiring: number | undefined) {
  if (certificate.notAfter < now) return "expired";
  if (certificate.notBefore > now) return "early";
  const isLate = isDue(certificate, now);
  const span = expiring ?? (isLate ? ENDS_SOON : 0);
  if (certificate.notAfter.getTime() - now.getTime() < span) return "expiring";
  return isLate ? "due" : "ok";
}
