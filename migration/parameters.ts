/** The parameters of a migration that a user sets before it, named as QEMU names them. */

import { MigrationError } from "./error.ts";

/** What is honoured; an empty value is what was never set. */
export interface MigrationParameters {
  /** Id of the credentials object; empty for plain. */
  "tls-creds": string;
  /** What the source checks the certificate against; empty for the host of the address. */
  "tls-hostname": string;
  /** Id of the authorization object that the target asks about the source. */
  "tls-authz": string;
}

/** The other parameters of QEMU 7.2 and later: real ones, that nothing here depends on. */
const UNUSED: ReadonlySet<string> = new Set(
  ("announce-initial announce-max announce-rounds announce-step compress-level " +
    "compress-threads compress-wait-thread decompress-threads throttle-trigger-threshold " +
    "cpu-throttle-initial cpu-throttle-increment cpu-throttle-tailslow max-cpu-throttle " +
    "max-bandwidth avail-switchover-bandwidth downtime-limit x-checkpoint-delay " +
    "block-incremental multifd-channels multifd-compression multifd-zlib-level " +
    "multifd-zstd-level xbzrle-cache-size max-postcopy-bandwidth block-bitmap-mapping " +
    "x-vcpu-dirty-limit-period vcpu-dirty-limit mode zero-page-detection direct-io").split(" "),
);

/** Longest value that is taken. */
const MAX_VALUE = 255;

/** Parameters as a program starts with them. */
export function defaultParameters(): MigrationParameters {
  return { "tls-creds": "", "tls-hostname": "", "tls-authz": "" };
}

/**
 * Sets one parameter.
 *
 * @throws {MigrationError} `PARAMETER` in QEMU's words if there is no such parameter.
 */
export function setParameter(parameters: MigrationParameters, name: string, value: string): void {
  if (!Object.hasOwn(parameters, name)) {
    throw new MigrationError("PARAMETER", {
      option: name,
      text: UNUSED.has(name)
        ? `parameter '${name}' has no effect here and is not taken`
        : `invalid parameter value: ${name}`,
      hint: `one of: ${Object.keys(parameters).join(", ")}`,
    });
  }
  if (value.length > MAX_VALUE || /\p{Cc}/u.test(value)) {
    throw new MigrationError("PARAMETER", {
      option: name,
      text: `parameter '${name}' takes up to ${MAX_VALUE} printable characters`,
      hint: name === "tls-hostname"
        ? "it is a name in the destination's certificate"
        : "it is the id of an --object",
    });
  }
  parameters[name as keyof MigrationParameters] = value;
}
