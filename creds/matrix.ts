/**
 * Who in a fleet can reach whom over TLS, by which name, and why not: each ordered pair of hosts is
 * a session between a client object of the source's QEMU and a server object of the destination's,
 * both of which verify their peer.
 */

import { type Clock, systemClock } from "../base/mod.ts";
import type { Endpoint, Engine } from "../engine/mod.ts";
import { openDirectory } from "./_files.ts";
import { judgePairs } from "./_matrix_pairs.ts";
import { readSide, type Side, type SideContext } from "./_matrix_side.ts";
import { certificateNames, matchHostname } from "./hostname.ts";
import { parseIpAddress } from "./ip.ts";
import type { Profile } from "./profiles.ts";
import { signatureCheck } from "./signature.ts";

/** A host of a fleet as it is asked about. */
export interface MatrixHost {
  readonly name: string;
  /** Its directory of credentials. */
  readonly dir: string;
  /** The lines of QEMU it may run; it passes where all of them do. */
  readonly profiles: readonly Profile[];
  /**
   * What others reach it by; by default the names of its certificate and, where its directory is
   * `hosts/HOST`, that.
   */
  readonly names?: readonly string[];
  /** What it is meant to be; by default what it has files for. */
  readonly roles?: readonly Endpoint[];
}

/** Kinds of names that a peer is reached by. */
export type NameKind = "dns" | "ipv4" | "ipv6";

/** A name that a host is reached by, and whether its certificate is for it. */
export interface ReachName {
  readonly name: string;
  readonly kind: NameKind;
  readonly ok: boolean;
}

/** Why a pair comes to no session. */
export interface MatrixRefusal {
  /** Whose QEMU refuses. */
  readonly by: "source" | "destination";
  /**
   * At the making of its object, in the handshake, of its peer after it, or, by the names that are
   * not `ok` only, of the name it dialled.
   */
  readonly when: "load" | "handshake" | "session" | "name";
  /** As `creds explain` has it. */
  readonly code: string;
  /** What it says, in QEMU's words. */
  readonly message: string;
  /** What its peer says then; empty where that comes to no session at all. */
  readonly seen: string;
  readonly cause: string;
  readonly mend: string;
  /** The lines of QEMU that refuse a load. */
  readonly qemu?: readonly string[];
}

/**
 * What comes of a pair: `passes` by every name, `names` by some or none although both trust each
 * other, `refused` by every name, `role` where one of them is not meant to be that.
 */
export type PairState = "passes" | "names" | "refused" | "role";

/** The outcome of an ordered pair. */
export interface PairOutcome {
  readonly state: PairState;
  readonly refusals: readonly MatrixRefusal[];
  /** The names of the destination; by those that are not `ok` the source refuses it. */
  readonly names: readonly ReachName[];
}

/** A host as it was found. */
export interface MatrixEntry {
  readonly name: string;
  readonly dir: string;
  readonly qemu: readonly string[];
  readonly names: readonly ReachName[];
  readonly roles: readonly Endpoint[];
  /** Hosts of the same number have the same authorities. */
  readonly trust: number;
  /** Hosts of the same number do the same in every pair with a third. */
  readonly kind: number;
}

/** All pairs of a fleet. */
export interface Matrix {
  readonly hosts: readonly MatrixEntry[];
  /** The outcome of two hosts by their index; equal outcomes are one object. */
  pair(source: number, destination: number): PairOutcome;
}

/** How a fleet is judged. */
export interface MatrixOptions {
  readonly engine: Engine;
  /** Passphrase of encrypted keys. */
  readonly password?: string | undefined;
  readonly clock?: Clock;
}

/** Judges all ordered pairs of hosts; each file is read once. */
export async function judgeMatrix(
  hosts: readonly MatrixHost[],
  options: MatrixOptions,
): Promise<Matrix> {
  const now = (options.clock ?? systemClock)();
  const chain = { now, isSignedBy: signatureCheck(options.engine), trustsUnchecked: true };
  const { engine, password } = options;
  const trusts = new Map<string, number>();
  const context = { engine, chain, trusts, ...(password === undefined ? {} : { password }) };
  const nodes: MatrixNode[] = [];
  for (const host of hosts) nodes.push(await readNode(host, context));
  const { pair, kindOf } = judgePairs(nodes, chain);
  const kinds = new Map<string, number>();
  return {
    hosts: nodes.map((node): MatrixEntry => {
      const kind = kindOf(node);
      if (!kinds.has(kind)) kinds.set(kind, kinds.size);
      const { name, dir, profiles } = node.host;
      return {
        name,
        dir,
        qemu: profiles.map((profile) => profile.name),
        names: node.names,
        roles: (["server", "client"] as const).filter((role) => node[role].isMeant),
        trust: node.client.trust,
        kind: kinds.get(kind)!,
      };
    }),
    pair: (source, destination) => pair(nodes[source]!, nodes[destination]!),
  };
}

/** A host with both of its roles. */
export interface MatrixNode {
  readonly host: MatrixHost;
  readonly client: Side;
  readonly server: Side;
  readonly names: readonly ReachName[];
}

async function readNode(host: MatrixHost, context: SideContext): Promise<MatrixNode> {
  const { dir, profiles, roles } = host;
  const find = openDirectory(dir);
  const read = (role: Endpoint): Promise<Side> =>
    readSide(dir, role, profiles, roles?.includes(role), find, context);
  const [client, server] = [await read("client"), await read("server")];
  const [leaf] = server.chain;
  const names = host.names ?? namesOf(dir, leaf === undefined ? [] : certificateNames(leaf));
  return {
    host,
    client,
    server,
    names: names.map((name) => ({
      name,
      kind: kindOfName(name),
      ok: leaf !== undefined && matchHostname(leaf, name),
    })),
  };
}

/** Nobody dials a wildcard. */
function namesOf(dir: string, own: readonly string[]): string[] {
  const host = /(?:^|\/)hosts\/([^/]+)\/*$/.exec(dir)?.[1];
  const names = own.filter((name) => !name.startsWith("*"));
  return [...new Set(host === undefined ? names : [host, ...names])];
}

function kindOfName(name: string): NameKind {
  const address = parseIpAddress(name);
  return address === undefined ? "dns" : address.length === 4 ? "ipv4" : "ipv6";
}
