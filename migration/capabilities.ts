/** What a migration is to be able to do, named as QEMU names it. */

import { MigrationError } from "./error.ts";
import type { MigrationParameters } from "./parameters.ts";

/**
 * The capabilities of QEMU 7.2, in its order: `kept` ones are honoured, `idle` ones change nothing
 * here (there are no disks and no RDMA), and `absent` ones would change the stream and cannot be
 * switched on.
 */
const CAPABILITIES = {
  xbzrle: "absent",
  "rdma-pin-all": "idle",
  /** Slow a guest down that writes faster than it can be sent. */
  "auto-converge": "kept",
  "zero-blocks": "idle",
  compress: "absent",
  /** Tell of each state and pass over QMP. */
  events: "kept",
  /** Let a source switch to post-copy. */
  "postcopy-ram": "kept",
  "x-colo": "absent",
  "release-ram": "idle",
  block: "absent",
  /** Have the destination acknowledge the end. */
  "return-path": "kept",
  /** Wait for `migrate-continue` before the guest stands still for good. */
  "pause-before-switchover": "kept",
  /** Send pages on connections of their own. */
  multifd: "kept",
  "dirty-bitmaps": "idle",
  "postcopy-blocktime": "idle",
  "late-block-activate": "idle",
  "x-ignore-shared": "absent",
  "validate-uuid": "absent",
  "background-snapshot": "absent",
  "zero-copy-send": "absent",
  /** A target takes what comes on a connection of urgent pages, whether this is on or not. */
  "postcopy-preempt": "idle",
} as const;

/** The name of a capability. */
export type CapabilityName = keyof typeof CAPABILITIES;

/** The names in QEMU's order. */
export const CAPABILITY_NAMES: readonly CapabilityName[] = Object.keys(
  CAPABILITIES,
) as CapabilityName[];

/** All capabilities, and whether each is on. */
export type MigrationCapabilities = { [N in CapabilityName]: boolean };

/** All off, as QEMU starts. */
export function defaultCapabilities(): MigrationCapabilities {
  const entries = CAPABILITY_NAMES.map((name) => [name, false]);
  return Object.fromEntries(entries) as MigrationCapabilities;
}

/**
 * Switches a capability.
 *
 * @throws {MigrationError} `PARAMETER` in QEMU's words if there is no such capability, or it could
 * not be kept to.
 */
export function setCapability(
  capabilities: MigrationCapabilities,
  name: string,
  on: boolean,
  parameters?: Readonly<MigrationParameters>,
): void {
  if (!Object.hasOwn(CAPABILITIES, name)) {
    throw refusal(name, `invalid parameter value: ${name}`, DOING);
  }
  setCapabilities(capabilities, { [name]: on }, parameters);
}

/**
 * Switches capabilities together: all of them, or with an error none.
 *
 * @param parameters What they must get along with.
 * @throws {MigrationError} `PARAMETER` in QEMU's words.
 */
export function setCapabilities(
  capabilities: MigrationCapabilities,
  values: Partial<MigrationCapabilities>,
  parameters?: Readonly<MigrationParameters>,
): void {
  const all = { ...capabilities, ...values };
  checkCapabilities(all, parameters);
  const absent = CAPABILITY_NAMES.find((name) => values[name] && CAPABILITIES[name] === "absent");
  if (absent !== undefined) {
    throw refusal(
      absent,
      `capability '${absent}' is not supported here and cannot be switched on`,
      DOING,
    );
  }
  Object.assign(capabilities, values);
}

/** The capabilities as `info migrate_capabilities` shows them. */
export function describeCapabilities(capabilities: Readonly<MigrationCapabilities>): string {
  return CAPABILITY_NAMES.map((name) => `${name}: ${capabilities[name] ? "on" : "off"}`).join("\n");
}

/** What does not go together (migration/migration.c of 7.2, `migrate_caps_check`). */
function checkCapabilities(
  all: Readonly<MigrationCapabilities>,
  parameters: Readonly<MigrationParameters> | undefined,
): void {
  const fail = (name: CapabilityName, text: string) => {
    throw refusal(name, text);
  };
  if (all["postcopy-ram"] && all["x-ignore-shared"]) {
    fail("postcopy-ram", "Postcopy is not compatible with ignore-shared");
  }
  if (all["background-snapshot"]) {
    const other = NOT_WITH_SNAPSHOT.find((name) => all[name]);
    if (other !== undefined) {
      fail("background-snapshot", `Background-snapshot is not compatible with ${other}`);
    }
  }
  const isCompressed = all.compress || all.xbzrle ||
    (parameters !== undefined && parameters["multifd-compression"] !== "none");
  const isSecured = parameters !== undefined && parameters["tls-creds"] !== "";
  if (all["zero-copy-send"] && (!all.multifd || isCompressed || isSecured)) {
    fail(
      "zero-copy-send",
      "Zero copy only available for non-compressed non-TLS multifd migration",
    );
  }
  if (all["postcopy-preempt"] && !all["postcopy-ram"]) {
    fail("postcopy-preempt", "Postcopy preempt requires postcopy-ram");
  }
  if (all["postcopy-preempt"] && all.compress) {
    fail("postcopy-preempt", "Postcopy preempt not compatible with compress");
  }
  if (all.multifd && all.compress) fail("multifd", "Multifd is not compatible with compress");
}

const NOT_WITH_SNAPSHOT: readonly CapabilityName[] = [
  "postcopy-ram",
  "dirty-bitmaps",
  "postcopy-blocktime",
  "late-block-activate",
  "return-path",
  "multifd",
  "pause-before-switchover",
  "auto-converge",
  "release-ram",
  "rdma-pin-all",
  "compress",
  "xbzrle",
  "x-colo",
  "validate-uuid",
  "zero-copy-send",
];

/** The capabilities that a user may want, as a hint. */
const DOING = `those that do something: ${
  CAPABILITY_NAMES.filter((name) => CAPABILITIES[name] === "kept").join(", ")
}`;

function refusal(option: string, text: string, ...hint: string[]): MigrationError {
  return new MigrationError("PARAMETER", { option, text, hint });
}
