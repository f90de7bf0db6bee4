/** `migration relay`. */

import type { Address, Transport } from "../channel/mod.ts";
import type { Relayed, RelayEvent } from "../migration/mod.ts";
import { type Command, usage } from "./_command.ts";
import { say, sayError, showProgress } from "./_console.ts";
import { typed } from "./_help.ts";
import { idleTimeout, type MigrationRoom } from "./_migration.ts";
import { WATCH_FLAGS, watchMigration } from "./_migration_watch.ts";
import { makeObjects, OBJECT_FLAGS, serveObjects } from "./_objects.ts";

const NOTES = `Multifd, the return path and post-copy pass through: set what both QEMUs need there.
Turn the capability return-path on at the source: without it the source says completed when its
bytes have left, whatever becomes of them here. --tls-creds and --onward-tls-creds are ids of
objects, a server's for the source and a client's for the destination.`;

/** Passes a migration on. */
export const migrationRelay: Command = {
  name: "migration relay",
  summary: "receive one migration and send it on while it comes, TLS on both sides",
  usage: "--incoming tcp:H:P|unix:PATH --migrate tcp:H:P|unix:PATH",
  examples: [
    [
      "migration relay --object tls-creds-x509,id=in,dir=pki/hosts/gw,endpoint=server --tls-creds in --incoming tcp:0.0.0.0:4444 --object tls-creds-x509,id=out,dir=pki/hosts/gw,endpoint=client --onward-tls-creds out --migrate tcp:vm2.example:4444",
      "join two networks that a gateway is in, verified on both sides",
    ],
  ],
  flags: [
    ...OBJECT_FLAGS,
    ...WATCH_FLAGS,
    { name: "incoming", value: "URI", help: "where the source comes to; port 0 takes any" },
    { name: "tls-creds", value: "ID", help: "the credentials towards the source" },
    { name: "tls-authz", value: "ID", help: "the authz object that decides on the source's DN" },
    { name: "migrate", value: "URI", help: "where the destination listens" },
    { name: "onward-tls-creds", value: "ID", help: "the credentials towards the destination" },
    { name: "tls-hostname", value: "NAME", help: "what the destination's certificate must name" },
    {
      name: "idle-timeout",
      value: "SECONDS",
      default: "600",
      help: "longest silence within a migration",
    },
  ],
  exitOne: "the migration did not go through",
  notes: NOTES,
  async run(input) {
    const { parseTransport, formatAddress } = await import("../channel/mod.ts");
    const incoming = socketOf("incoming", input.get("incoming"), parseTransport);
    const onward = socketOf("migrate", input.get("migrate"), parseTransport);
    const room = await import("../migration/mod.ts");
    using objects = await makeObjects(input);
    const of = (names: Readonly<Record<string, string | undefined>>) => {
      const parameters = room.defaultParameters();
      for (const [name, value] of Object.entries(names)) {
        if (value !== undefined) room.setParameter(parameters, name, value);
      }
      return parameters;
    };
    return await serveObjects(input, objects, async (signal) => {
      const state = room.initialState();
      using watch = watchMigration(input, room, { side: "relay", state });
      using progress = showProgress("relayed", () => room.isUnderWay(state) ? state.bytes : 0);
      const facts: [string, string][] = [];
      try {
        const relayed = await room.runRelay({
          incoming,
          onward,
          objects,
          parameters: of({
            "tls-creds": input.get("tls-creds"),
            "tls-authz": input.get("tls-authz"),
          }),
          onwardParameters: of({
            "tls-creds": input.get("onward-tls-creds"),
            "tls-hostname": input.get("tls-hostname"),
          }),
          idleTimeout: idleTimeout(input),
          signal,
          state,
          onEvent: (event) => {
            progress.clear();
            tell(event, formatAddress);
            if (event.kind !== "connected") return;
            facts.push(["source", event.peer], ["destination", event.onward]);
          },
        });
        progress.clear();
        say(summaryLine(room, relayed));
        facts.push(["stream", room.describeContent(relayed.summary)]);
        facts.push(["connections", `${relayed.connections}`]);
      } finally {
        progress.clear();
        if (state.status !== "none") watch.finish(facts);
      }
    });
  },
};

function socketOf(
  flag: string,
  text: string | undefined,
  parse: (text: string) => Transport,
): Address {
  if (text === undefined) {
    throw usage(`missing --${flag}`, `see: ${typed("migration relay")} --help`);
  }
  const address = parse(text);
  if (address.kind === "tcp" || address.kind === "unix") return address;
  throw usage(`--${flag} takes a socket: tcp:HOST:PORT or unix:PATH`, [
    "other transports have one connection and no way back: use migration target and source",
  ]);
}

function tell(event: RelayEvent, formatAddress: (address: Address) => string): void {
  switch (event.kind) {
    case "listening":
      return say(`listening on ${formatAddress(event.address)}`);
    case "connected":
      return say(`${event.peer}: relayed to ${event.onward}`);
    case "refused":
      return sayError(event.peer, event.error);
  }
}

function summaryLine(
  room: MigrationRoom,
  { bytes, connections, elapsed, summary }: Relayed,
): string {
  return `completed: ${room.describeSpeed(bytes, elapsed)} over ${connections} connection` +
    `${connections === 1 ? "" : "s"}, ${room.describeContent(summary)}`;
}
