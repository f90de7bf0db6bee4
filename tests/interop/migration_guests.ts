/** Guests of real QEMUs: memory that can be looked at afterwards, and the way of post-copy. */

import { assertEquals, assertMatch } from "@std/assert";
import { createHash } from "node:crypto";
import { migrationEnd } from "../../migration/qmp_client.ts";
import type { startTarget } from "../migration/programs.ts";
import type { Qemu } from "../support/qemu.ts";

const MiB = 2 ** 20;

/** Writes noise with holes, so that there are pages of both kinds; gives its SHA-256. */
export function writeMemory(file: string, size: number): string {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 65_536) {
    if (at % (3 * 65_536) !== 0) crypto.getRandomValues(bytes.subarray(at, at + 40_960));
  }
  Deno.writeFileSync(file, bytes);
  return createHash("sha256").update(bytes).digest("hex");
}

/** Arguments that make a file a guest's memory, by the name `m0`; private unless shared. */
export const memoryFile = (file: string, size: number, share = false): string[] => [
  "-object",
  `memory-backend-file,id=m0,size=${size},mem-path=${file},share=${share ? "on" : "off"}`,
];

/** Migrates to a target with a switch to post-copy that must succeed; gives what QEMU counted. */
export async function arrivesByPostcopy(
  { qmp }: Qemu,
  target: Awaited<ReturnType<typeof startTarget>>,
  capabilities: readonly string[] = [],
): Promise<{ readonly "postcopy-requests": number; readonly "postcopy-bytes": number }> {
  await qmp.execute("migrate-set-capabilities", {
    capabilities: ["postcopy-ram", ...capabilities].map((capability) => ({
      capability,
      state: true,
    })),
  });
  // Slow before the switch, so that most of the memory is left for afterwards, and after it too.
  await qmp.execute("migrate-set-parameters", {
    "max-bandwidth": 1 * MiB,
    "max-postcopy-bandwidth": 20 * MiB,
  });
  await qmp.execute("migrate", { uri: target.uri });
  await target.says(/receiving/);
  await qmp.execute("migrate-start-postcopy");
  const end = await migrationEnd(qmp);
  assertEquals(end.status, "completed", `${end["error-desc"]} ${target.stderr()}`);
  assertEquals(await target.exit, 0, target.stderr());
  assertMatch(target.stderr(), /pc-i440fx-7\.2, \d+ device sections verified/);
  const { ram } = await qmp.execute("query-migrate") as {
    ram: { "postcopy-requests": number; "postcopy-bytes": number };
  };
  return ram;
}
