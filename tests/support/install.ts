/** Installs the real programs that the interop tests run, where that is possible. */

import { findProgram, installLine, missingPrograms, PACKAGES } from "./programs.ts";

/**
 * Makes the programs present: as root with apt-get it installs what is missing and says so
 * (`VIRTCREDS_NO_INSTALL=1` stops that); elsewhere it names what will be skipped.
 */
export async function installPrograms(): Promise<void> {
  // Node comes with the machine or not at all: one page needs its npx.
  const missing = missingPrograms().filter((name) => name !== "npx");
  if (missing.length === 0) return;
  const line = installLine(missing);
  if (
    Deno.env.get("VIRTCREDS_NO_INSTALL") === "1" || Deno.uid() !== 0 ||
    findProgram("apt-get") === undefined
  ) {
    console.error(`warning: ${missing.join(", ")} missing: the tests that need them are skipped`);
    console.error(`hint: ${line}`);
    return;
  }
  console.error(`installing ${missing.join(", ")} for the interop tests`);
  const packages = [...new Set(missing.map((name) => PACKAGES[name]!))];
  await apt(["update", "-q"]);
  await apt(["install", "-y", "-q", "--no-install-recommends", ...packages]);
  const still = missingPrograms();
  if (still.length > 0) console.error(`warning: could not install ${still.join(", ")}`);
}

async function apt(args: readonly string[]): Promise<void> {
  const { success, stderr, stdout } = await new Deno.Command("apt-get", {
    args: [...args],
    env: { DEBIAN_FRONTEND: "noninteractive" },
    stdin: "null",
  }).output();
  if (success) return;
  console.error(`warning: apt-get ${args[0]} failed`);
  console.error(new TextDecoder().decode(stderr.length > 0 ? stderr : stdout).trim());
}
