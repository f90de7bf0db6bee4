/** The last step of a roll-over: nobody needs the old CA any more; or the next one is given up. */

import { createFile, decodePem, encodePem, readTextLimited, systemClock } from "../base/mod.ts";
import { type Certificate, parseCertificate, parseCrl } from "../creds/mod.ts";
import { type Change, changePki } from "./change.ts";
import { CaError } from "./error.ts";
import { serialOf } from "./held.ts";
import { refuseWithoutAuthority } from "./issue.ts";
import { bundlePem, type Issuer, openIssuer, trusted } from "./issuer.ts";
import {
  CA_CERTIFICATE_FILE,
  CA_CRL_FILE,
  FORMER_DIRECTORY,
  NEXT_DIRECTORY,
  type PkiPaths,
  pkiPaths,
} from "./pki.ts";
import { CRL_LABEL } from "./revoked.ts";
import { isLeft } from "./rotate_issue.ts";
import type { RotateOptions } from "./rotate_start.ts";
import { readRotation, type Rotation, rotationHosts, sameKey } from "./rotation.ts";
import { issuerId } from "./store.ts";

/** A CA that was dropped. */
export interface RotationEnd {
  /** Whether one was; `false` where no roll-over was under way. */
  readonly done: boolean;
  /** Subject of the CA that hosts trust from now on. */
  readonly name: string;
  /** Hosts whose directory no longer has the other one. */
  readonly hosts: readonly string[];
  /** The one that was dropped: its subject, its serial in hexadecimal, and who signed it. */
  readonly dropped:
    | { readonly name: string; readonly serial: string; readonly issuer: string }
    | undefined;
}

/**
 * Drops the old CA: its certificate and CRL leave every host's directory, its key is removed.
 *
 * @throws {CaError} `ROTATION` If a host still depends on the old CA, which is named; what is wrong
 * with the authority, as `issueHosts`.
 */
export async function finishRotation(options: RotateOptions): Promise<RotationEnd> {
  return await drop(options, "issuing");
}

/**
 * Gives up a roll-over whose next CA signs nothing yet.
 *
 * @throws {CaError} `ROTATION` If a host depends on the next CA; as {@linkcode finishRotation}.
 */
export async function abandonRotation(options: RotateOptions): Promise<RotationEnd> {
  return await drop(options, "started");
}

async function drop(options: RotateOptions, at: "started" | "issuing"): Promise<RotationEnd> {
  const now = (options.clock ?? systemClock)();
  const paths = pkiPaths(options.dir);
  refuseWithoutAuthority(paths);
  return await changePki(paths, options, async (change) => {
    const rotation = readRotation(paths);
    const { position, own, other } = rotation;
    const name = own.subject.text;
    if (other === undefined) return { done: false, name, hosts: [], dropped: undefined };
    if (position !== at) throw refuseEarly(position, paths);
    refuseDependent(paths, rotation);
    const { engine, passphrase } = options;
    const issuer = change.signedBy(
      await openIssuer(paths, { change, engine, now, passphrase, evenExpired: at === "started" }),
    );
    const hosts = stageDrop(paths, change, issuer, other, at, now);
    change.record({
      act: "rotate",
      issuer: issuerId(other.subject.raw),
      note: at === "issuing" ? "finish" : "abort",
    });
    const [subject, issuedBy] = [other.subject.text, other.issuer.text];
    const dropped = { name: subject, serial: serialOf(other), issuer: issuedBy };
    return { done: true, name, hosts, dropped };
  });
}

function stageDrop(
  paths: PkiPaths,
  change: Change,
  issuer: Issuer,
  other: Certificate,
  at: "started" | "issuing",
  now: Date,
): string[] {
  const bundle = issuer.certificates.filter((one) => !sameKey(one, other));
  const lists = listsWithout(paths, other);
  const staged = change.stageAuthority("replace", [
    at === "issuing" ? FORMER_DIRECTORY : NEXT_DIRECTORY,
  ]);
  createFile(`${staged}/${CA_CRL_FILE}`, lists, 0o644, false);
  createFile(`${staged}/${CA_CERTIFICATE_FILE}`, bundlePem(bundle), 0o644, false);
  const trust = bundlePem(trusted(bundle, issuer.certificate, now));
  const hosts: string[] = [];
  for (const { host, state, held } of rotationHosts(paths, readRotation(paths))) {
    // What a revoked host holds may be of the other CA, and goes nowhere.
    if (state === "revoked" || state === "damaged") continue;
    hosts.push(host);
    const certificates = held.certificates.flatMap(({ role, file }): [string, string][] => {
      const text = withoutCross(file, other);
      return text === undefined ? [] : [[`${role}-cert.pem`, text]];
    });
    // QEMU from 10.2 on refuses the old CA's word where it no longer knows that CA.
    change.stageFiles(host, [
      ...certificates,
      [CA_CRL_FILE, lists],
      [CA_CERTIFICATE_FILE, trust],
    ]);
  }
  return hosts;
}

/** A certificate's file without what a CA said for another one; `undefined` where there is none. */
function withoutCross(file: string, ca: Certificate): string | undefined {
  const blocks = decodePem(readTextLimited(file)).filter(({ label }) => label === "CERTIFICATE");
  const name = ca.subject.raw.toHex();
  const kept = blocks.filter(({ der }, i) =>
    i === 0 || parseCertificate(der).issuer.raw.toHex() !== name
  );
  if (kept.length === blocks.length) return undefined;
  return kept.map(({ label, der }) => encodePem(label, der)).join("");
}

function listsWithout(paths: PkiPaths, ca: Certificate): string {
  const name = ca.subject.raw.toHex();
  return decodePem(readTextLimited(paths.caCrl))
    .filter(({ label, der }) => label === CRL_LABEL && parseCrl(der).issuer.raw.toHex() !== name)
    .map(({ label, der }) => encodePem(label, der)).join("");
}

/** How many hosts are named; the rest is counted. */
const MOST_NAMED = 20;

function refuseDependent(paths: PkiPaths, rotation: Rotation): void {
  const left = rotationHosts(paths, rotation).filter((one) => isLeft(one, rotation));
  if (left.length === 0) return;
  const names = left.slice(0, MOST_NAMED).map(({ host, held }) =>
    held.damage === undefined ? host : `${host} (${held.damage})`
  );
  const more = left.length > MOST_NAMED ? ` and ${left.length - MOST_NAMED} more` : "";
  throw new CaError("ROTATION", {
    option: "drop a CA",
    cause: `${rotation.other!.subject.text} is still needed by ${names.join(", ")}${more}`,
    hint: [
      rotation.position === "issuing"
        ? `issue for them: deno task ca rotate issue --dir ${paths.root}`
        : `issue for them anew: deno task ca rotate abort --dir ${paths.root}`,
      ...left.some(({ state }) => state === "damaged")
        ? [`for one that cannot be read: deno task ca issue HOST, or move it out of ${paths.hosts}`]
        : [],
    ],
  });
}

function refuseEarly(position: Rotation["position"], paths: PkiPaths): CaError {
  return position === "started"
    ? new CaError("ROTATION", {
      option: "finish the roll-over",
      cause: "the next CA signs nothing yet",
      hint: `copy to the hosts what was made, then: deno task ca rotate issue --dir ${paths.root}`,
    })
    : new CaError("ROTATION", {
      option: "give the roll-over up",
      cause: "the next CA signs already",
      hint: `go back first: deno task ca rotate abort --dir ${paths.root}`,
    });
}
