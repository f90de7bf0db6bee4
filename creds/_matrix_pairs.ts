/** Judges pairs: what a side says of another depends on its trust alone, and is found out once. */

import type { Endpoint } from "../engine/mod.ts";
import { type Complaint, complaintOf, nothingSent, offeredChain } from "./_matrix_look.ts";
import { canServe, type RefusedLoad, type Side } from "./_matrix_side.ts";
import { quote, reissue } from "./_mend.ts";
import type { MatrixNode, MatrixRefusal, PairOutcome, PairState } from "./matrix.ts";
import type { ChainContext } from "./path.ts";

/** What a peer says when the other end goes without a word. */
const CUT_OFF = "Cannot read from TLS channel: Software caused connection abort";
const NO_SUITES = "TLS handshake failed: No supported cipher suites have been found.";
const NOT_TERMINATED = "TLS handshake failed: The TLS connection was non-properly terminated.";

/** What is asked of the pairs of a fleet. */
export interface PairJudge {
  pair(source: MatrixNode, destination: MatrixNode): PairOutcome;
  /** Two hosts with the same text do the same to, and hear the same from, every third. */
  kindOf(node: MatrixNode): string;
}

type Say = (judged: Side, judge: Side) => Complaint | undefined;

/** Makes the judge of a fleet. */
export function judgePairs(nodes: readonly MatrixNode[], context: ChainContext): PairJudge {
  const ofServer = oncePerTrust((server, client) => complaintOf(server.chain, client, context));
  const ofClient = oncePerTrust((client, server) => {
    const sent = offeredChain(client, server);
    return sent.length === 0 ? nothingSent(client) : complaintOf(sent, server, context);
  });
  const judges = {
    client: onePerTrust(nodes.map(({ client }) => client)),
    server: onePerTrust(nodes.map(({ server }) => server)),
  };
  // Most sources do the same to a destination: their pairs share one outcome.
  const known = new Map<MatrixNode, Map<string, PairOutcome>>();
  return {
    pair(source, destination) {
      let outcomes = known.get(destination);
      if (outcomes === undefined) known.set(destination, outcomes = new Map());
      const isPlain = source.client.isMeant && source.client.refused === undefined &&
        ofClient(source.client, destination.server) === undefined;
      const key = isPlain ? String(source.client.trust) : source.host.dir;
      let outcome = outcomes.get(key);
      if (outcome === undefined) {
        outcomes.set(key, outcome = judgePair(source, destination, ofServer, ofClient));
      }
      return outcome;
    },
    kindOf({ client, server, names, host }) {
      const load = ({ isMeant, refused, trust }: Side) => [
        ...[trust, isMeant, refused?.finding.code],
        refused?.finding.message.replaceAll(host.dir, ""),
      ];
      return JSON.stringify([
        [...load(client), ...judges.server.map((judge) => ofClient(client, judge)?.message)],
        [...load(server), ...judges.client.map((judge) => ofServer(server, judge)?.message)],
        [canServe(server.chain[0]), ...names.map(({ kind, ok }) => ok || kind)],
      ]);
    },
  };
}

function oncePerTrust(say: Say): Say {
  const known = new Map<Side, Map<number, Complaint | undefined>>();
  return (judged, judge) => {
    let said = known.get(judged);
    if (said === undefined) known.set(judged, said = new Map());
    if (!said.has(judge.trust)) said.set(judge.trust, say(judged, judge));
    return said.get(judge.trust);
  };
}

function onePerTrust(sides: readonly Side[]): Side[] {
  return [...new Map(sides.map((side) => [side.trust, side])).values()];
}

function judgePair(
  source: MatrixNode,
  destination: MatrixNode,
  ofServer: Say,
  ofClient: Say,
): PairOutcome {
  const { names } = destination;
  const refusals = [...refusalsOf(source, destination, ofServer, ofClient)];
  const isMeant = source.client.isMeant && destination.server.isMeant;
  const isLetIn = refusals.every(({ when }) => when === "name");
  const passes: PairState = refusals.length === 0 ? "passes" : "names";
  return { state: !isMeant ? "role" : isLetIn ? passes : "refused", refusals, names };
}

function* refusalsOf(
  source: MatrixNode,
  destination: MatrixNode,
  ofServer: Say,
  ofClient: Say,
): Iterable<MatrixRefusal> {
  const { client } = source;
  const { server } = destination;
  if (client.refused !== undefined) yield refusedLoad("source", client.refused);
  if (server.refused !== undefined) yield refusedLoad("destination", server.refused);
  if (client.refused !== undefined || server.refused !== undefined) return;
  if (!canServe(server.chain[0])) {
    yield {
      by: "destination",
      when: "handshake",
      code: "HANDSHAKE_SUITES",
      message: NO_SUITES,
      seen: NOT_TERMINATED,
      cause:
        "the key usage of its certificate lets its key not sign, and TLS has no other use for it",
      mend: reissueOf(destination, "server"),
    };
    return;
  }
  const [bySource, byDestination] = [ofServer(server, client), ofClient(client, server)];
  const seen = (other: Complaint | undefined) => other?.message ?? CUT_OFF;
  // Who has the wrong authority cannot be told from here.
  const compare = `have both trust one authority: cmp ${
    [source, destination].map(({ host }) => quote(`${host.dir}/ca-cert.pem`)).join(" ")
  }`;
  const mendOf = ({ code }: Complaint, node: MatrixNode, endpoint: Endpoint) =>
    code === "PEER_NO_ISSUER" ? compare : reissueOf(node, endpoint);
  if (bySource !== undefined) {
    const mend = mendOf(bySource, destination, "server");
    yield { by: "source", when: "session", ...bySource, seen: seen(byDestination), mend };
  } else yield* refusedNames(destination, seen(byDestination));
  if (byDestination !== undefined) {
    const mend = mendOf(byDestination, source, "client");
    yield { by: "destination", when: "session", ...byDestination, seen: seen(bySource), mend };
  }
}

/** A client holds the name against a certificate that it trusts. */
function* refusedNames(destination: MatrixNode, seen: string): Iterable<MatrixRefusal> {
  const { names, host } = destination;
  const missing = names.filter(({ ok }) => !ok);
  // Without a name there is nothing to dial that would fit.
  if (names.length > 0 && missing.length === 0) return;
  const named = missing.map(({ name }) => name);
  const flags = missing.filter(({ name }) => name !== host.name)
    .map(({ name, kind }) => ` --${kind === "dns" ? "dns" : "ip"} ${quote(name)}`);
  yield {
    by: "source",
    when: "name",
    code: "PEER_HOSTNAME",
    message: `Certificate does not match the hostname ${named[0] ?? host.name}`,
    seen,
    cause: `its certificate is not for ${named.join(", ") || "any name"}`,
    mend: `${reissueOf(destination, "server")}${flags.join("")}`,
  };
}

function refusedLoad(by: MatrixRefusal["by"], { finding, qemu }: RefusedLoad): MatrixRefusal {
  const { code, message, cause, mend } = finding;
  return { by, when: "load", code, message, seen: "", cause, mend, qemu };
}

function reissueOf({ host, ...sides }: MatrixNode, endpoint: Endpoint): string {
  const { dir } = host;
  return reissue({ dir, endpoint, leaf: sides[endpoint].chain[0], caFile: `${dir}/ca-cert.pem` });
}
