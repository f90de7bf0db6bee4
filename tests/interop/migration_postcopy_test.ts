import { assert, assertEquals } from "@std/assert";
import { createHash } from "node:crypto";
import { migrationEnd, runState } from "../../migration/qmp_client.ts";
import { qemuTls, startTarget, tlsFlags } from "../migration/programs.ts";
import { virtcreds } from "../support/command.ts";
import { makePki } from "../support/pki.ts";
import { programTest } from "../support/programs.ts";
import { type Qemu, startQemu } from "../support/qemu.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { arrivesByPostcopy, memoryFile, writeMemory } from "./migration_guests.ts";

const MiB = 2 ** 20;
const SIZE = 32 * MiB;
const HOSTS = [{ name: "vm1" }, { name: "vm2", ip: ["127.0.0.1"] }];

/** Pre-shared keys of both sides, as QEMU's own case of post-copy over TLS has them. */
function pskFlags(dir: string): string[] {
  Deno.mkdirSync(dir);
  Deno.writeTextFileSync(`${dir}/keys.psk`, `qemu:${"11".repeat(32)}\n`, { mode: 0o600 });
  return ["--object", `tls-creds-psk,id=tls0,dir=${dir},endpoint=server`, "--tls-creds", "tls0"];
}

async function qemuPsk({ qmp }: Qemu, dir: string): Promise<void> {
  const object = { "qom-type": "tls-creds-psk", id: "tls0", dir, endpoint: "client" };
  await qmp.execute("object-add", { ...object, username: "qemu" });
  await qmp.execute("migrate-set-parameters", { "tls-creds": "tls0" });
}

for (const [keep, creds] of [["--out", "x509"], ["--guest-ram", "psk"]] as const) {
  programTest(
    `a QEMU switches to post-copy, and its guest comes whole: pages are asked for (${keep}, ${creds})`,
    ["qemu-system-x86_64"],
    async () => {
      using temp = temporaryDirectory();
      const pki = await makePki(`${temp.path}/pki`, { hosts: HOSTS });
      const digest = writeMemory(`${temp.path}/ram`, SIZE);
      const kept = `${temp.path}/guest.mig`;
      const keys = `${temp.path}/keys`;
      await using target = await startTarget([
        ...(creds === "psk" ? pskFlags(keys) : tlsFlags(pki.host("vm2"), "server")),
        ...["--capability", "postcopy-ram=on"],
        ...[keep, keep === "--out" ? kept : "64M"],
      ]);
      await using qemu = await startQemu({
        machine: "pc-i440fx-7.2,memory-backend=m0",
        args: ["-S", ...memoryFile(`${temp.path}/ram`, SIZE)],
      });
      if (creds === "psk") await qemuPsk(qemu, keys);
      else await qemuTls(qemu, pki.host("vm1"), "client");
      const asked = await arrivesByPostcopy(qemu, target);
      assert(asked["postcopy-requests"] > 0, JSON.stringify(asked));
      if (keep === "--guest-ram") {
        return assert(target.stdout().includes(`${digest}  m0\n`), target.stdout());
      }

      const inspected = await virtcreds(["migration", "inspect", kept]);
      assertEquals(inspected.code, 0, inspected.stderr);
      // What is kept is a plain stream: a QEMU that knows nothing of post-copy takes it.
      await using second = await startQemu({
        machine: "pc-i440fx-7.2,memory-backend=m0",
        args: [
          "-S",
          "-object",
          `memory-backend-file,id=m0,size=${SIZE},mem-path=${temp.path}/ram2,share=on`,
          "-incoming",
          `exec:cat ${kept}`,
        ],
      });
      assertEquals((await migrationEnd(second.qmp)).status, "completed", second.stderr());
      assertEquals(second.stderr(), "");
      const loaded = createHash("sha256").update(Deno.readFileSync(`${temp.path}/ram2`));
      assertEquals(loaded.digest("hex"), digest);
      await second.qmp.execute("cont");
      await runState(second.qmp, "running");
    },
  );
}
