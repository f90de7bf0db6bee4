/** The commands of the two programs' monitors, named and worded as QEMU's. */

import { parseTransport, type Transport } from "../channel/mod.ts";
import { MigrationError } from "./error.ts";
import type { MonitorCommand } from "./monitor.ts";
import { type MigrationParameters, setParameter } from "./parameters.ts";
import { describeState, type MigrationState } from "./state.ts";

/** What both monitors show and set. */
export interface MonitorSubject {
  readonly state: MigrationState;
  readonly parameters: MigrationParameters;
}

/** What a target's monitor can have done. */
export interface TargetControls extends MonitorSubject {
  /** Starts to listen; settles when it does. */
  incoming(address: Transport): Promise<void>;
}

/** What a source's monitor can have done. */
export interface SourceControls extends MonitorSubject {
  /** Migrates; settles with its end, rejects where it fails. Nobody waits for a detached one. */
  migrate(address: Transport, detached: boolean): Promise<void>;
  /** Breaks a migration off; does nothing where there is none. */
  cancel(): void;
}

/** The commands of a target. */
export function targetCommands(controls: TargetControls): MonitorCommand[] {
  let started = controls.state.status !== "none";
  return [
    ...sharedCommands(controls, "paused (inmigrate)"),
    {
      name: "migrate_incoming",
      parameters: [{ name: "uri" }],
      help: "Continue an incoming migration from an -incoming defer",
      async run({ values }) {
        if (started) {
          throw refusal(
            "The incoming migration has already been started",
            "`info migrate` shows where it listens",
          );
        }
        const address = parseTransport(values[0]!);
        started = true;
        try {
          await controls.incoming(address);
        } catch (error) {
          started = false;
          throw error;
        }
      },
    },
  ];
}

/** The commands of a source. */
export function sourceCommands(controls: SourceControls): MonitorCommand[] {
  const { state } = controls;
  return [
    ...sharedCommands(controls, "running"),
    {
      name: "migrate",
      flags: "d",
      parameters: [{ name: "uri" }],
      help: "migrate to URI (using -d to not wait for completion)",
      async run({ flags, values }) {
        if (state.status === "active" || state.status === "setup") {
          throw refusal(
            "There's a migration process in progress",
            "`info migrate` shows how far it is, `migrate_cancel` ends it",
          );
        }
        const ended = controls.migrate(parseTransport(values[0]!), flags.has("d"));
        if (!flags.has("d")) await ended;
      },
    },
    {
      name: "migrate_cancel",
      help: "cancel the current VM migration",
      run: () => controls.cancel(),
    },
  ];
}

function sharedCommands(
  { state, parameters }: MonitorSubject,
  runState: string,
): MonitorCommand[] {
  const set: Omit<MonitorCommand, "name"> = {
    parameters: [{ name: "parameter" }, { name: "value" }],
    help: "Set the parameter for migration",
    run: ({ values }) => setParameter(parameters, values[0]!, values[1]!),
  };
  return [
    { name: "migrate_set_parameter", ...set },
    { name: "migrate_set_str_parameter", ...set, help: "old spelling of migrate_set_parameter" },
    {
      name: "info migrate",
      help: "show migration status",
      run: () => describeState(state),
    },
    {
      name: "info migrate_parameters",
      help: "show current migration parameters",
      run: () => Object.entries(parameters).map(([k, v]) => `${k}: '${v}'`).join("\n"),
    },
    {
      name: "info status",
      help: "show the current VM status (running|paused)",
      run: () => `VM status: ${runState}`,
    },
  ];
}

function refusal(text: string, hint: string): MigrationError {
  return new MigrationError("REFUSED", { text, hint });
}
