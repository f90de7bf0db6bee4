import { assert, assertEquals } from "@std/assert";
import { qemuTls, startTarget, tlsFlags } from "../migration/programs.ts";
import { virtcreds } from "../support/command.ts";
import { makePki } from "../support/pki.ts";
import { programTest } from "../support/programs.ts";
import { startQemu } from "../support/qemu.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { arrivesByPostcopy, memoryFile, writeMemory } from "./migration_guests.ts";

const MiB = 2 ** 20;
const SIZE = 16 * MiB;
const HOSTS = [{ name: "vm1" }, { name: "vm2", ip: ["127.0.0.1"] }];

for (const security of ["plain", "x509"] as const) {
  programTest(
    `a QEMU sends the pages that are asked for on a connection of their own: postcopy-preempt (${security})`,
    ["qemu-system-x86_64"],
    async () => {
      using temp = temporaryDirectory();
      const digest = writeMemory(`${temp.path}/ram`, SIZE);
      const kept = `${temp.path}/guest.mig`;
      const pki = security === "plain"
        ? undefined
        : await makePki(`${temp.path}/pki`, { hosts: HOSTS });
      await using target = await startTarget([
        ...(pki === undefined ? [] : tlsFlags(pki.host("vm2"), "server")),
        ...["--capability", "postcopy-ram=on"],
        ...(pki === undefined ? ["--guest-ram", "64M"] : ["--out", kept]),
      ]);
      await using qemu = await startQemu({
        machine: "pc-i440fx-7.2,memory-backend=m0",
        memory: "16M",
        args: ["-S", ...memoryFile(`${temp.path}/ram`, SIZE)],
      });
      if (pki !== undefined) await qemuTls(qemu, pki.host("vm1"), "client");
      const ram = await arrivesByPostcopy(qemu, target, ["postcopy-preempt"]);
      assert(ram["postcopy-requests"] > 0, JSON.stringify(ram));
      if (pki === undefined) {
        return assert(target.stdout().includes(`${digest}  m0\n`), target.stdout());
      }
      const inspected = await virtcreds(["migration", "inspect", kept]);
      assertEquals(inspected.code, 0, inspected.stderr);
    },
  );
}
