/**
 * TLS credentials for virtualization hosts, and the services that use them. Importing this opens
 * nothing: no file, no socket, no library.
 *
 * @example The DN string to paste into an authorization rule
 * ```ts
 * import { creds } from "@virtcreds/virtcreds";
 * import { assertEquals } from "@std/assert";
 *
 * const name = Uint8Array.fromHex("300f310d300b06035504030c04612c2062");
 * assertEquals(creds.dnText(name), "CN=a\\, b");
 * ```
 *
 * @module
 */

import type { BaseErrorCode } from "./base/mod.ts";
import type { CaErrorCode } from "./ca/mod.ts";
import type { ChannelErrorCode } from "./channel/mod.ts";
import type { ChardevErrorCode } from "./chardev/mod.ts";
import type { CredsErrorCode } from "./creds/mod.ts";
import type { EngineErrorCode } from "./engine/mod.ts";
import type { MigrationErrorCode } from "./migration/mod.ts";
import type { MonitorErrorCode } from "./monitor/mod.ts";

export * as base from "./base/mod.ts";
export * as ca from "./ca/mod.ts";
export * as channel from "./channel/mod.ts";
export * as chardev from "./chardev/mod.ts";
export * as creds from "./creds/mod.ts";
export * as engine from "./engine/mod.ts";
export * as migration from "./migration/mod.ts";
export * as monitor from "./monitor/mod.ts";

/** Every code that an error of this toolkit can have. */
export type ErrorCode =
  | BaseErrorCode
  | CaErrorCode
  | ChannelErrorCode
  | ChardevErrorCode
  | CredsErrorCode
  | EngineErrorCode
  | MigrationErrorCode
  | MonitorErrorCode;
