/** `migration source`. */

import type { Transport } from "../channel/mod.ts";
import type { ObjectRegistry } from "../creds/mod.ts";
import type { MigrationParameters, MigrationState, StreamSource } from "../migration/mod.ts";
import { type Command, type Input, usage } from "./_command.ts";
import { typed } from "./_help.ts";
import { say, sayError, showProgress } from "./_console.ts";
import {
  idleTimeout,
  makeMigrationObjects,
  messageOf,
  MIGRATION_FLAGS,
  type MigrationRoom,
  readParameters,
  refuseQmp,
} from "./_migration.ts";
import { serveObjects } from "./_objects.ts";

const NOTES =
  `--in sends what a target kept; it is verified first. --guest-ram sends a built-in guest,
which only our own target takes. --tls-hostname is what the target's certificate must name; without
it, it is the host of the URI, and a URI without a host cannot do without it.
Monitor: migrate_set_parameter tls-creds ID, migrate [-d] URI, migrate_cancel, info migrate, info
status, help, quit; at the end of its input it waits for the migration that is under way.`;

/** What a destination that does not answer leaves open: its kernel may hold what it never reads. */
const UNACKNOWLEDGED =
  "sent: a destination without return path acknowledges nothing, only its log tells";

/** Sends migrations. */
export const migrationSource: Command = {
  name: "migration source",
  summary: "send a kept migration, or a built-in guest, to a QEMU that waits with -incoming",
  usage: "--migrate tcp:H:P|unix:PATH|exec:CMD --in FILE|--guest-ram SIZE",
  examples: [
    [
      "migration source --object tls-creds-x509,id=tls0,dir=pki/hosts/vm1,endpoint=client --tls-creds tls0 --migrate tcp:vm2.example:4444 --in guest.mig",
      "restore a kept guest in a QEMU over mutual TLS",
    ],
    [
      "migration source --object tls-creds-x509,id=tls0,dir=pki/hosts/vm1,endpoint=client --tls-creds tls0 --migrate tcp:vm2.example:4444 --guest-ram 4G",
      "rehearse a migration to our target without a virtual machine",
    ],
  ],
  flags: [
    ...MIGRATION_FLAGS,
    { name: "migrate", value: "URI", help: "where the destination listens" },
    { name: "tls-hostname", value: "NAME", help: "what its certificate must name" },
    { name: "in", value: "FILE", help: "a stream that a target kept" },
    { name: "guest-ram", value: "SIZE", help: "memory of the built-in guest: 64M, 4G" },
  ],
  exitOne: "the destination refused, or the migration broke",
  notes: NOTES,
  async run(input) {
    refuseQmp(input);
    const uri = input.get("migrate");
    const monitored = input.get("monitor") !== undefined;
    if (uri === undefined && !monitored) {
      throw usage("missing --migrate", `see: ${typed(this.name)} --help`);
    }
    const { parseTransport } = await import("../channel/mod.ts");
    const address = uri === undefined ? undefined : parseTransport(uri);
    const open = sourceOpener(input);
    const room = await import("../migration/mod.ts");
    const parameters = readParameters(input, room);
    using objects = await makeMigrationObjects(input);
    // A monitor may still set what is missing.
    if (!monitored) room.sourceCredentials(parameters, objects);
    return await serveObjects(input, objects, async (signal) => {
      const { source, close } = await open(room, signal);
      using _ = close;
      const program = { input, room, objects, parameters, source, state: room.initialState() };
      if (address !== undefined) await migrate(program, address, signal);
      if (monitored) await monitor(program, signal);
    });
  },
};

interface Program {
  readonly input: Input;
  readonly room: MigrationRoom;
  readonly objects: ObjectRegistry;
  readonly parameters: MigrationParameters;
  readonly source: StreamSource;
  readonly state: MigrationState;
}

interface OpenedSource {
  readonly source: StreamSource;
  readonly close: Disposable;
}

type SourceOpener = (room: MigrationRoom, signal: AbortSignal) => Promise<OpenedSource>;

/** Decides what is sent before anything is loaded or dialled. */
function sourceOpener(input: Input): SourceOpener {
  const file = input.get("in");
  const size = input.get("guest-ram");
  if ((file === undefined) === (size === undefined)) {
    throw usage(
      file === undefined ? "nothing to send" : "--in and --guest-ram exclude each other",
      "give --in FILE, or --guest-ram SIZE",
    );
  }
  if (file === undefined) {
    return (room) =>
      Promise.resolve({
        source: room.builtInGuest(room.parseGuestRam(size!)),
        close: { [Symbol.dispose]: () => {} },
      });
  }
  return async (room, signal) => {
    let verified = 0;
    using _ = showProgress("verified", () => verified);
    const source = await room.openStreamFile(file, {
      signal,
      onProgress: (bytes) => {
        verified = bytes;
      },
    });
    say(`${file}: ${source.length} bytes, ${room.describeContent(source.summary)}`);
    return { source, close: source };
  };
}

/** Migrates once, and tells how it went. */
async function migrate(program: Program, address: Transport, signal: AbortSignal): Promise<void> {
  const { input, room, objects, parameters, source, state } = program;
  room.beginState(state);
  state.status = "setup";
  using progress = showProgress("sent", () => state.bytes, source.length);
  let tlsLine = "";
  try {
    const sending = await room.runSource({
      address,
      objects,
      parameters,
      source,
      signal,
      idleTimeout: idleTimeout(input),
      onConnected: (peer, tls) => {
        state.status = "active";
        tlsLine = room.describeTls(tls);
        say(`${peer}: sending, ${tlsLine}`);
      },
      onProgress: (bytes) => {
        state.bytes = bytes;
      },
    });
    progress.clear();
    room.endState(state, "completed");
    const acknowledged = {
      shut: "acknowledged by the destination",
      closed: UNACKNOWLEDGED,
      unknown: UNACKNOWLEDGED,
    }[sending.acknowledged];
    const speed = room.describeSpeed(sending.bytes, sending.elapsed);
    say(
      `completed: ${speed}, ${source.machine ?? "machine type unknown"}, ${tlsLine}, ` +
        acknowledged,
    );
  } catch (error) {
    progress.clear();
    room.endState(state, signal.aborted ? "cancelled" : "failed", messageOf(error));
    throw error;
  }
}

/** Runs the monitor on standard input, and then waits for what it started. */
async function monitor(program: Program, signal: AbortSignal): Promise<void> {
  const { room, state, parameters } = program;
  const { VERSION } = await import("../base/mod.ts");
  let running: Promise<void> = Promise.resolve();
  let abort = new AbortController();
  const why = await room.runMonitor({
    commands: room.sourceCommands({
      state,
      parameters,
      migrate: (address, detached) => {
        abort = new AbortController();
        running = migrate(program, address, AbortSignal.any([signal, abort.signal]));
        running.catch((error) => detached && sayError("migrate", error));
        return running;
      },
      cancel: () => abort.abort(new room.MigrationError("ABORTED", { cause: "migrate_cancel" })),
    }),
    input: Deno.stdin.readable,
    output: (text) => void Deno.stdout.writeSync(new TextEncoder().encode(text)),
    version: VERSION,
    signal,
  });
  signal.throwIfAborted();
  if (why === "quit" && (state.status === "setup" || state.status === "active")) {
    abort.abort(new room.MigrationError("ABORTED", { cause: "quit" }));
    return void await running.catch(() => {});
  }
  await running;
}
