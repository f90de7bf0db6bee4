/** The commands of QMP that drive a migration, with the arguments and answers of QEMU 7.2. */

import {
  anything,
  bool,
  listOf,
  type Members,
  oneOf,
  optional,
  type QmpCommand,
  qmpCommand,
  refused,
  type Shape,
  struct,
  text,
  textOrNull,
  unsigned,
} from "../monitor/mod.ts";
import { CAPABILITY_NAMES, type MigrationCapabilities, setCapabilities } from "./capabilities.ts";
import {
  cancelMigrate,
  continueMigrate,
  inProgress,
  type MigrationControls,
  startIncoming,
  startMigrate,
  startPostcopy,
} from "./control.ts";
import { addObject, removeObject } from "./control_objects.ts";
import { PARAMETERS, type ParameterSpec } from "./parameter_table.ts";
import { type MigrationParameters, setParameters } from "./parameters.ts";
import { queryMigrate } from "./query_migrate.ts";
import { isUnderWay } from "./state.ts";
import { NO_UUID } from "./uuid.ts";

/** The commands for one end of a migration. */
export function migrationQmp(controls: MigrationControls): readonly QmpCommand[] {
  const { state, parameters, capabilities, objects, run } = controls;
  return [
    qmpCommand({
      name: "migrate",
      members: {
        uri: text,
        blk: optional(bool),
        inc: optional(bool),
        detach: optional(bool),
        resume: optional(bool),
      },
      run: ({ uri, ...options }, session) => {
        const { ended } = startMigrate(controls, session, uri, options);
        // Its end shows in query-migrate.
        ended.catch(() => {});
      },
    }),
    qmpCommand({
      name: "migrate-incoming",
      members: { uri: text },
      run: ({ uri }, session) => startIncoming(controls, session, uri),
    }),
    qmpCommand({ name: "migrate_cancel", run: () => cancelMigrate(controls) }),
    qmpCommand({
      name: "migrate-continue",
      members: { state: oneOf(STATES) },
      run: (args) => continueMigrate(controls, args.state),
    }),
    ...postcopyCommands(controls),
    qmpCommand({
      name: "migrate-set-parameters",
      members: PARAMETER_SHAPES,
      run: (args) => setParameters(parameters, parameterValues(args)),
    }),
    qmpCommand({
      name: "migrate-set-capabilities",
      members: {
        capabilities: listOf(struct({ capability: oneOf(CAPABILITY_NAMES), state: bool })),
      },
      run: (args) => {
        if (isUnderWay(state) && controls.side === "source") throw inProgress();
        const values = args.capabilities.map((one) => [one.capability, one.state]);
        setCapabilities(
          capabilities,
          Object.fromEntries(values) as Partial<MigrationCapabilities>,
          parameters,
        );
      },
    }),
    qmpCommand({ name: "query-migrate", run: () => queryMigrate(state, controls.side) }),
    qmpCommand({ name: "query-migrate-parameters", run: () => ({ ...parameters }) }),
    qmpCommand({
      name: "query-migrate-capabilities",
      run: () =>
        CAPABILITY_NAMES.map((capability) => ({ state: capabilities[capability], capability })),
    }),
    qmpCommand({
      name: "query-status",
      run: () => ({ status: run.status, singlestep: false, running: run.running }),
    }),
    qmpCommand({ name: "stop", run: () => run.stop() }),
    qmpCommand({ name: "cont", run: () => run.cont() }),
    {
      name: "object-add",
      args: struct({ "qom-type": text, id: text }).schema,
      run: async (args) => {
        await addObject(objects, args);
        return {};
      },
    },
    qmpCommand({
      name: "object-del",
      members: { id: text },
      run: ({ id }) => removeObject(objects, id),
    }),
    qmpCommand({ name: "query-name", run: () => ({}) }),
    qmpCommand({
      name: "query-uuid",
      run: () => ({ UUID: controls.uuid ?? NO_UUID }),
    }),
    qmpCommand({ name: "query-kvm", run: () => ({ enabled: false, present: false }) }),
    qmpCommand({ name: "query-chardev", run: () => [] }),
    qmpCommand({ name: "query-block", run: () => [] }),
  ];
}

/** The commands of post-copy, which a source of ours never enters. */
function postcopyCommands(controls: MigrationControls): QmpCommand[] {
  const refuse = (name: string, why: string, members: Members = {}) =>
    qmpCommand({
      name,
      members,
      oob: true,
      run: () => {
        throw refused(why);
      },
    });
  return [
    qmpCommand({ name: "migrate-start-postcopy", run: () => startPostcopy(controls) }),
    refuse("migrate-pause", NO_PAUSE),
    refuse("migrate-recover", NO_RECOVER, { uri: text }),
  ];
}

/** What QEMU answers as long as there is no post-copy. */
export const NO_PAUSE = "migrate-pause is currently only supported during postcopy-active state";
export const NO_RECOVER = "Migrate recover can only be run when postcopy is paused.";

/** The states that `migrate-continue` takes by name. */
export const STATES = [
  "none",
  "setup",
  "cancelling",
  "cancelled",
  "active",
  "postcopy-active",
  "postcopy-paused",
  "postcopy-recover",
  "completed",
  "failed",
  "colo",
  "pre-switchover",
  "device",
  "wait-unplug",
] as const;

/** The parameters as arguments, in QEMU's order. */
const PARAMETER_SHAPES: Members = {
  ...Object.fromEntries(
    Object.entries<ParameterSpec>(PARAMETERS).map((
      [name, spec],
    ) => [name, optional(shapeOf(spec))]),
  ),
  "block-bitmap-mapping": optional(listOf(anything)),
};

function shapeOf(spec: ParameterSpec): Shape<unknown> {
  switch (spec.kind) {
    case "text":
      return textOrNull;
    case "flag":
      return bool;
    case "word":
      return oneOf(spec.words);
    case "number":
      return unsigned(spec.bits);
  }
}

function parameterValues(args: Readonly<Record<string, unknown>>): Partial<MigrationParameters> {
  const { "block-bitmap-mapping": _, ...values } = args;
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [
      name,
      typeof value === "bigint" ? Number(value) : value,
    ]),
  ) as Partial<MigrationParameters>;
}
