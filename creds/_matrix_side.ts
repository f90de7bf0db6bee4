/** One role of one host of a fleet, read and judged once. */

import type { Endpoint, Engine } from "../engine/mod.ts";
import { exists, type FileFinder } from "./_files.ts";
import { type Identity, inspect, type Inspection } from "./_inspect.ts";
import { walkDirectory } from "./_walk.ts";
import type { Certificate } from "./certificate.ts";
import type { RevocationList } from "./crl.ts";
import type { Finding } from "./finding.ts";
import type { ChainContext } from "./path.ts";
import type { Profile } from "./profiles.ts";

/** What a role of a host shows to its peers, and what it holds against them. */
export interface Side {
  /** Whether the host has the role at all. */
  readonly isMeant: boolean;
  /** Why its QEMU does not make the object; several lines of QEMU may differ in it. */
  readonly refused: RefusedLoad | undefined;
  /** What it identifies itself with, leaf first; empty where it has nothing. */
  readonly chain: readonly Certificate[];
  /** All that it has to choose from, the first that fits its peer first: {@linkcode Side.chain} is one. */
  readonly chains: readonly (readonly Certificate[])[];
  readonly anchors: readonly Certificate[];
  /** Server only. */
  readonly crls: readonly RevocationList[];
  /** The number of its trust: sides with the same one hold the same against a peer. */
  readonly trust: number;
}

/** The first thing that a line of QEMU refuses. */
export interface RefusedLoad {
  readonly finding: Finding;
  readonly qemu: readonly string[];
}

/** What a side is read with. */
export interface SideContext {
  readonly engine: Engine;
  /** Passphrase of encrypted keys. */
  readonly password?: string;
  readonly chain: ChainContext;
  /** Numbers the trust of sides by the text of its files. */
  readonly trusts: Map<string, number>;
}

/** Reads one role of a directory and judges it as the lines of QEMU do that the host may run. */
export async function readSide(
  dir: string,
  endpoint: Endpoint,
  profiles: readonly Profile[],
  isMeant: boolean | undefined,
  find: FileFinder,
  context: SideContext,
): Promise<Side> {
  const inspection = await inspect(dir, endpoint, context, find);
  const { identity, numbered, anchors, crls } = inspection;
  const identities = [identity, ...numbered];
  // Lines of QEMU before 10.2 know of no other pair than the first.
  const isNew = profiles.every(({ logic }) => logic === "new");
  const chains = (isNew ? identities : [identity]).filter(isWhole)
    .flatMap(({ chain }) => chain?.ok && chain.value.length > 0 ? [chain.value] : []);
  const [first = []] = chains;
  return {
    isMeant: isMeant ?? identities.some(({ cert, key }) => exists(cert) || exists(key)),
    refused: refusedLoad(inspection, profiles, context.chain),
    chain: endpoint === "server" ? chains.find(([leaf]) => canServe(leaf)) ?? first : first,
    chains,
    anchors: anchors?.ok ? anchors.value : [],
    crls: crls?.ok ? crls.value : [],
    trust: numberOf(`${textOf(inspection.caCert)}\0${textOf(inspection.caCrl)}`, context.trusts),
  };
}

/** QEMU uses a pair, or goes without. */
function isWhole({ cert, key }: Identity): boolean {
  return exists(cert) && exists(key);
}

function refusedLoad(
  inspection: Inspection,
  profiles: readonly Profile[],
  chain: ChainContext,
): RefusedLoad | undefined {
  const known = new Map<string, Finding | undefined>();
  const refusals = profiles.map((profile) => {
    const rules = `${profile.logic} ${profile.wantsKeyEncipherment}`;
    if (!known.has(rules)) known.set(rules, walkDirectory(inspection, profile, chain, true)[0]);
    return { finding: known.get(rules), qemu: profile.name };
  });
  const finding = refusals.find((refusal) => refusal.finding !== undefined)?.finding;
  if (finding === undefined) return undefined;
  const same = refusals.filter((refusal) => refusal.finding?.message === finding.message);
  return { finding, qemu: same.map(({ qemu }) => qemu) };
}

function numberOf(text: string, numbers: Map<string, number>): number {
  let number = numbers.get(text);
  if (number === undefined) numbers.set(text, number = numbers.size);
  return number;
}

function textOf(file: Inspection["caCrl"]): string {
  return file?.state.kind === "present" ? file.state.text : "";
}

/** Whether a key may sign a handshake, whatever else its usage says. */
export function maySign({ keyUsage }: Certificate): boolean {
  return keyUsage === undefined || keyUsage.usages.includes("digitalSignature");
}

/** Without a signature only RSA is left, and TLS 1.2 with it: the client encrypts to the key. */
export function canServe(leaf: Certificate | undefined): boolean {
  if (leaf === undefined || maySign(leaf)) return leaf !== undefined;
  return leaf.publicKey.bits !== undefined &&
    leaf.keyUsage!.usages.includes("keyEncipherment");
}
