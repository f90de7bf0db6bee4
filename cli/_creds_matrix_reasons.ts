/** Why pairs do not pass: one reason for each fault, however many pairs it spoils. */

import type { Matrix, MatrixEntry, MatrixRefusal } from "../creds/mod.ts";

/** A role in a pair. */
export type PairRole = MatrixRefusal["by"];

/** A fault of hosts, and whom it keeps from whom. */
export interface MatrixReason {
  readonly kind: "load" | "trust" | "refused" | "names";
  /** The hosts that do not load or are refused; of two authorities, those of the rarer one. */
  readonly hosts: readonly string[];
  /** In which roles they are. */
  readonly roles: readonly PairRole[];
  /** The most that refuse one of them. */
  readonly by: number;
  /** Of the first host. */
  readonly refusal: MatrixRefusal;
}

interface Fault {
  readonly host: number;
  readonly kind: MatrixReason["kind"];
  readonly roles: Set<PairRole>;
  readonly by: Set<number>;
  readonly refusal: MatrixRefusal;
}

const ORDER: readonly MatrixReason["kind"][] = ["load", "trust", "refused", "names"];

/** Collects the reasons of a matrix, those that spoil most first within their kind. */
export function matrixReasons(matrix: Matrix): MatrixReason[] {
  const merged = Map.groupBy(
    faultsOf(matrix),
    (fault) => `${fault.kind} ${fault.refusal.code} ${wordingOf(fault, matrix.hosts)}`,
  );
  return [...merged.values()].map((all): MatrixReason => ({
    kind: all[0]!.kind,
    hosts: [...new Set(all.map(({ host }) => matrix.hosts[host]!.name))],
    roles: [...new Set(all.flatMap(({ roles }) => [...roles]))],
    by: Math.max(...all.map(({ by }) => by.size)),
    refusal: all[0]!.refusal,
  })).sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind) || b.by - a.by);
}

/** What makes two faults one: the same words, but for the host's own names. */
function wordingOf({ host, kind, refusal }: Fault, hosts: readonly MatrixEntry[]): string {
  if (kind === "trust") return "";
  const { dir, names } = hosts[host]!;
  return names.reduce(
    (text, { name }) => text.replaceAll(name, "NAME"),
    refusal.message.replaceAll(dir, "DIR"),
  ).replaceAll(/\b(server|client)\b/g, "ROLE");
}

function faultsOf({ hosts, pair }: Matrix): Iterable<Fault> {
  const faults = new Map<string, Fault>();
  const sizes = Map.groupBy(hosts, ({ trust }) => trust);
  const isRarer = (a: number, b: number) =>
    sizes.get(hosts[a]!.trust)!.length < sizes.get(hosts[b]!.trust)!.length;
  const add = (
    kind: Fault["kind"],
    role: PairRole,
    host: number,
    other: number,
    refusal: MatrixRefusal,
  ) => {
    const isOfRole = kind === "refused" || kind === "names";
    const key = `${host} ${kind} ${isOfRole ? role : ""} ${refusal.code}`;
    let fault = faults.get(key);
    if (fault === undefined) {
      faults.set(key, fault = { host, kind, roles: new Set(), by: new Set(), refusal });
    }
    fault.roles.add(role);
    fault.by.add(other);
  };
  for (const from of hosts.keys()) {
    for (const to of hosts.keys()) {
      if (from === to) continue;
      const { state, refusals } = pair(from, to);
      if (state === "role") continue;
      for (const refusal of refusals) {
        const isOwn = refusal.when === "load" || refusal.when === "handshake";
        const isSource = refusal.by === "source" === isOwn;
        const [host, other] = isSource ? [from, to] : [to, from];
        if (refusal.code === "PEER_NO_ISSUER") {
          const [rare, many] = isRarer(other, host) ? [other, host] : [host, other];
          add("trust", rare === from ? "source" : "destination", rare, many, refusal);
        } else add(KINDS[refusal.when], isSource ? "source" : "destination", host, other, refusal);
      }
    }
  }
  return faults.values();
}

const KINDS = { load: "load", handshake: "refused", session: "refused", name: "names" } as const;
