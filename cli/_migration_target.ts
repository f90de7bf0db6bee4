/** `migration target`. */

import { VirtcredsError } from "../base/mod.ts";
import type { Transport } from "../channel/mod.ts";
import type { ObjectRegistry } from "../creds/mod.ts";
import type { ControlledTarget, TargetEvent, TargetSetup } from "../migration/mod.ts";
import { type Command, type Input, usage } from "./_command.ts";
import { typed } from "./_help.ts";
import { say, sayError, showProgress } from "./_console.ts";
import { ofFlag } from "./_flag_value.ts";
import {
  idleTimeout,
  makeMigrationObjects,
  messageOf,
  MIGRATION_FLAGS,
  type MigrationRoom,
  readCapabilities,
  readParameters,
  warnOfMismatch,
} from "./_migration.ts";
import {
  hasStdio,
  isMonitored,
  type MonitorPlan,
  planMonitors,
  serveMonitors,
} from "./_migration_monitor.ts";
import { type MigrationWatch, WATCH_FLAGS, watchMigration } from "./_migration_watch.ts";
import { serveObjects } from "./_objects.ts";

const NOTES = `A source that is refused and a stream that breaks are named with the cause, and it
listens on; --once ends it with 1 then. It ends with 0 after one complete migration, --serve keeps
it going. FILE has its name only when the stream is complete and on disk; until then it is
FILE.partial. Without --out a stream is verified and dropped. A signal ends it with 128 and its
number, and leaves no partial file.
URIs are tcp:HOST:PORT, unix:PATH, exec:COMMAND, fd:NUMBER (inherited), file:PATH[,offset=BYTES] and
defer. --monitor and --qmp take the commands of QEMU 7.2: migrate_incoming, migrate_set_parameter,
info migrate, object_add, …, quit; \`help\` lists them. With a client on a socket it ends when the
client has left, or says quit.`;

/** Receives migrations. */
export const migrationTarget: Command = {
  name: "migration target",
  summary: "receive QEMU's live migration, verify it to its end marker and keep it",
  usage: "--incoming tcp:H:P|unix:PATH|exec:CMD|fd:N|file:PATH|defer [--out FILE]",
  examples: [
    [
      "migration target --object tls-creds-x509,id=tls0,dir=pki/hosts/vm2,endpoint=server --tls-creds tls0 --incoming tcp:0.0.0.0:4444 --out guest.mig",
      "receive one migration over mutual TLS into a file",
    ],
    [
      "migration target --object tls-creds-x509,id=tls0,dir=pki/hosts/vm2,endpoint=server --incoming defer --monitor stdio",
      "wait for migrate_set_parameter and migrate_incoming, as qemu -incoming defer does",
    ],
  ],
  flags: [
    ...MIGRATION_FLAGS,
    ...WATCH_FLAGS,
    { name: "incoming", value: "URI", help: "where to listen; port 0 takes any and prints it" },
    { name: "tls-authz", value: "ID", help: "the authz object that decides on the source's DN" },
    {
      name: "out",
      value: "FILE",
      help: "keep the stream here; an earlier FILE becomes FILE.1, FILE.2, …",
    },
    { name: "force", help: "replace an earlier FILE instead of keeping it" },
    {
      name: "guest-ram",
      value: "SIZE",
      help:
        "keep the guest in so much memory (MiB without a unit), and print its digest at the end",
    },
    { name: "once", help: "end with 1 at the first failure" },
    { name: "serve", help: "go on after a complete migration" },
  ],
  exitOne: "no complete migration was received",
  notes: NOTES,
  async run(input) {
    const incoming = input.get("incoming");
    if (incoming === undefined) {
      throw usage("missing --incoming", `see: ${typed(this.name)} --help`);
    }
    const monitored = isMonitored(input);
    if (incoming === "defer" && !monitored) {
      throw usage("--incoming defer waits for a monitor command", [
        "add --monitor stdio, or --qmp unix:PATH,server=on,wait=off",
      ]);
    }
    const { parseTransport, formatTransport } = await import("../channel/mod.ts");
    const address = incoming === "defer"
      ? undefined
      : ofFlag("incoming", () => parseTransport(incoming));
    const plan = await planMonitors(input);
    const room = await import("../migration/mod.ts");
    using objects = await makeMigrationObjects(input);
    const setup = readSetup(input, room, objects);
    if (!monitored) refuseUseless(room, setup);
    return await serveObjects(input, objects, async (signal) => {
      const stop = new AbortController();
      const target = room.controlTarget({
        ...setup,
        signal: AbortSignal.any([signal, stop.signal]),
        onEvent: (event) => {
          progress.clear();
          if (event.kind === "listening" && monitored) warnOfUseless(room, setup);
          tell(room, setup, formatTransport, event, watch);
        },
      });
      const { state } = target.controls;
      using watch = watchMigration(input, room, target.controls);
      using progress = showProgress(
        "received",
        () => state.status === "active" && !hasStdio(plan) ? state.bytes : 0,
      );
      try {
        return await runUntilEnd(target, address, plan, signal, stop.signal);
      } catch (error) {
        // One that ends the program is no event.
        if (state.status === "failed" && !signal.aborted) watch.finish([]);
        throw error;
      } finally {
        stop.abort();
        // A partial file is gone before the program is.
        await target.settled();
      }
    });
  },
};

type Setup = Omit<TargetSetup, "signal" | "onEvent">;

function readSetup(input: Input, room: MigrationRoom, objects: ObjectRegistry): Setup {
  const file = input.get("out");
  if (file !== undefined) room.checkSinkFile(file);
  const size = input.get("guest-ram");
  if (size !== undefined && file !== undefined) {
    throw usage("--out and --guest-ram exclude each other", "keep the stream, or the guest");
  }
  return {
    objects,
    parameters: readParameters(input, room),
    capabilities: readCapabilities(input, room),
    ...(file === undefined ? {} : { file }),
    ...(size === undefined
      ? {}
      : { guestRam: ofFlag("guest-ram", () => room.parseGuestRam(size)) }),
    once: input.on("once"),
    serve: input.on("serve"),
    replace: input.on("force"),
    idleTimeout: idleTimeout(input),
  };
}

/**
 * Checks what every peer would be refused for: nobody can mend it later.
 *
 * @throws {CredsError} If there are no such credentials or authorization.
 */
function refuseUseless(room: MigrationRoom, { parameters, objects }: Setup): void {
  // Asked about nobody: only an object that is not there throws.
  room.targetSecurity(parameters, objects)?.authorize?.allows("");
}

/** Whoever has the monitor may still make the objects. */
function warnOfUseless(room: MigrationRoom, setup: Setup): void {
  try {
    refuseUseless(room, setup);
  } catch (error) {
    const hints = error instanceof VirtcredsError ? error.hints : [];
    say(`warning: every source will be refused: ${messageOf(error)}`, ...hints);
  }
}

async function runUntilEnd(
  { controls, ended }: ControlledTarget,
  address: Transport | undefined,
  plan: MonitorPlan,
  signal: AbortSignal,
  stop: AbortSignal,
): Promise<void> {
  const monitors = await serveMonitors(plan, controls, AbortSignal.any([signal, stop]));
  if (address !== undefined) {
    controls.isStarted = true;
    await controls.incoming(address);
  }
  const aborted = new Promise<never>((_, reject) =>
    signal.addEventListener("abort", () => reject(signal.reason), { once: true })
  );
  await Promise.race([
    aborted,
    monitors.quit,
    // Whoever drives it may ask how it went.
    ended.then(() => monitors.idle()),
    monitors.eof.then(() => controls.isStarted ? new Promise<never>(() => {}) : endedTooEarly()),
  ]);
}

async function endedTooEarly(): Promise<never> {
  const { MigrationError } = await import("../migration/mod.ts");
  throw new MigrationError("REFUSED", {
    text: "the monitor's input ended before migrate_incoming",
    hint: "type `migrate_incoming tcp:HOST:PORT`, or start with --incoming tcp:HOST:PORT",
  });
}

function tell(
  room: MigrationRoom,
  options: Setup,
  formatTransport: (address: Transport) => string,
  event: TargetEvent,
  watch: MigrationWatch,
): void {
  switch (event.kind) {
    case "listening":
      say(`listening on ${formatTransport(event.address)}`);
      if (options.file === undefined && options.guestRam === undefined) {
        say("without --out a migration is verified and dropped");
      }
      break;
    case "set aside":
      say(`the earlier guest is in ${event.file} now; --force replaces it instead`);
      break;
    case "gathering":
      say(`${event.peer}: connected, its ${event.channels} channels of multifd are awaited`);
      break;
    case "active":
      say(`${event.peer}: receiving, ${room.describeTls(event.tls)}`);
      break;
    case "command failed":
      say(
        `warning: ${event.peer} ended with exit code ${event.code}, behind a whole stream`,
        "what it printed stands above; the migration is complete whatever it says",
      );
      break;
    case "refused":
      sayError(event.peer, event.error);
      break;
    case "failed":
      sayError(event.peer, event.error);
      watch.finish([["peer", event.peer]]);
      break;
    case "completed": {
      const { summary, elapsed } = event.reception;
      const where = event.digests !== undefined
        ? "kept in memory"
        : options.file === undefined
        ? "dropped"
        : `kept in ${options.file}`;
      const speed = room.describeSpeed(summary.bytes, elapsed);
      const content = room.describeContent(summary);
      say(`completed: ${speed}, ${content}, ${room.describeTls(event.tls)}, ${where}`);
      warnOfMismatch(summary);
      watch.finish([
        ["peer", event.peer],
        ["channel", room.describeTls(event.tls)],
        ["content", content],
        ["speed", speed],
        ["stream", where],
      ]);
      // The last line, as at the source: it is what is compared.
      for (const [block, digest] of event.digests ?? []) watch.digest(block, digest);
    }
  }
}
