/** The errors of a monitor: what a command answers, and what keeps a monitor from being served. */

import { type ErrorText, VirtcredsError } from "../base/mod.ts";

const MONITOR_ERRORS = {
  GENERIC: (f) => f.text ?? `${f.cause}`,
  COMMAND_NOT_FOUND: (f) => f.text ?? `The command ${f.value} has not been found`,
  DEVICE_NOT_FOUND: (f) => f.text ?? `Device '${f.value}' not found`,
  LINE: (f) => f.text ?? `${f.cause}`,
  SERVE: (f) => f.text ?? `cannot serve a monitor on '${f.value}': ${f.cause}`,
} satisfies Record<string, ErrorText>;

/** The codes of `monitor`. */
export type MonitorErrorCode = keyof typeof MONITOR_ERRORS;

/** An error of a monitor; those of commands are in QEMU's words. */
export class MonitorError extends VirtcredsError {
  override readonly name = "MonitorError";

  constructor(
    readonly code: MonitorErrorCode,
    facts: ConstructorParameters<typeof VirtcredsError>[2] = {},
    options?: ErrorOptions,
  ) {
    super(MONITOR_ERRORS, code, facts, options);
  }

  override get exitCode(): 1 | 2 {
    return this.code === "SERVE" ? 2 : 1;
  }
}

/** The error that most commands answer with: QEMU's `GenericError`. */
export function refused(text: string): MonitorError {
  return new MonitorError("GENERIC", { text });
}

/** QEMU's class of an error (qapi/error.json, `QapiErrorClass`). */
export function errorClass(error: unknown): string {
  const code = error instanceof MonitorError ? error.code : "GENERIC";
  const classes: { readonly [code in MonitorErrorCode]?: string } = {
    COMMAND_NOT_FOUND: "CommandNotFound",
    DEVICE_NOT_FOUND: "DeviceNotFound",
  };
  return classes[code] ?? "GenericError";
}
