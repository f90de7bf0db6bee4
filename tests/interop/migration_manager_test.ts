import { assert, assertEquals } from "@std/assert";
import { connect, formatAddress } from "../../channel/mod.ts";
import { openQmp, type QmpClient } from "../../migration/qmp_client.ts";
import { startProgram } from "../migration/programs.ts";
import { makePki, type Pki } from "../support/pki.ts";
import { programTest } from "../support/programs.ts";
import { startQemu } from "../support/qemu.ts";
import { temporaryDirectory } from "../support/temp.ts";

/** One end of a migration, whoever it is, as its manager sees it. */
interface End extends AsyncDisposable {
  readonly qmp: QmpClient;
  readonly log: () => string;
}

type EndKind = "qemu" | "ours";

async function startEnd(
  kind: EndKind,
  side: "source" | "target",
  folder: string,
  args: readonly string[],
): Promise<End> {
  if (kind === "qemu") {
    const qemu = await startQemu({ args: side === "target" ? ["-incoming", "defer", "-S"] : [] });
    return {
      qmp: qemu.qmp,
      log: () => qemu.stderr(),
      [Symbol.asyncDispose]: () => qemu[Symbol.asyncDispose](),
    };
  }
  const path = `${folder}/${side}`;
  const program = startProgram(side, [...args, "--qmp", `unix:${path},server=on,wait=off`]);
  await program.says(/serving QMP on/);
  const qmp = await openQmp(await connect({ kind: "unix", path }));
  return {
    qmp,
    log: () => program.stderr(),
    async [Symbol.asyncDispose]() {
      await program[Symbol.asyncDispose]();
      qmp.close();
    },
  };
}

/** What a manager does with any two ends, in the order and the words of libvirt. */
async function manage(source: End, target: End, pki: Pki): Promise<Record<string, unknown>> {
  const both = [source.qmp, target.qmp];
  for (const qmp of both) {
    await qmp.execute("query-version");
    const commands = await qmp.execute("query-commands") as { name: string }[];
    for (const name of COMMANDS) assert(commands.some((one) => one.name === name), name);
    const known = await qmp.execute("query-migrate-capabilities") as { capability: string }[];
    const wanted = ["events", "return-path", "late-block-activate"];
    await qmp.execute("migrate-set-capabilities", {
      capabilities: known.filter(({ capability }) => wanted.includes(capability))
        .map(({ capability }) => ({ capability, state: true })),
    });
  }
  const x509 = { "qom-type": "tls-creds-x509", id: "objlibvirt_migrate_tls0", "verify-peer": true };
  await target.qmp.execute("object-add", { ...x509, dir: pki.host("vm2"), endpoint: "server" });
  // An empty tls-authz, which ours takes for none, makes QEMU 7.2 look for an object without a name.
  await target.qmp.execute("migrate-set-parameters", { "tls-creds": x509.id, "tls-hostname": "" });
  await target.qmp.execute("migrate-incoming", { uri: "tcp:127.0.0.1:0" });
  const waiting = await target.qmp.execute("query-migrate") as {
    "socket-address": { host: string; port: string }[];
  };
  const [{ host, port }] = waiting["socket-address"] as [{ host: string; port: string }];

  await source.qmp.execute("object-add", { ...x509, dir: pki.host("vm1"), endpoint: "client" });
  await source.qmp.execute("migrate-set-parameters", {
    "tls-creds": x509.id,
    "tls-hostname": "vm2",
    "max-bandwidth": 2 ** 40,
    "downtime-limit": 500,
  });
  const uri = formatAddress({ kind: "tcp", host, port: Number(port) });
  await source.qmp.execute("migrate", { detach: true, resume: false, uri });
  const told = [await statuses(source.qmp), await statuses(target.qmp)];
  const passes: unknown[] = [];
  passes.push((await source.qmp.event("MIGRATION_PASS")).data);

  const end = await source.qmp.execute("query-migrate") as Record<string, unknown>;
  const there = await target.qmp.execute("query-migrate");
  const run = [await runOf(source.qmp), await runOf(target.qmp)];
  await target.qmp.execute("cont");
  await target.qmp.event("RESUME");
  run.push(await runOf(target.qmp));
  for (const qmp of both) {
    await qmp.execute("migrate-set-parameters", { "tls-creds": "", "tls-hostname": "" });
    await qmp.execute("object-del", { id: x509.id });
    await qmp.execute("quit");
  }
  return {
    told,
    passes,
    fields: Object.keys(end).sort(),
    ram: Object.keys(end.ram as object).sort(),
    there,
    run,
  };
}

const COMMANDS = [
  "migrate",
  "migrate_cancel",
  "migrate-continue",
  "migrate-incoming",
  "migrate-set-parameters",
  "query-migrate-parameters",
  "object-add",
  "getfd",
  "closefd",
  "stop",
  "cont",
];

/** The states that are told of, up to the last. */
async function statuses(qmp: QmpClient): Promise<string[]> {
  const all: string[] = [];
  while (!["completed", "failed", "cancelled"].includes(all.at(-1) ?? "")) {
    const { data } = await qmp.event("MIGRATION");
    all.push((data as { status: string }).status);
  }
  return all;
}

async function runOf(qmp: QmpClient): Promise<string> {
  return (await qmp.execute("query-status") as { status: string }).status;
}

programTest(
  "a manager that talks as libvirt does moves a guest between QEMUs and ours alike",
  ["qemu-system-x86_64"],
  async () => {
    using temp = temporaryDirectory();
    const pki = await makePki(`${temp.path}/pki`, { hosts: [{ name: "vm1" }, { name: "vm2" }] });
    const file = `${temp.path}/guest.mig`;
    const play = async (from: EndKind, to: EndKind) => {
      await using target = await startEnd(to, "target", temp.path, [
        ...["--incoming", "defer", "--out", file],
      ]);
      await using source = await startEnd(from, "source", temp.path, ["--in", file]);
      try {
        return await manage(source, target, pki);
      } catch (error) {
        throw new Error(`${from} → ${to}: ${(error as Error).message}`, { cause: error });
      }
    };
    const model = await play("qemu", "qemu");
    assertEquals(model["told"], [["setup", "active", "completed"], [
      "setup",
      "active",
      "completed",
    ]]);
    assertEquals(model["there"], { status: "completed" });
    // Into our file, and out of it.
    assertEquals(await play("qemu", "ours"), model);
    assertEquals(await play("ours", "qemu"), model);
    assertEquals(await play("ours", "ours"), model);
  },
);

/** What a QMP client of its own hears of a migration, all kinds of events in one list. */
async function hear(path: string, migrate: (tell: (command: object) => void) => void) {
  const channel = await connect({ kind: "unix", path });
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  let writing = Promise.resolve();
  const tell = (command: object) => {
    const line = encoder.encode(`${JSON.stringify(command)}\n`);
    writing = writing.then(() => channel.write(line));
  };
  const capabilities = ["events", "pause-before-switchover"].map((capability) => ({
    capability,
    state: true,
  }));
  tell({ execute: "qmp_capabilities" });
  tell({ execute: "migrate-set-capabilities", arguments: { capabilities } });
  migrate(tell);
  const heard: string[] = [];
  const buffer = new Uint8Array(65_536);
  let text = "";
  while (!/completed|failed/.test(heard.at(-1) ?? "")) {
    const count = await channel.read(buffer);
    assert(count !== null, heard.join());
    text += decoder.decode(buffer.subarray(0, count), { stream: true });
    const lines = text.split("\n");
    text = lines.pop()!;
    for (const { event, data, error } of lines.map((line) => JSON.parse(line))) {
      assertEquals(error, undefined);
      if (event === undefined || !/^(MIGRATION|STOP|RESUME)/.test(event)) continue;
      heard.push([event, data?.status ?? data?.pass ?? ""].join(" ").trim());
      if (data?.status === "pre-switchover") {
        tell({ execute: "migrate-continue", arguments: { state: "pre-switchover" } });
      }
    }
  }
  channel.close();
  return heard;
}

/** The list without the passes that a guest may need, and without the numbers of others. */
function shape(heard: readonly string[]): string[] {
  const stop = heard.indexOf("STOP");
  return heard.filter((one, i) => i > stop || !/^MIGRATION_PASS (?!1$)/.test(one))
    .map((one) => one.replace(/^MIGRATION_PASS (?!1$).*/, "MIGRATION_PASS n"));
}

programTest("a guest of ours tells of its way in the order in which a QEMU's does", [
  "qemu-system-x86_64",
], async () => {
  using temp = temporaryDirectory();
  const uri = `exec:cat >${temp.path}/guest.mig`;
  const path = `${temp.path}/qemu`;
  await using _qemu = await startQemu({ args: ["-qmp", `unix:${path},server=on,wait=off`] });
  const there = await hear(path, (tell) => tell({ execute: "migrate", arguments: { uri } }));
  assertEquals(shape(there), [
    ...["MIGRATION setup", "MIGRATION_PASS 1", "MIGRATION active", "STOP"],
    ...["MIGRATION pre-switchover", "MIGRATION device", "MIGRATION_PASS n", "MIGRATION completed"],
  ]);
  const own = `${temp.path}/ours`;
  const args = ["--guest-ram", "8M", "--qmp", `unix:${own},server=on,wait=off`];
  await using ours = startProgram("source", args);
  await ours.says(/serving QMP on/);
  const to = { uri: `file:${temp.path}/ours.mig` };
  const here = await hear(own, (tell) => tell({ execute: "migrate", arguments: to }));
  assertEquals(shape(here), shape(there));
});
