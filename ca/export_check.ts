/** What is to be exported judged as its reader will judge it, before it leaves. */

import { type Clock, shellWord, systemClock } from "../base/mod.ts";
import {
  checkCredentials,
  type Finding,
  type GivenFile,
  LIBVIRT_PROFILES,
  PROFILES,
} from "../creds/mod.ts";
import type { Engine } from "../engine/mod.ts";
import { CaError } from "./error.ts";
import type { ExportPlan } from "./export.ts";

/** With what it is judged. */
export interface ExportCheckOptions {
  readonly engine: Engine;
  /** Of the host's encrypted keys, which are not judged without it. */
  readonly passphrase?: string | undefined;
  readonly clock?: Clock;
}

/**
 * Refuses an export that no line of QEMU, nor of libvirt where that reads it, would load. What has
 * expired is judged as on its last day, keys that are on the host alone, or encrypted and without
 * their passphrase, not at all.
 *
 * @throws {CaError} `EXPORT`.
 */
export async function checkExport(plan: ExportPlan, options: ExportCheckOptions): Promise<void> {
  const { host, layout, entries, notBefore, notAfter } = plan;
  const dir = `${plan.dir}/hosts/${host}`;
  const files = new Map<string, GivenFile>();
  for (const { source, data, mode } of entries) {
    if (source === undefined || data === undefined) continue;
    const text = new TextDecoder("latin1").decode(data);
    files.set(source.replace(/.*\//, ""), { bytes: data, text, mode });
  }
  const known = { ...plan, encrypted: plan.encrypted && options.passphrase === undefined };
  const now = (options.clock ?? systemClock)();
  const day = now > notAfter ? notAfter : now < notBefore ? notBefore : now;
  const verdicts = await checkCredentials(dir, {
    engine: options.engine,
    clock: () => day,
    profiles: layout.judge === "libvirt" ? [...PROFILES, ...LIBVIRT_PROFILES] : PROFILES,
    given: { files },
    ...(options.passphrase === undefined ? {} : { password: options.passphrase }),
    refusalsOnly: true,
  });
  for (const endpoint of ["server", "client"] as const) {
    const refusals = verdicts.filter((verdict) => verdict.endpoint === endpoint)
      .map(({ findings }) => findings.find((one) => !isKnown(one, known)));
    const mismatch = refusals.find((one) => one?.code === "KEY_MISMATCH");
    const refusal = mismatch ?? (refusals.includes(undefined) ? undefined : refusals[0]);
    if (refusal === undefined) continue;
    const key = `its ${endpoint}-key.pem`;
    if (refusal.code === "KEY_ENCRYPTED") {
      const cause = `the passphrase does not open ${key}`;
      const hint = "give the one that its keys were made with: --host-passphrase-file FILE";
      throw new CaError("EXPORT", { value: host, cause, hint });
    }
    const cause = mismatch === undefined
      ? refusal.message
      : `${key} is not the key of its ${endpoint}-cert.pem`;
    throw new CaError("EXPORT", { value: host, cause, hint: remakeHints(host, plan.dir) });
  }
}

/** What makes a set whole again. */
export function remakeHints(host: string, dir: string): string[] {
  const of = `${host} --dir ${shellWord(dir)}`;
  return [
    `new keys and certificates for it: deno task ca renew ${of} --rekey`,
    `or issue for it anew: deno task ca issue ${of}`,
  ];
}

function isKnown(
  { code, file }: Finding,
  { missing, encrypted }: Pick<ExportPlan, "missing" | "encrypted">,
): boolean {
  if (encrypted && (code === "KEY_ENCRYPTED" || code === "KEY_PASSPHRASE")) return true;
  // The keys that a plan lacks are on the host.
  const isKeyless = missing.some((name) => name.endsWith("-key.pem"));
  return isKeyless &&
    (code === "PAIR_HALF" || code === "FILE_MISSING" && file.endsWith("-key.pem"));
}
