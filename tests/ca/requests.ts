/** An authority and the requests of hosts, for the tests of what becomes of them. */

import { assert, assertEquals } from "@std/assert";
import {
  initAuthority,
  makeHostKeys,
  type SignOptions,
  type SignOutcome,
  signRequests,
} from "../../ca/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";

export const engine = await chooseEngine();

/** An authority, and a host that has asked it. */
export interface Staged {
  readonly dir: string;
  readonly keys: Awaited<ReturnType<typeof makeHostKeys>>;
  sign(options?: Partial<SignOptions>): Promise<readonly SignOutcome[]>;
}

/** Makes an authority, and a host's request for names. */
export async function stage(
  path: string,
  host = "vm1.example",
  dns: readonly string[] = ["vm1"],
  ip: readonly string[] = ["192.0.2.7"],
): Promise<Staged> {
  const dir = `${path}/pki`;
  await initAuthority({ dir, engine });
  const keys = await makeHostKeys({ host, dns, ip, out: `${path}/keys`, engine });
  const sign = (options: Partial<SignOptions> = {}) =>
    signRequests({ dir, engine, files: [keys.request], ...options });
  return { dir, keys, sign };
}

export function only(outcomes: readonly SignOutcome[]): SignOutcome {
  assertEquals(outcomes.length, 1);
  return outcomes[0]!;
}

export function granted(outcomes: readonly SignOutcome[]): Extract<SignOutcome, { ok: true }> {
  const outcome = only(outcomes);
  assert(outcome.ok, outcome.ok ? "" : outcome.error.message);
  return outcome;
}
