/** Memory for guests of real QEMUs, with content that can be looked at afterwards. */

import { createHash } from "node:crypto";

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
