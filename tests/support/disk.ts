/** Tests that need a small disk of their own: skipped loudly or failed where none can be made. */

import { findProgram, programTest, skippedTest } from "./programs.ts";

/** What gives a command mounts of its own; who is not root needs a world of users too. */
export const OWN_MOUNTS: readonly string[] = ["unshare", Deno.uid() === 0 ? "-m" : "-rm"];

/** Whether a disk can be mounted there: some containers forbid it. */
function canMount(): boolean {
  const [unshare, ...flags] = OWN_MOUNTS;
  if (findProgram(unshare!) === undefined || findProgram("mount") === undefined) return false;
  const dir = Deno.makeTempDirSync({ prefix: "virtcreds-disk-" });
  try {
    const args = [...flags, "mount", "-t", "tmpfs", "none", dir];
    return new Deno.Command(unshare!, { args, stdout: "null", stderr: "null" }).outputSync()
      .success;
  } finally {
    Deno.removeSync(dir);
  }
}

const CAN_MOUNT = canMount();

/**
 * Registers a test that mounts a disk behind {@linkcode OWN_MOUNTS}. Where that is impossible it is
 * skipped with the reason in its name; in CI it fails instead.
 *
 * @param programs As `programTest` takes them.
 */
export function diskTest(
  name: string,
  programs: readonly string[],
  fn: (t: Deno.TestContext) => void | Promise<void>,
): void {
  if (CAN_MOUNT || Deno.env.get("CI")) return programTest(name, programs, fn);
  skippedTest(name, `no disk can be mounted here: needs root or ${OWN_MOUNTS.join(" ")}`);
}
