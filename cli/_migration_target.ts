/** `migration target`. */

import type { Transport } from "../channel/mod.ts";
import type { ObjectRegistry } from "../creds/mod.ts";
import type { MigrationState, TargetEvent, TargetOptions } from "../migration/mod.ts";
import { type Command, type Input, usage } from "./_command.ts";
import { typed } from "./_help.ts";
import { type ProgressLine, say, sayError, showProgress } from "./_console.ts";
import {
  idleTimeout,
  makeMigrationObjects,
  messageOf,
  MIGRATION_FLAGS,
  type MigrationRoom,
  readCapabilities,
  readParameters,
  refuseQmp,
} from "./_migration.ts";
import { serveObjects } from "./_objects.ts";

const NOTES = `A source that is refused and a stream that breaks are named with the cause, and it
listens on; --once ends it with 1 then. It ends with 0 after one complete migration, --serve keeps
it going. FILE has its name only when the stream is complete and on disk; until then it is
FILE.partial. Without --out a stream is verified and dropped. A signal ends it with 128 and its
number, and leaves no partial file.
Monitor: migrate_set_parameter tls-creds ID, migrate_incoming URI, info migrate, info status, help,
quit.`;

/** Receives migrations. */
export const migrationTarget: Command = {
  name: "migration target",
  summary: "receive QEMU's live migration, verify it to its end marker and keep it",
  usage: "--incoming tcp:H:P|unix:PATH|exec:CMD|defer [--out FILE]",
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
    { name: "incoming", value: "URI", help: "where to listen; port 0 takes any and prints it" },
    { name: "tls-authz", value: "ID", help: "the authz object that decides on the source's DN" },
    { name: "out", value: "FILE", help: "keep the stream here" },
    {
      name: "guest-ram",
      value: "SIZE",
      help: "keep the guest in so much memory instead, and print its digest at the end",
    },
    { name: "once", help: "end with 1 at the first failure" },
    { name: "serve", help: "go on after a complete migration" },
  ],
  exitOne: "no complete migration was received",
  notes: NOTES,
  async run(input) {
    refuseQmp(input);
    const incoming = input.get("incoming");
    if (incoming === undefined) {
      throw usage("missing --incoming", `see: ${typed(this.name)} --help`);
    }
    const monitored = input.get("monitor") !== undefined;
    if (incoming === "defer" && !monitored) {
      throw usage("--incoming defer waits for a monitor command", "add --monitor stdio");
    }
    const { parseTransport, formatTransport } = await import("../channel/mod.ts");
    const address = incoming === "defer" ? undefined : parseTransport(incoming);
    const room = await import("../migration/mod.ts");
    using objects = await makeMigrationObjects(input);
    const target = makeTarget(input, room, objects, formatTransport);
    using _ = target.progress;
    await checkEarly(target, monitored);
    return await serveObjects(
      input,
      objects,
      (signal) => runUntilEnd(target, address, monitored, signal),
    );
  },
};

interface Target {
  readonly room: MigrationRoom;
  readonly options: Omit<TargetOptions, "address">;
  readonly state: MigrationState;
  readonly progress: ProgressLine;
  readonly formatTransport: (address: Transport) => string;
}

function makeTarget(
  input: Input,
  room: MigrationRoom,
  objects: ObjectRegistry,
  formatTransport: Target["formatTransport"],
): Target {
  const file = input.get("out");
  if (file !== undefined) room.checkSinkFile(file);
  const size = input.get("guest-ram");
  if (size !== undefined && file !== undefined) {
    throw usage("--out and --guest-ram exclude each other", "keep the stream, or the guest");
  }
  const state = room.initialState();
  const parameters = readParameters(input, room);
  const capabilities = readCapabilities(input, room);
  const options = {
    objects,
    parameters,
    ...(file === undefined ? {} : { file }),
    ...(size === undefined ? {} : { guestRam: room.parseGuestRam(size) }),
    multifd: () =>
      capabilities.multifd
        ? {
          channels: parameters["multifd-channels"],
          compression: parameters["multifd-compression"],
        }
        : undefined,
    once: input.on("once"),
    serve: input.on("serve"),
    idleTimeout: idleTimeout(input),
    onProgress: (bytes: number) => {
      state.bytes = bytes;
    },
  };
  const progress = showProgress("received", () => state.status === "active" ? state.bytes : 0);
  return { room, options, state, progress, formatTransport };
}

/** Tells what every peer would be refused for, and gives up where nobody can mend it. */
async function checkEarly({ room, options }: Target, monitored: boolean): Promise<void> {
  const { CredsError } = await import("../creds/mod.ts");
  try {
    // Asked about nobody: only an object that is not there throws.
    room.targetSecurity(options.parameters, options.objects)?.authorize?.allows("");
  } catch (error) {
    if (!(error instanceof CredsError)) {
      // A monitor may still set other parameters; nobody is let in with these.
      if (monitored && error instanceof room.MigrationError) return;
      throw error;
    }
    const isAbsent = error.code === "NO_TLS_CREDS" || error.code === "NOT_TLS_CREDS";
    if (isAbsent && !monitored) throw error;
    say(`warning: every source will be refused: ${error.message}`, ...error.hints);
  }
}

async function runUntilEnd(
  target: Target,
  address: Transport | undefined,
  monitored: boolean,
  signal: AbortSignal,
): Promise<void> {
  const end = Promise.withResolvers<void>();
  const stop = new AbortController();
  const running: Promise<void>[] = [];
  signal.addEventListener("abort", () => {
    end.reject(signal.reason);
    stop.abort(signal.reason);
  }, { once: true });
  const incoming = (at: Transport): Promise<void> => {
    const { ready, ended } = start(target, at, stop.signal);
    // A target that never listened has told so to whoever started it.
    running.push(ended.then(end.resolve, (error) => ready.then(() => end.reject(error), () => {})));
    return ready;
  };
  try {
    if (address !== undefined) await incoming(address);
    if (monitored) {
      watchMonitor(target, incoming, stop.signal, () => running.length > 0)
        .then((quit) => quit && end.resolve(), end.reject);
    }
    await end.promise;
  } finally {
    stop.abort();
    // A partial file is gone before the program is.
    await Promise.allSettled(running);
  }
}

/** Runs the monitor on standard input; gives whether the program is to end. */
async function watchMonitor(
  { room, state, options: { parameters } }: Target,
  incoming: (address: Transport) => Promise<void>,
  signal: AbortSignal,
  started: () => boolean,
): Promise<boolean> {
  const { VERSION } = await import("../base/mod.ts");
  const why = await room.runMonitor({
    commands: room.targetCommands({ state, parameters, incoming }),
    input: Deno.stdin.readable,
    output: (text) => void Deno.stdout.writeSync(new TextEncoder().encode(text)),
    version: VERSION,
    signal,
  });
  if (why === "eof" && !started()) {
    throw new room.MigrationError("REFUSED", {
      text: "the monitor's input ended before migrate_incoming",
      hint: "type `migrate_incoming tcp:HOST:PORT`, or start with --incoming tcp:HOST:PORT",
    });
  }
  return why === "quit";
}

/** Starts the service: `ready` settles when it listens, `ended` with its end. */
function start(
  target: Target,
  address: Transport,
  signal: AbortSignal,
): { ready: Promise<void>; ended: Promise<void> } {
  const ready = Promise.withResolvers<void>();
  const ended = target.room.runTarget({
    ...target.options,
    address,
    signal,
    onEvent: (event) => {
      if (event.kind === "listening") ready.resolve();
      tell(target, event);
    },
  }).then(() => {}, (error) => {
    ready.reject(error);
    throw error;
  });
  return { ready: ready.promise, ended };
}

function tell(
  { room, state, options, progress, formatTransport }: Target,
  event: TargetEvent,
): void {
  progress.clear();
  switch (event.kind) {
    case "listening":
      state.address = event.address;
      state.status = "setup";
      say(`listening on ${formatTransport(event.address)}`);
      if (options.file === undefined && options.guestRam === undefined) {
        say("without --out a migration is verified and dropped");
      }
      break;
    case "active":
      room.beginState(state);
      say(`${event.peer}: receiving, ${room.describeTls(event.tls)}`);
      break;
    case "refused":
      sayError(event.peer, event.error);
      break;
    case "failed":
      room.endState(state, "failed", messageOf(event.error));
      sayError(event.peer, event.error);
      break;
    case "completed": {
      const { summary, elapsed } = event.reception;
      state.bytes = summary.bytes;
      state.pages = summary.pages;
      room.endState(state, "completed");
      const where = event.digests !== undefined
        ? "kept in memory"
        : options.file === undefined
        ? "dropped"
        : `kept in ${options.file}`;
      const speed = room.describeSpeed(summary.bytes, elapsed);
      const content = room.describeContent(summary);
      say(`completed: ${speed}, ${content}, ${room.describeTls(event.tls)}, ${where}`);
      for (const [block, digest] of event.digests ?? []) console.log(`${digest}  ${block}`);
    }
  }
}
