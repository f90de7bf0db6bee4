/** Disks that are full or read-only, seen by the commands alone. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { verifyLog } from "../../ca/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { PROJECT, run } from "../support/command.ts";
import { assertWholeSet } from "../support/credential_set.ts";
import { diskTest, OWN_MOUNTS } from "../support/disk.ts";
import { makePki } from "../support/pki.ts";
import { soakCount } from "../support/soak.ts";
import { temporaryDirectory } from "../support/temp.ts";

const CA = `ca() { "$DENO" run -A "--config=$PROJECT/deno.json" "$PROJECT/cli/ca.ts" "$@"; }`;

/** Runs a script in a world of mounts of its own, whose last lines it prints. */
async function inMounts(script: string, ...args: readonly string[]) {
  const [unshare, ...flags] = OWN_MOUNTS;
  return await run(unshare!, [...flags, "bash", "-c", `${CA}\n${script}`, "bash", ...args], {
    env: { DENO: Deno.execPath(), PROJECT },
  });
}

const HOSTS = ["a", "b", "c", "d", "e"];

/** Issues on a disk with $3 KiB of room, then with enough; what it leaves is copied to $2. */
const FULL = `
set -u
mkdir "$2" "$2/disk" "$2/then" "$2/now"
mount -t tmpfs -o size=4m,mode=755 tmpfs "$2/disk"
cp -a "$1" "$2/disk/pki"
free=$(df --output=avail -k "$2/disk" | tail -1)
head -c $(( (free - $3) * 1024 )) /dev/zero > "$2/disk/ballast"
ca issue ${HOSTS.join(" ")} --dir "$2/disk/pki" >/dev/null
echo "first $?"
cp -a "$2/disk/pki" "$2/then/"
rm "$2/disk/ballast"
ca issue ${HOSTS.join(" ")} --dir "$2/disk/pki" >/dev/null
echo "second $?"
cp -a "$2/disk/pki" "$2/now/"
`;

diskTest(
  "ca issue on a disk that becomes full at any point leaves whole sets, and completes once there is room",
  ["bash"],
  async () => {
    using temp = temporaryDirectory();
    const engine = await chooseEngine();
    const { dir } = await makePki(`${temp.path}/pki`, { hosts: [{ name: "a" }, { name: "b" }] });
    const before = Deno.readTextFileSync(`${dir}/hosts/a/server-cert.pem`);
    // What is written takes about 400 KiB, page by page.
    const count = Math.max(6, soakCount(100));
    let failed = 0;
    for (let i = 0; i < count; i++) {
      const room = Math.floor(i * 420 / count / 4) * 4;
      const scratch = `${temp.path}/${i}`;
      const { stdout, stderr } = await inMounts(FULL, dir, scratch, String(room));
      const [first, second] = stdout.trim().split("\n").map((line) => line.split(" ")[1]);
      assertEquals(second, "0", `with ${room} KiB: ${stderr}`);
      const then = `${scratch}/then/pki`;
      for (const host of ["a", "b"]) assertWholeSet(`${then}/hosts/${host}`);
      if (first === "1") {
        failed++;
        assertMatch(stderr, /^error: .*\nhint: /m);
        assert(!stderr.includes("internal"), stderr);
        // Of one command all hosts have their new sets, or none.
        const isNew = Deno.readTextFileSync(`${then}/hosts/a/server-cert.pem`) !== before;
        const others = [...Deno.readDirSync(`${then}/hosts`)].length - 2;
        if (!isNew) assertEquals(others, 0, `with ${room} KiB`);
      } else assertEquals(first, "0");
      const now = `${scratch}/now/pki`;
      for (const host of HOSTS) assertWholeSet(`${now}/hosts/${host}`);
      assertEquals((await verifyLog({ dir: now, engine })).faults, []);
      assertEquals(
        [...Deno.readDirSync(now)].map(({ name }) => name).filter((name) => name === ".new"),
        [],
      );
      Deno.removeSync(scratch, { recursive: true });
    }
    assert(failed > 1, "the disk was never full");
  },
);

/** Runs commands on a read-only disk: each prints its exit code. */
const READ_ONLY = `
mkdir "$2"
mount -t tmpfs -o size=4m,mode=755 tmpfs "$2"
cp -a "$1" "$2/pki"
mount -o remount,ro "$2"
cd "$2"
for command in "issue a" "issue b" "renew a" "revoke a" "crl" "init --dir new"; do
  ca $command >/dev/null
  echo "$command: $?"
done
for command in list "show a" "export a --layout libvirt" "export a --layout qemu --tar -"; do
  ca $command >/dev/null
  echo "$command: $?"
done
`;

diskTest(
  "commands on a read-only disk say so where they would write, and read on",
  ["bash"],
  async () => {
    using temp = temporaryDirectory();
    const { dir } = await makePki(`${temp.path}/pki`, { hosts: [{ name: "a" }] });
    const { stdout, stderr } = await inMounts(READ_ONLY, dir, `${temp.path}/disk`);
    assertEquals(stdout.trim().split("\n"), [
      ...["issue a: 1", "issue b: 1", "renew a: 1", "revoke a: 1", "crl: 1", "init --dir new: 1"],
      ...["list: 0", "show a: 0", "export a --layout libvirt: 0"],
      "export a --layout qemu --tar -: 0",
    ], stderr);
    const errors = stderr.split("\n").filter((line) => line.startsWith("error: "));
    assertEquals(errors.length, 6, stderr);
    for (const error of errors) assertMatch(error, /read-only file system$/);
  },
);
