/** The commands of the human monitor that drive a migration, named and worded as QEMU 7.2 does. */

import { VirtcredsError } from "../base/mod.ts";
import { type HmpCommand, type MonitorSession, refused } from "../monitor/mod.ts";
import { CAPABILITY_NAMES, describeCapabilities, setCapability } from "./capabilities.ts";
import {
  cancelMigrate,
  continueMigrate,
  inProgress,
  type MigrationControls,
  startIncoming,
  startMigrate,
  startPostcopy,
} from "./control.ts";
import { addObjectText, removeObject } from "./control_objects.ts";
import { NO_PAUSE, NO_RECOVER, STATES } from "./control_qmp.ts";
import { PARAMETERS } from "./parameter_table.ts";
import { describeParameters, parameterName, setParameter } from "./parameters.ts";
import { describeMigrate } from "./query_migrate.ts";
import { isUnderWay } from "./state.ts";
import { NO_UUID } from "./uuid.ts";

/** The commands for one end of a migration. */
export function migrationHmp(controls: MigrationControls): readonly HmpCommand[] {
  return [...migrateCommands(controls), ...settingCommands(controls), ...guestCommands(controls)];
}

const URI = [{ kind: "string", name: "uri" }] as const;

function migrateCommands(controls: MigrationControls): HmpCommand[] {
  const { state, side } = controls;
  const refuse = (name: string, help: string, why: string, more: Partial<HmpCommand> = {}) => ({
    name,
    help,
    ...more,
    run: () => {
      throw refused(why);
    },
  });
  return [
    {
      name: "migrate",
      parameters: [
        { kind: "flag", name: "detach", letter: "d" },
        { kind: "flag", name: "blk", letter: "b" },
        { kind: "flag", name: "inc", letter: "i" },
        { kind: "flag", name: "resume", letter: "r" },
        ...URI,
      ],
      usage: "[-d] [-b] [-i] [-r] uri",
      help: MIGRATE_HELP,
      run: async (args, session) => {
        const { ended } = startMigrate(controls, session, args.get("uri"), {
          blk: args.on("blk"),
          inc: args.on("inc"),
          resume: args.on("resume"),
        });
        // Why it failed is told by the program itself, and in `info migrate`.
        const end = ended.catch(() => {});
        if (!args.on("detach")) return await waitFor(end, session);
      },
    },
    {
      name: "migrate_incoming",
      parameters: URI,
      usage: "uri",
      help: "Continue an incoming migration from an -incoming defer",
      run: (args, session) => startIncoming(controls, session, args.get("uri")),
    },
    {
      name: "migrate_cancel",
      help: "cancel the current VM migration",
      run: () => cancelMigrate(controls),
    },
    {
      name: "migrate_continue",
      parameters: [{ kind: "string", name: "state" }],
      usage: "state",
      help: "Continue migration from the given paused state",
      complete: () => STATES,
      run: (args) => {
        const name = args.get("state");
        if (!(STATES as readonly string[]).includes(name)) {
          throw refused(`invalid parameter value: ${name}`);
        }
        continueMigrate(controls, name);
      },
    },
    {
      name: "migrate_start_postcopy",
      help: POSTCOPY_HELP,
      run: () => startPostcopy(controls),
    },
    refuse("migrate_pause", "Pause an ongoing migration (postcopy-only)", NO_PAUSE),
    refuse("migrate_recover", "Continue a paused incoming postcopy migration", NO_RECOVER, {
      parameters: URI,
      usage: "uri",
    }),
    {
      name: "info migrate",
      help: "show migration status",
      run: () => describeMigrate(state, side),
    },
  ];
}

async function waitFor(end: Promise<void>, session: MonitorSession): Promise<string | void> {
  // QMP's human-monitor-command must not hold up whoever sent it.
  if (!session.mayWait) {
    return "terminal does not allow synchronous migration, continuing detached";
  }
  await end;
}

function settingCommands(controls: MigrationControls): HmpCommand[] {
  const { state, parameters, capabilities, side } = controls;
  const set: Omit<HmpCommand, "name"> = {
    parameters: [{ kind: "string", name: "parameter" }, { kind: "string", name: "value" }],
    usage: "parameter value",
    help: "Set the parameter for migration",
    complete: (words) => words.length === 0 ? Object.keys(PARAMETERS) : [],
    run: (args) =>
      quoted(() =>
        setParameter(
          parameters,
          parameterName(args.get("parameter")),
          args.get("value"),
        )
      ),
  };
  return [
    { name: "migrate_set_parameter", ...set },
    { name: "migrate_set_str_parameter", ...set, help: "old spelling of migrate_set_parameter" },
    {
      name: "migrate_set_capability",
      parameters: [{ kind: "string", name: "capability" }, { kind: "bool", name: "state" }],
      usage: "capability state",
      help: "Enable/Disable the usage of a capability for migration",
      complete: (words) => words.length === 0 ? CAPABILITY_NAMES : ["on", "off"],
      run: (args) =>
        quoted(() => {
          if (isUnderWay(state) && side === "source") throw inProgress();
          setCapability(capabilities, args.get("capability"), args.on("state"), parameters);
        }),
    },
    {
      name: "info migrate_parameters",
      help: "show current migration parameters",
      run: () => describeParameters(parameters),
    },
    {
      name: "info migrate_capabilities",
      help: "show current migration capabilities",
      run: () => describeCapabilities(capabilities),
    },
  ];
}

function guestCommands({ run, objects, uuid }: MigrationControls): HmpCommand[] {
  return [
    {
      name: "object_add",
      parameters: [{ kind: "rest", name: "object" }],
      usage: "[qom-type=]type,id=str[,prop=value][,...]",
      help: "create QOM object",
      run: (args) => addObjectText(objects, args.get("object")),
    },
    {
      name: "object_del",
      parameters: [{ kind: "string", name: "id" }],
      usage: "id",
      help: "destroy QOM object",
      run: (args) => removeObject(objects, args.get("id")),
    },
    { name: "stop|s", help: "stop emulation", run: () => run.stop() },
    { name: "cont|c", help: "resume emulation", run: () => run.cont() },
    {
      name: "info status",
      help: "show the current VM status (running|paused)",
      run: () => `VM status: ${describeRun(run)}`,
    },
    { name: "info name", help: "show the current VM name", run: () => "" },
    {
      name: "info uuid",
      help: "show the current VM UUID",
      run: () => uuid ?? NO_UUID,
    },
  ];
}

function describeRun({ status, running }: MigrationControls["run"]): string {
  if (running) return "running";
  return status === "paused" ? "paused" : `paused (${status})`;
}

/** QEMU's words alone: hints are for the command line. */
function quoted(work: () => void): void {
  try {
    work();
  } catch (error) {
    if (error instanceof VirtcredsError) throw refused(error.message);
    throw error;
  }
}

const MIGRATE_HELP = [
  "migrate to URI (using -d to not wait for completion)",
  "\t\t\t -b for migration without shared storage with full copy of disk",
  "\t\t\t -i for migration without shared storage with incremental copy of disk " +
  "(base image shared between src and destination)",
  "\t\t\t -r to resume a paused migration",
].join("\n");

const POSTCOPY_HELP =
  "Followup to a migration command to switch the migration to postcopy mode. The postcopy-ram " +
  "capability must be set on both source and destination before the original migration command .";
