/** The second step of a roll-over: the next CA signs, and hosts get certificates of it. */

import { systemClock } from "../base/mod.ts";
import { changePki } from "./change.ts";
import { CaError } from "./error.ts";
import { parseHostName } from "./host_name.ts";
import {
  type IssueContext,
  issueEach,
  type IssueOutcome,
  refuseWithoutAuthority,
} from "./issue.ts";
import { openIssuer } from "./issuer.ts";
import { openLives } from "./life.ts";
import { type PkiPaths, pkiPaths } from "./pki.ts";
import { tryRequest } from "./renew.ts";
import type { HostRequest } from "./request.ts";
import { stageExchange } from "./rotate_switch.ts";
import type { RotateOptions } from "./rotate_start.ts";
import {
  isIssuedUnder,
  readRotation,
  type Rotation,
  type RotationHost,
  rotationHosts,
} from "./rotation.ts";

/** Which hosts get certificates of the next CA. */
export interface RotateIssueOptions extends RotateOptions, IssueContext {
  /** All that have none by default. */
  readonly hosts?: readonly string[];
  /** Called with the number of hosts that are done, of how many. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** What was issued under the CA that signs now. */
export interface RotationIssue {
  /** Whether the CAs changed places now. */
  readonly switched: boolean;
  readonly outcomes: readonly IssueOutcome[];
  /** Hosts that are revoked, and therefore not issued for. */
  readonly revoked: readonly string[];
  /** Hosts that still hold certificates of the other CA. */
  readonly left: readonly string[];
  /** When the CA ends that is to go. */
  readonly oldNotAfter: Date;
}

/**
 * Has the next CA sign from now on, and issues under it for every host that holds a certificate of
 * the old one: the same names, keys and days. Done again, it does what is left.
 *
 * @throws {CaError} `ROTATION` If none was started; `HOST_NAME`, `HOST_UNKNOWN`; what is wrong with
 * the authority, as `renewHosts`.
 */
export async function issueRotation(options: RotateIssueOptions): Promise<RotationIssue> {
  const paths = pkiPaths(options.dir);
  refuseWithoutAuthority(paths);
  const switched = await exchange(paths, options, "started");
  const rotation = readRotation(paths);
  if (rotation.position !== "issuing") throw refuse(rotation, options.dir);
  return { switched, ...await issueUnderOwn(paths, options, rotation) };
}

/** Goes back where one is: the old CA signs again, and hosts get certificates of it again. */
export async function backRotation(options: RotateIssueOptions): Promise<RotationIssue> {
  const paths = pkiPaths(options.dir);
  refuseWithoutAuthority(paths);
  const switched = await exchange(paths, options, "issuing");
  return { switched, ...await issueUnderOwn(paths, options, readRotation(paths)) };
}

/** Exchanges the two CAs, if the roll-over is where it has to be for that. */
async function exchange(
  paths: PkiPaths,
  options: RotateOptions,
  at: "started" | "issuing",
): Promise<boolean> {
  const now = (options.clock ?? systemClock)();
  const { engine, passphrase } = options;
  return await changePki(paths, options, async (change) => {
    const rotation = readRotation(paths);
    const { position, other } = rotation;
    if (position !== at || other === undefined) return false;
    if (other.notAfter < now) {
      throw new CaError("ROTATION", {
        option: at === "started" ? "issue under the next CA" : "go back",
        cause: `${other.subject.text} has expired`,
        hint: at === "started"
          ? `give it up and start again: deno task ca rotate abort --dir ${paths.root}`
          : `go on: deno task ca rotate finish --dir ${paths.root}`,
      });
    }
    const issuer = change.signedBy(
      await openIssuer(paths, { change, engine, now, passphrase, evenExpired: true }),
    );
    await stageExchange(paths, change, issuer, { ...rotation, other }, options, now);
    return true;
  });
}

async function issueUnderOwn(
  paths: PkiPaths,
  options: RotateIssueOptions,
  rotation: Rotation,
): Promise<Omit<RotationIssue, "switched">> {
  const named = options.hosts === undefined || options.hosts.length === 0
    ? undefined
    : new Set(options.hosts.map((host) => parseHostName(host).text));
  const hosts = rotationHosts(paths, rotation);
  for (const host of named ?? []) {
    if (hosts.some((one) => one.host === host)) continue;
    throw new CaError("HOST_UNKNOWN", {
      value: host,
      file: `${paths.hosts}/${host}`,
      hint: `issue for it: deno task ca issue ${host} --dir ${paths.root}`,
    });
  }
  const wanted = hosts.filter((one) => isLeft(one, rotation) && (named?.has(one.host) ?? true));
  const context = options.newPassphrase === undefined || rotation.position !== "issuing"
    ? options
    : { ...options, passphrase: options.newPassphrase };
  const requests: HostRequest[] = [];
  const outcomes: IssueOutcome[] = [];
  await using lives = openLives(paths);
  for (const { held } of wanted) {
    const days = await lives.daysFor(held);
    const request = tryRequest(held, { ...context, days, selection: { kind: "all" } });
    if ("names" in request) requests.push(request);
    else outcomes.push(request);
  }
  const total = requests.length;
  if (total > 0) {
    const onProgress = (done: number) => options.onProgress?.(done, total);
    outcomes.push(...await issueEach(requests, context, onProgress));
  }
  const after = rotationHosts(paths, rotation);
  return {
    outcomes,
    revoked: hosts.filter((one) => one.state === "revoked").map((one) => one.host),
    left: after.filter((one) => isLeft(one, rotation)).map((one) => one.host),
    oldNotAfter: (rotation.position === "issuing" ? rotation.other! : rotation.own).notAfter,
  };
}

/** Whether a host holds a certificate of another CA than the one that signs. */
export function isLeft({ state, held }: RotationHost, { own }: Rotation): boolean {
  return state === "damaged" || state !== "revoked" && !isIssuedUnder(held, own);
}

function refuse({ position }: Rotation, dir: string): CaError {
  return new CaError("ROTATION", {
    option: "issue under the next CA",
    cause: position === "none" ? "no roll-over was started" : "it does not sign yet",
    hint: `start one: deno task ca rotate start --dir ${dir}`,
  });
}
