/** Where a roll-over from one CA to the next stands: nothing but what the files say. */

import { type Clock, systemClock, VirtcredsError } from "../base/mod.ts";
import type { Certificate } from "../creds/mod.ts";
import { CaError } from "./error.ts";
import { heldHosts, type HeldSet, readCertificate, readHeld, trustOf } from "./held.ts";
import { readAuthority } from "./issuer.ts";
import { CA_CERTIFICATE_FILE, isOwnDirectory, type PkiPaths, pkiPaths } from "./pki.ts";
import { isRevoked } from "./plan.ts";
import { readRevoked } from "./revoked.ts";

/**
 * How far a roll-over is: `none` is under way; it is `started`, hosts are told of the next CA while
 * the old one still signs; the next one is `issuing` while the old one is still trusted.
 */
export type RotationPosition = "none" | "started" | "issuing";

/** The two CAs of a roll-over. */
export interface Rotation {
  readonly position: RotationPosition;
  /** The CA that signs. */
  readonly own: Certificate;
  /** The one that waits or goes; `undefined` where none is under way. */
  readonly other: Certificate | undefined;
  /** Every certificate of the authority's file. */
  readonly certificates: readonly Certificate[];
}

/**
 * Reads where a roll-over stands; no key is needed.
 *
 * @throws {CaError} `CA_MISSING`, `CA_CERTIFICATE`, `NOT_A_DIRECTORY`; `ROTATION` if the files of
 * two roll-overs are there.
 */
export function readRotation(paths: PkiPaths): Rotation {
  const { certificate: own, certificates } = readAuthority(paths);
  const [next, former] = [paths.next, paths.former].map(isOwnDirectory);
  if (next && former) {
    throw new CaError("ROTATION", {
      option: "tell where the roll-over stands",
      cause: `both ${paths.next} and ${paths.former} are there`,
      hint:
        `one of them is of another time: see whose they are: openssl x509 -noout -subject -in ${paths.next}/${CA_CERTIFICATE_FILE}`,
    });
  }
  const read = (dir: string) => otherIn(dir, certificates);
  if (next) return { position: "started", own, other: read(paths.next), certificates };
  if (former) return { position: "issuing", own, other: read(paths.former), certificates };
  return { position: "none", own, other: undefined, certificates };
}

/**
 * The certificate of the CA that waits or goes. Where its own file is lost, the bundle still has it,
 * at its end, as every step writes it: enough to give the roll-over up or to finish it.
 */
function otherIn(dir: string, certificates: readonly Certificate[]): Certificate {
  const file = `${dir}/${CA_CERTIFICATE_FILE}`;
  try {
    return readCertificate(file);
  } catch (error) {
    if (!(error instanceof VirtcredsError)) throw error;
    const last = certificates.at(-1)!;
    if (certificates.length > 1) return last;
    throw new CaError("ROTATION", {
      option: "tell where the roll-over stands",
      cause: error.message,
      hint: [
        `put ${file} and the key beside it back, from a backup`,
        `or, where no roll-over is under way, move ${dir} away`,
      ],
    }, { cause: error });
  }
}

/**
 * What a host of a roll-over holds: `old`, nothing of the next CA; `both`, a certificate of the old
 * one and trust in both; `new`, a certificate of the next one.
 */
export type RotationHostState = "old" | "both" | "new" | "revoked" | "damaged";

/** A host of a roll-over. */
export interface RotationHost {
  readonly host: string;
  readonly state: RotationHostState;
  readonly held: HeldSet;
}

/** Looks at each host by what its directory here has; what was copied to it nobody here knows. */
export function rotationHosts(
  paths: PkiPaths,
  { position, own, other }: Rotation,
): RotationHost[] {
  const revoked = readRevoked(paths);
  const next = position === "started" ? other! : own;
  return heldHosts(paths).map((host) => {
    const held = readHeld(paths, host)!;
    const state = held.damage !== undefined
      ? "damaged"
      : isRevoked(held, revoked)
      ? "revoked"
      : isIssuedUnder(held, next)
      ? "new"
      : trustOf(held).some((one) => sameKey(one, next))
      ? "both"
      : "old";
    return { host, state, held };
  });
}

/** Whether all certificates that a host holds are of a CA. */
export function isIssuedUnder({ certificates }: HeldSet, ca: Certificate): boolean {
  const subject = ca.subject.raw.toHex();
  return certificates.every(({ certificate }) => certificate.issuer.raw.toHex() === subject);
}

/** Whether two certificates of CAs have one key, as after a renewal. */
export function sameKey(a: Certificate, b: Certificate): boolean {
  return a.spki.toHex() === b.spki.toHex();
}

/** A CA of a roll-over as it is shown. */
export interface RotationAuthority {
  readonly name: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** Where a roll-over stands, for people. */
export interface RotationStatus {
  readonly position: RotationPosition;
  /** The CA that is to go; the only one where none is under way. */
  readonly old: RotationAuthority;
  readonly next: RotationAuthority | undefined;
  /** Whether the old CA has expired, so that nobody trusts it any more. */
  readonly oldExpired: boolean;
  readonly hosts: readonly { readonly host: string; readonly state: RotationHostState }[];
}

/**
 * Says where a roll-over stands; changes nothing and needs no key.
 *
 * @throws {CaError} As {@linkcode readRotation}.
 */
export function rotationStatus(
  options: { readonly dir: string; readonly clock?: Clock },
): RotationStatus {
  const now = (options.clock ?? systemClock)();
  const paths = pkiPaths(options.dir);
  const rotation = readRotation(paths);
  const { position, own, other } = rotation;
  const [old, next] = position === "issuing" ? [other!, own] : [own, other];
  return {
    position,
    old: shown(old),
    next: next === undefined ? undefined : shown(next),
    oldExpired: old.notAfter < now,
    hosts: position === "none"
      ? []
      : rotationHosts(paths, rotation).map(({ host, state }) => ({ host, state })),
  };
}

function shown({ subject, notBefore, notAfter }: Certificate): RotationAuthority {
  return { name: subject.text, notBefore, notAfter };
}
