/** Which monitor this one is like. */

import { VERSION } from "../base/mod.ts";
import type { JsonObject } from "./json.ts";

/** The release of QEMU whose commands, texts and errors these are; clients ask for it. */
export const MONITOR_VERSION = { qemu: { micro: 22, minor: 2, major: 7 } } as const;

/** What `query-version` answers: whose words these are, and who says them. */
export function versionInfo(): JsonObject {
  return { ...MONITOR_VERSION, package: `virtcreds ${VERSION}` };
}
