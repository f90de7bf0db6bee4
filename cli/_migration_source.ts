/** `migration source`. */

import type { SourceControls, SourceEvent, StreamSource } from "../migration/mod.ts";
import { type Command, type Input, usage } from "./_command.ts";
import { typed } from "./_help.ts";
import { say, sayError, showProgress } from "./_console.ts";
import { ofFlag } from "./_flag_value.ts";
import {
  idleTimeout,
  makeMigrationObjects,
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

const NOTES =
  `--in sends what a target kept; it is verified first. --guest-ram sends a built-in guest,
which our own target takes, and with --guest-machine and --guest-block a QEMU too; its memory's
digest is printed at the end, as a target with --guest-ram does. --tls-hostname is what the target's certificate must name; without
it, it is the host of the URI, and a URI without a host cannot do without it. URIs are tcp:HOST:PORT,
unix:PATH, exec:COMMAND, fd:NUMBER (inherited), and file:PATH[,offset=BYTES].
--monitor and --qmp take the commands of QEMU 7.2: migrate, migrate_cancel, migrate_set_parameter,
info migrate, object_add, …, quit; \`help\` lists them. At the end of its input it waits for the
migration that is under way; with a socket it goes on until quit, or, where --migrate is given,
until its clients have left.`;

/** What a destination that does not answer leaves open: its kernel may hold what it never reads. */
const UNACKNOWLEDGED =
  "sent: a destination without return path acknowledges nothing, only its log tells";

/** Sends migrations. */
export const migrationSource: Command = {
  name: "migration source",
  summary: "send a kept migration, or a built-in guest, to a QEMU that waits with -incoming",
  usage: "--migrate tcp:H:P|unix:PATH|exec:CMD|fd:N|file:PATH --in FILE|--guest-ram SIZE",
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
    ...WATCH_FLAGS,
    { name: "migrate", value: "URI", help: "where the destination listens" },
    { name: "tls-hostname", value: "NAME", help: "what its certificate must name" },
    { name: "in", value: "FILE", help: "a stream that a target kept" },
    {
      name: "guest-ram",
      value: "SIZE",
      help: "memory of the built-in guest: 64M, 4G; MiB without a unit",
    },
    {
      name: "dirty-rate",
      value: "SIZE",
      help: "what the built-in guest writes a second while it runs: 200M; nothing without it",
    },
    {
      name: "dirty-set",
      value: "SIZE",
      help: "the memory that it writes to; all of it without this",
    },
    {
      name: "guest-machine",
      value: "TYPE",
      help: "a QEMU's machine type, for a QEMU that is to take the guest: pc-i440fx-7.2",
    },
    {
      name: "guest-uuid",
      value: "UUID",
      help: "what multifd tells a QEMU with -uuid; without it, what --in names, else zeros",
    },
    {
      name: "guest-block",
      value: "NAME",
      help: "the name of the memory in that QEMU: pc.ram, or the id of its memory backend",
    },
  ],
  exitOne: "the destination refused, or the migration broke",
  notes: NOTES,
  async run(input) {
    const uri = input.get("migrate");
    const monitored = isMonitored(input);
    if (uri === undefined && !monitored) {
      throw usage("missing --migrate", `see: ${typed(this.name)} --help`);
    }
    const { parseTransport } = await import("../channel/mod.ts");
    const address = uri === undefined ? undefined : ofFlag("migrate", () => parseTransport(uri));
    const open = sourceOpener(input);
    const room = await import("../migration/mod.ts");
    const uuid = input.get("guest-uuid");
    const named = uuid === undefined ? {} : { uuid: room.parseUuid(uuid) };
    const parameters = readParameters(input, room);
    const capabilities = readCapabilities(input, room);
    const plan = await planMonitors(input);
    using objects = await makeMigrationObjects(input);
    // A monitor may still set what is missing.
    if (!monitored) room.sourceCredentials(parameters, objects);
    return await serveObjects(input, objects, async (signal) => {
      const { close, digest, ...opened } = await open(room, signal);
      using _ = close;
      const { source } = opened;
      if (source.length !== undefined && capabilities["return-path"] && !source.returnPath) {
        say(
          "warning: return-path=on does nothing for --in: the stream was recorded without it",
          "nothing acknowledges it: the destination's log tells whether it has arrived",
        );
      }
      const stop = new AbortController();
      const controls = room.controlSource({
        ...opened,
        ...named,
        objects,
        parameters,
        capabilities,
        idleTimeout: idleTimeout(input),
        signal: AbortSignal.any([signal, stop.signal]),
        onEvent: (event) => {
          progress.clear();
          tell(room, opened.source, event, monitored, watch);
        },
      });
      using watch = watchMigration(input, room, controls);
      const { state } = controls;
      using progress = showProgress(
        "sent",
        () => room.isUnderWay(state) && !hasStdio(plan) ? state.bytes : 0,
        opened.source.length,
        () =>
          opened.source.length === undefined && state.ram !== undefined
            ? `, pass ${state.ram.passes}, ${(state.ram.remaining / 1e6).toFixed(0)} MB left` +
              (state.throttle ? `, guest slowed by ${state.throttle} %` : "")
            : "",
      );
      try {
        const migrate = address === undefined ? undefined : () => controls.migrate(address);
        if (!monitored) {
          await migrate!();
          if (digest !== undefined) watch.digest(blockOf(input, room), await digest());
          return;
        }
        return await runMonitored(controls, plan, migrate, stop.signal, signal);
      } finally {
        stop.abort();
      }
    });
  },
};

interface OpenedSource {
  readonly source: StreamSource;
  /** Bytes of the guest's memory. */
  readonly memory: number;
  /** Whether the guest runs, or was recorded. */
  readonly running: boolean;
  /** SHA-256 of the memory, where it can be made. */
  readonly digest?: () => Promise<string>;
  readonly close: Disposable;
}

type SourceOpener = (room: MigrationRoom, signal: AbortSignal) => Promise<OpenedSource>;

function blockOf(input: Input, room: MigrationRoom): string {
  return input.get("guest-block") ?? room.GUEST_BLOCK;
}

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
  if (file === undefined) return (room) => Promise.resolve(makeGuest(input, room, size!));
  const idle = GUEST_FLAGS.find((name) => input.get(name) !== undefined);
  if (idle !== undefined) {
    throw usage(`--${idle} is for the built-in guest`, "add --guest-ram SIZE");
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
    warnOfMismatch(source.summary);
    const memory = source.summary.blocks.reduce((sum, block) => sum + block.usedLength, 0);
    return { source, memory, running: false, close: source };
  };
}

const GUEST_FLAGS = ["dirty-rate", "dirty-set", "guest-machine", "guest-block"] as const;

function makeGuest(input: Input, room: MigrationRoom, size: string): OpenedSource {
  const ram = ofFlag("guest-ram", () => room.parseGuestRam(size));
  const bytes = (flag: "dirty-rate" | "dirty-set") => {
    const text = input.get(flag);
    return text === undefined ? undefined : ofFlag(flag, () => room.parseGuestRam(text));
  };
  const [dirtyRate, workingSet] = [bytes("dirty-rate"), bytes("dirty-set")];
  if (workingSet !== undefined && workingSet > ram) {
    throw usage(
      `--dirty-set ${input.get("dirty-set")} is more than --guest-ram ${size}`,
      `--dirty-set ${size}, or none for all of the memory`,
    );
  }
  const [machine, block] = [input.get("guest-machine"), input.get("guest-block")];
  const guest = room.builtInGuest({
    ram,
    ...(dirtyRate === undefined ? {} : { dirtyRate }),
    ...(workingSet === undefined ? {} : { workingSet }),
    ...(machine === undefined ? {} : { machine }),
    ...(block === undefined ? {} : { block }),
  });
  return {
    source: guest,
    memory: ram,
    running: true,
    digest: guest.digest,
    close: { [Symbol.dispose]: () => {} },
  };
}

/** Tells of what happens; a failure that ends the program is told by whoever ends it. */
function tell(
  room: MigrationRoom,
  source: StreamSource,
  event: SourceEvent,
  monitored: boolean,
  watch: MigrationWatch,
): void {
  switch (event.kind) {
    case "connected":
      return say(
        event.peer.startsWith("file:")
          ? `${event.peer}: saving`
          : `${event.peer}: sending, ${room.describeTls(event.tls)}`,
      );
    case "sent":
      return say("waiting for the destination's acknowledgement");
    case "unanswered":
      return say(
        "no acknowledgement yet: what writes the stream to a file alone will never give one",
        "a destination must answer on the same way, as through `exec:socat - TCP:HOST:PORT`",
        "to save the guest, end this with Ctrl-C and use --migrate file:PATH",
      );
    case "set aside":
      return say(`the earlier file is ${event.file} now`);
    case "spoilt":
      return say(`${event.file} is not whole from byte ${event.offset} on: do not use it`);
    case "failed":
      watch.finish([["machine", source.machine ?? "unknown"]]);
      // Whoever has cancelled it knows why.
      if (event.cancelled) return say("cancelled: the guest goes on");
      return monitored ? sayError("migrate", event.error) : undefined;
    case "completed": {
      const { bytes, elapsed, acknowledged, file } = event.sending;
      const answer = acknowledged === "shut" ? "acknowledged by the destination" : UNACKNOWLEDGED;
      say(
        `completed: ${room.describeSpeed(bytes, elapsed)}, ` +
          `${source.machine ?? "machine type unknown"}, ` +
          (file === undefined
            ? `${room.describeTls(event.tls)}, ${answer}`
            : `whole and on disk in ${file}`),
      );
      watch.finish([
        ["machine", source.machine ?? "unknown"],
        ["channel", room.describeTls(event.tls)],
        ["speed", room.describeSpeed(bytes, elapsed)],
        ["acknowledged", acknowledged === "shut" ? "yes" : "no"],
      ]);
    }
  }
}

/** Does what the monitors say until nobody can say any more; gives the exit code. */
async function runMonitored(
  controls: SourceControls,
  plan: MonitorPlan,
  migrate: (() => Promise<void>) | undefined,
  stop: AbortSignal,
  signal: AbortSignal,
): Promise<number> {
  let last: Promise<number> = Promise.resolve(0);
  const tracked: SourceControls = {
    ...controls,
    migrate(address) {
      const ended = controls.migrate(address);
      last = ended.then(() => 0, () => 1);
      return ended;
    },
  };
  const monitors = await serveMonitors(plan, tracked, AbortSignal.any([signal, stop]));
  const own = migrate === undefined
    ? new Promise<never>(() => {})
    : migrate().then(() => 0, () => 1).then(async (code) => {
      if (hasStdio(plan)) return await new Promise<never>(() => {});
      await monitors.idle();
      return code;
    });
  const aborted = new Promise<never>((_, reject) =>
    signal.addEventListener("abort", () => reject(signal.reason), { once: true })
  );
  const why = await Promise.race([
    own,
    aborted,
    monitors.quit.then(() => "quit" as const),
    monitors.eof.then(() => "eof" as const),
  ]);
  if (typeof why === "number") return why;
  const { status } = controls.state;
  if (why === "quit" && ["setup", "active", "pre-switchover", "cancelling"].includes(status)) {
    controls.cancel();
    await last;
    return 0;
  }
  return await last;
}
