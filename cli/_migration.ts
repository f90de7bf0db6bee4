/** What the commands of migration share: flags and parameters. */

import type { ObjectRegistry } from "../creds/mod.ts";
import type {
  MigrationCapabilities,
  MigrationParameters,
  StreamSummary,
} from "../migration/mod.ts";
import { type Flag, type Input, usage } from "./_command.ts";
import { say } from "./_console.ts";
import { isMonitored, MONITOR_FLAGS } from "./_migration_monitor.ts";
import { makeObjects, OBJECT_FLAGS } from "./_objects.ts";

/** Flags of both programs. */
export const MIGRATION_FLAGS: readonly Flag[] = [
  ...OBJECT_FLAGS,
  { name: "tls-creds", value: "ID", help: "the credentials object; plain TCP without it" },
  ...MONITOR_FLAGS,
  {
    name: "capability",
    value: "NAME=on|off",
    repeat: true,
    help: "a capability of the migration, as QEMU names it: multifd, auto-converge, …",
  },
  {
    name: "parameter",
    value: "NAME=VALUE",
    repeat: true,
    help: "a parameter of the migration, as QEMU names it: multifd-channels, max-bandwidth, …",
  },
  {
    name: "idle-timeout",
    value: "SECONDS",
    default: "600",
    help: "longest silence of the peer within a migration",
  },
];

/** The most that `--idle-timeout` takes, in seconds. */
const MAX_IDLE = 86_400;

/** Longest silence in ms. */
export function idleTimeout(input: Input): number {
  return input.number("idle-timeout", 1, MAX_IDLE)! * 1000;
}

/** Parameters as the flags set them. */
export function readParameters(input: Input, room: MigrationRoom): MigrationParameters {
  const parameters = room.defaultParameters();
  for (const name of ["tls-creds", "tls-hostname", "tls-authz"] as const) {
    const value = input.get(name);
    if (value !== undefined) room.setParameter(parameters, name, value);
  }
  for (const text of input.all("parameter")) {
    const [, name, value] = splitSetting("parameter", text, "multifd-channels=4");
    room.setParameter(parameters, name, value);
  }
  return parameters;
}

/** Capabilities as the flags set them. */
export function readCapabilities(input: Input, room: MigrationRoom): MigrationCapabilities {
  const capabilities = room.defaultCapabilities();
  for (const text of input.all("capability")) {
    const [, name, value] = splitSetting("capability", text, "multifd=on");
    if (value !== "on" && value !== "off") {
      throw usage(
        `--capability ${name} takes on or off, not '${value}'`,
        `--capability ${name}=on`,
      );
    }
    room.setCapability(capabilities, name, value === "on");
  }
  return capabilities;
}

function splitSetting(flag: string, text: string, example: string): [string, string, string] {
  const match = /^([^=]+)=(.*)$/s.exec(text);
  if (match !== null) return [text, match[1]!, match[2]!];
  throw usage(`--${flag} takes NAME=VALUE, not '${text}'`, `for example: --${flag} ${example}`);
}

/**
 * Makes the objects of the flags. A monitor may still name the credentials; without one, those
 * that `--tls-creds` does not name stay without use.
 *
 * @throws {BaseError} `USAGE` if nothing uses the credentials.
 */
export async function makeMigrationObjects(input: Input): Promise<ObjectRegistry> {
  const isNamed = input.get("tls-creds") !== undefined || isMonitored(input);
  return await makeObjects(input, isNamed ? undefined : (id) => `add --tls-creds ${id}`);
}

/** The room, loaded when a command runs. */
export type MigrationRoom = typeof import("../migration/mod.ts");

/**
 * Warns of a stream whose description says other than the stream: a QEMU skips the description and
 * takes the guest, so it is not refused.
 */
export function warnOfMismatch({ validation }: StreamSummary): void {
  if (validation?.kind !== "mismatch") return;
  say(
    `warning: the devices are not verified: ${validation.cause}`,
    "a QEMU reads the devices without the description: try it there with -S before you rely on it",
    "where the guest still runs, migrate it again",
  );
}

/** The text of an error, whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
