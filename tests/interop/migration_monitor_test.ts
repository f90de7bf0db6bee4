import { assertEquals } from "@std/assert";
import { connect } from "../../channel/mod.ts";
import { openQmp, type QmpClient } from "../../migration/qmp_client.ts";
import {
  type Asked,
  HMP_COMMANDS,
  SOURCE_COMMANDS,
  TARGET_COMMANDS,
} from "../migration/control_lines.ts";
import { type Program, startProgram, startTarget } from "../migration/programs.ts";
import { programTest } from "../support/programs.ts";
import { startQemu } from "../support/qemu.ts";
import { temporaryDirectory } from "../support/temp.ts";

/** One of our programs with a client on its QMP socket. */
async function startOurs(
  name: "source" | "target",
  path: string,
  args: readonly string[],
): Promise<AsyncDisposable & { readonly qmp: QmpClient; readonly program: Program }> {
  const program = startProgram(name, [...args, "--qmp", `unix:${path},server=on,wait=off`]);
  try {
    await program.says(/serving QMP on/);
    const qmp = await openQmp(await connect({ kind: "unix", path }));
    return {
      qmp,
      program,
      async [Symbol.asyncDispose]() {
        qmp.close();
        await program[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await program[Symbol.asyncDispose]();
    throw error;
  }
}

/** Asks one after the other; what a migration does in between has its time to end. */
async function answers(qmp: QmpClient, commands: readonly Asked[]): Promise<unknown[]> {
  const all: unknown[] = [];
  for (const { execute, arguments: args } of commands) {
    all.push(
      await qmp.execute(execute, args).catch((error) => `error: ${(error as Error).message}`),
    );
    if (execute === "migrate") await settled(qmp);
  }
  return all;
}

async function settled(qmp: QmpClient): Promise<void> {
  for (;;) {
    const { status = "none" } = await qmp.execute("query-migrate") as { status?: string };
    if (!["setup", "active", "device", "cancelling"].includes(status)) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Leaves out what is later than 7.2, and which port was free. */
function comparable(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (key, inner) => {
    if (key === "zero-page-detection") return undefined;
    return key === "port" ? "PORT" : inner;
  }));
}

function assertAlike(asked: readonly unknown[], ours: unknown[], theirs: unknown[]): void {
  const pair = (answers: unknown[]) =>
    asked.map((command, i) => [command, comparable(answers[i] ?? null)]);
  assertEquals(pair(ours), pair(theirs));
}

programTest(
  "a source answers QMP as QEMU does: commands, fields, defaults, ranges, errors",
  ["qemu-system-x86_64"],
  async () => {
    using temp = temporaryDirectory();
    await using qemu = await startQemu();
    await using ours = await startOurs("source", `${temp.path}/qmp`, ["--guest-ram", "32M"]);
    const [own, theirs] = await Promise.all([
      answers(ours.qmp, SOURCE_COMMANDS),
      answers(qemu.qmp, SOURCE_COMMANDS),
    ]);
    assertAlike(SOURCE_COMMANDS, own, theirs);
  },
);

programTest(
  "a target that waits for migrate-incoming answers QMP as QEMU does",
  ["qemu-system-x86_64"],
  async () => {
    using temp = temporaryDirectory();
    await using qemu = await startQemu({ args: ["-incoming", "defer"] });
    await using ours = await startOurs("target", `${temp.path}/qmp`, ["--incoming", "defer"]);
    const own = await answers(ours.qmp, TARGET_COMMANDS);
    assertAlike(TARGET_COMMANDS, own, await answers(qemu.qmp, TARGET_COMMANDS));
    // The one that tells of itself whether or not anybody asked for events.
    for (const { qmp } of [ours, qemu]) {
      assertEquals((await qmp.event("MIGRATION")).data, { status: "setup" });
    }
  },
);

programTest(
  "a source's human monitor prints what QEMU's prints",
  ["qemu-system-x86_64"],
  async () => {
    using temp = temporaryDirectory();
    await using qemu = await startQemu();
    await using ours = await startOurs("source", `${temp.path}/qmp`, ["--guest-ram", "32M"]);
    const commands = HMP_COMMANDS.map((line) => ({
      execute: "human-monitor-command",
      arguments: { "command-line": line },
    }));
    const [own, theirs] = await Promise.all([
      answers(ours.qmp, commands),
      answers(qemu.qmp, commands),
    ]);
    assertAlike(HMP_COMMANDS, own, theirs);
  },
);

/** Lines that are there for a guest alone that writes, during the rounds or in the downtime. */
const OF_A_WRITING_GUEST = /^(dirty pages rate|downtime ram):/;

/** The names of what `info migrate` and `query-migrate` tell. */
async function fields(qmp: QmpClient): Promise<{ readonly hmp: string[]; readonly qmp: string[] }> {
  const command = { "command-line": "info migrate" };
  const text = await qmp.execute("human-monitor-command", command) as string;
  const { ram = {}, ...rest } = await qmp.execute("query-migrate") as Record<string, unknown>;
  return {
    hmp: text.trimEnd().split(/\r?\n/).filter((line) => !OF_A_WRITING_GUEST.test(line))
      .map((line) => /^(Migration status: .*|globals:|[^:]*:)/.exec(line)?.[0] ?? line),
    qmp: [...Object.keys(rest), ...Object.keys(ram as object)].sort(),
  };
}

programTest(
  "a source tells the same of a migration under way, cancelled and completed as QEMU does",
  ["qemu-system-x86_64"],
  async () => {
    using temp = temporaryDirectory();
    await using target = await startTarget(["--serve"]);
    await using qemu = await startQemu();
    await using ours = await startOurs("source", `${temp.path}/qmp`, ["--guest-ram", "32M"]);
    const both = await Promise.all([ours.qmp, qemu.qmp].map(async (qmp) => {
      const told = [];
      const capabilities = [{ capability: "return-path", state: true }];
      await qmp.execute("migrate-set-capabilities", { capabilities });
      await qmp.execute("migrate-set-parameters", { "max-bandwidth": 100_000 });
      await qmp.execute("migrate", { uri: "exec:cat >/dev/null" });
      for (;;) {
        const { ram } = await qmp.execute("query-migrate") as { ram?: { normal: number } };
        if (ram !== undefined && ram.normal > 0) break;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      told.push(await fields(qmp));
      await qmp.execute("migrate_cancel");
      await settled(qmp);
      told.push(await fields(qmp));
      await qmp.execute("migrate-set-parameters", { "max-bandwidth": 2 ** 30 });
      return told;
    }));
    for (const [i, qmp] of [ours.qmp, qemu.qmp].entries()) {
      await qmp.execute("migrate", { uri: target.uri });
      await settled(qmp);
      both[i]!.push(await fields(qmp));
    }
    assertEquals(both[0]!.map(({ hmp }) => hmp[7]), [
      "Migration status: active",
      "Migration status: cancelled",
      "Migration status: completed",
    ]);
    assertEquals(both[0], both[1]);
  },
);
