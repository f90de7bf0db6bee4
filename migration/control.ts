/** What a monitor drives: one end of a migration, with all that can be set, asked and done. */

import { parseTransport, type Transport } from "../channel/mod.ts";
import type { ObjectRegistry } from "../creds/mod.ts";
import { type EventHub, type MonitorSession, refused } from "../monitor/mod.ts";
import type { MigrationCapabilities } from "./capabilities.ts";
import type { MigrationParameters } from "./parameters.ts";
import { endState, isUnderWay, type MigrationState, setStatus } from "./state.ts";
import type { RunState } from "./run_state.ts";

/** What both ends have. */
interface Controls {
  readonly state: MigrationState;
  readonly parameters: MigrationParameters;
  readonly capabilities: MigrationCapabilities;
  readonly objects: ObjectRegistry;
  readonly run: RunState;
  /** UUID of the guest, where it has one. */
  readonly uuid?: string;
  readonly events: EventHub;
  /** Breaks a migration off; does nothing where there is none. */
  cancel(): void;
}

/** A source as a monitor sees it. */
export interface SourceControls extends Controls {
  readonly side: "source";
  /** Migrates; settles with its end, rejects where it fails. */
  migrate(address: Transport): Promise<void>;
  /** Lets a migration go on that waits in `pre-switchover`. */
  switchOver(): void;
}

/** A target as a monitor sees it. */
export interface TargetControls extends Controls {
  readonly side: "target";
  /** Starts to listen; settles when it does. */
  incoming(address: Transport): Promise<void>;
  /** Whether it listens, or has. */
  isStarted: boolean;
}

/** One end of a migration as a monitor sees it. */
export type MigrationControls = SourceControls | TargetControls;

/** The events that may come. */
export const MIGRATION_EVENTS = [
  "MIGRATION",
  "MIGRATION_PASS",
  "STOP",
  "RESUME",
  "SHUTDOWN",
] as const;

/** Tells over QMP of each status and pass while the capability `events` is on. */
export function tellEvents(
  { state, capabilities, events }: Pick<MigrationControls, "state" | "capabilities" | "events">,
): void {
  state.onStatus = (status) => {
    if (capabilities.events) events.emit("MIGRATION", { status });
  };
  state.onPass = (pass) => {
    if (capabilities.events) events.emit("MIGRATION_PASS", { pass });
  };
}

/** What `migrate` is told beside the URI. */
export interface MigrateOptions {
  readonly blk?: boolean | undefined;
  readonly inc?: boolean | undefined;
  readonly resume?: boolean | undefined;
}

/**
 * Starts a migration (migration/migration.c, `qmp_migrate`).
 *
 * @returns Settles with its end.
 * @throws {MonitorError} `GENERIC` in QEMU's words if it cannot begin.
 */
export function startMigrate(
  controls: MigrationControls,
  session: MonitorSession,
  uri: string,
  options: MigrateOptions = {},
): { readonly ended: Promise<void> } {
  const { state, run } = controls;
  if (options.resume) throw refused("Cannot resume if there is no paused migration");
  if (isUnderWay(state) && controls.side === "source") throw inProgress();
  if (controls.side === "target") throw refused("Guest is waiting for an incoming migration");
  if (run.status === "postmigrate") {
    throw refused("Can't migrate the vm that was paused due to previous migration");
  }
  if (options.blk || options.inc) {
    throw refused("capability 'block' is not supported here: there are no disks to copy");
  }
  return { ended: controls.migrate(transportOf(uri, session, controls)) };
}

/**
 * Starts to listen after `--incoming defer` (`qmp_migrate_incoming`).
 *
 * @throws {MonitorError} `GENERIC` in QEMU's words, {@linkcode ChannelError} if it cannot listen.
 */
export async function startIncoming(
  controls: MigrationControls,
  session: MonitorSession,
  uri: string,
): Promise<void> {
  if (controls.side === "source") {
    throw refused("'-incoming' was not specified on the command line");
  }
  if (controls.isStarted) throw refused("The incoming migration has already been started");
  controls.isStarted = true;
  try {
    // QEMU tells this one whether or not anybody wants to hear of events.
    controls.events.emit("MIGRATION", { status: "setup" });
    await controls.incoming(transportOf(uri, session));
  } catch (error) {
    controls.isStarted = false;
    throw error;
  }
}

/** `migrate_cancel`. */
export function cancelMigrate(controls: MigrationControls): void {
  if (!isUnderWay(controls.state) || controls.side === "target") return;
  setStatus(controls.state, "cancelling");
  controls.cancel();
}

/**
 * `migrate-continue`.
 *
 * @throws {MonitorError} `GENERIC` in QEMU's words if the migration is not in that state.
 */
export function continueMigrate(controls: MigrationControls, status: string): void {
  const { state } = controls;
  if (state.status !== status || status !== "pre-switchover" || controls.side === "target") {
    throw refused(`Migration not in expected state: ${shownStatus(controls)}`);
  }
  controls.switchOver();
}

/** A target that waits is in no state yet for QEMU. */
function shownStatus({ state, side }: MigrationControls): string {
  return side === "target" ? "none" : state.status;
}

/** The error of a change that must wait for the migration's end. */
export function inProgress(): Error {
  return refused("There's a migration process in progress");
}

/**
 * Refuses the switch to post-copy, in QEMU's words where it would refuse it, too.
 *
 * @throws {MonitorError} `GENERIC`.
 */
export function startPostcopy({ capabilities, side, state }: MigrationControls): never {
  if (!capabilities["postcopy-ram"]) {
    throw refused("Enable postcopy with migrate_set_capability before the start of migration");
  }
  if (side === "target" || state.status === "none") {
    throw refused("Postcopy must be started after migration has been started");
  }
  throw refused(
    "post-copy is not supported by this source: it sends all of the guest before the switch",
  );
}

/**
 * Reads a URI; a descriptor that `getfd` has named is taken out of the session.
 *
 * @param controls A source's, which has failed then; the failure shows as QEMU's does.
 */
function transportOf(
  uri: string,
  session: MonitorSession,
  controls?: SourceControls,
): Transport {
  try {
    if (controls !== undefined && !/^(tcp|unix|exec|fd|file):/.test(uri)) {
      throw refused("Parameter 'uri' expects a valid migration protocol");
    }
    const transport = parseTransport(uri);
    if (transport.kind !== "fd") return transport;
    // A number is one that a target has inherited; a source takes names alone.
    if (/^\d/.test(transport.name) && controls === undefined) return transport;
    const number = session.descriptors.take(transport.name);
    if (number !== undefined) return { ...transport, number };
    throw refused(`File descriptor named '${transport.name}' has not been found`);
  } catch (error) {
    if (controls !== undefined) {
      const text = error instanceof Error ? error.message : String(error);
      endState(controls.state, "failed", /^Parameter 'uri'/.test(text) ? undefined : text);
    }
    throw error;
  }
}
