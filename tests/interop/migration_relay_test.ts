import { assertEquals, assertMatch } from "@std/assert";
import { formatAddress } from "../../channel/mod.ts";
import { migrationEnd, runState } from "../../migration/qmp_client.ts";
import { qemuTls, startProgram } from "../migration/programs.ts";
import { makePki, type Pki } from "../support/pki.ts";
import { programTest } from "../support/programs.ts";
import { incomingAddress, type Qemu, startQemu } from "../support/qemu.ts";
import { temporaryDirectory } from "../support/temp.ts";

const HOSTS = [{ name: "vm1" }, { name: "gw", ip: ["127.0.0.1"] }, {
  name: "vm2",
  ip: ["127.0.0.1"],
}];

async function capable({ qmp }: Qemu, names: readonly string[], channels: number): Promise<void> {
  await qmp.execute("migrate-set-capabilities", {
    capabilities: names.map((capability) => ({ capability, state: true })),
  });
  await qmp.execute("migrate-set-parameters", { "multifd-channels": channels });
}

function relay(pki: Pki, to: string): ReturnType<typeof startProgram> {
  return startProgram("relay", [
    ...["--object", `tls-creds-x509,id=in,dir=${pki.host("gw")},endpoint=server`],
    ...["--object", `tls-creds-x509,id=out,dir=${pki.host("gw")},endpoint=client`],
    ...["--tls-creds", "in", "--onward-tls-creds", "out"],
    ...["--incoming", "tcp:127.0.0.1:0", "--migrate", to],
  ]);
}

const WAYS: readonly [capabilities: readonly string[], channels: number][] = [
  [["return-path"], 2],
  [[], 2],
  [["return-path", "multifd"], 2],
  [["multifd"], 4],
  [["postcopy-ram"], 2],
];

for (const [names, channels] of WAYS) {
  const isPostcopy = names.includes("postcopy-ram");
  programTest(
    `a relay joins two QEMUs over mutual TLS on both sides (${names.join(", ")}, ${channels})`,
    ["qemu-system-x86_64"],
    async () => {
      using temp = temporaryDirectory();
      const pki = await makePki(`${temp.path}/pki`, { hosts: HOSTS });
      await using target = await startQemu({ args: ["-incoming", "defer"] });
      await qemuTls(target, pki.host("vm2"), "server");
      await capable(target, names, channels);
      await target.qmp.execute("migrate-incoming", { uri: "tcp:127.0.0.1:0" });
      await using between = relay(pki, formatAddress(await incomingAddress(target)));
      const [, uri] = await between.says(/listening on (tcp:\S+)/);
      await using source = await startQemu();
      await qemuTls(source, pki.host("vm1"), "client");
      await capable(source, names, channels);
      await runState(source.qmp, "running");
      if (isPostcopy) {
        await source.qmp.execute("migrate-set-parameters", { "max-bandwidth": 50_000 });
      }
      await source.qmp.execute("migrate", { uri: uri! });
      if (isPostcopy) await source.qmp.execute("migrate-start-postcopy");
      const end = await migrationEnd(source.qmp);
      assertEquals(end.status, "completed", `${end["error-desc"]} ${between.stderr()}`);
      await runState(target.qmp, "running");
      assertEquals(await between.exit, 0, between.stderr());
      const connections = names.includes("multifd") ? channels + 1 : 1;
      assertMatch(
        between.stderr(),
        new RegExp(`completed: .* over ${connections} connection`),
      );
      assertEquals(target.stderr(), "");
    },
  );
}

programTest(
  "a relay whose destination does not want it fails the source, whose guest lives on",
  ["qemu-system-x86_64"],
  async () => {
    using temp = temporaryDirectory();
    const pki = await makePki(`${temp.path}/pki`, { hosts: HOSTS });
    const other = await makePki(`${temp.path}/other`, { hosts: HOSTS });
    await using target = await startQemu({ args: ["-incoming", "defer"] });
    await qemuTls(target, other.host("vm2"), "server");
    await target.qmp.execute("migrate-incoming", { uri: "tcp:127.0.0.1:0" });
    await using between = relay(pki, formatAddress(await incomingAddress(target)));
    const [, uri] = await between.says(/listening on (tcp:\S+)/);
    await using source = await startQemu();
    await qemuTls(source, pki.host("vm1"), "client");
    await capable(source, ["return-path"], 2);
    await runState(source.qmp, "running");
    await source.qmp.execute("migrate", { uri: uri! });
    assertEquals((await migrationEnd(source.qmp)).status, "failed");
    assertEquals(await between.exit, 1);
    assertMatch(between.stderr(), /^error: /m);
    await runState(source.qmp, "running");
  },
);
