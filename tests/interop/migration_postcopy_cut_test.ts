import { assertEquals, assertMatch } from "@std/assert";
import { startTarget } from "../migration/programs.ts";
import { programTest } from "../support/programs.ts";
import { type Qemu, startQemu } from "../support/qemu.ts";

/** Waits until a migration has come to a state. */
async function reaches({ qmp }: Qemu, status: string): Promise<void> {
  let last: unknown;
  for (let i = 0; i < 1000; i++) {
    last = (await qmp.execute("query-migrate") as { status: string }).status;
    if (last === status) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assertEquals(last, status);
}

for (const preempt of [false, true]) {
  programTest(
    `a target tells what it means that a connection is lost after the switch to post-copy, and refuses to resume (postcopy-preempt ${
      preempt ? "on" : "off"
    })`,
    ["qemu-system-x86_64"],
    async () => {
      await using target = await startTarget(["--capability", "postcopy-ram=on", "--serve"]);
      await using qemu = await startQemu();
      const capabilities = [
        { capability: "postcopy-ram", state: true },
        { capability: "postcopy-preempt", state: preempt },
      ];
      await qemu.qmp.execute("migrate-set-capabilities", { capabilities });
      // Slow enough that it is not over before it is cut.
      await qemu.qmp.execute("migrate-set-parameters", {
        "max-bandwidth": 65_536,
        "max-postcopy-bandwidth": 4096,
      });
      await qemu.qmp.execute("migrate", { uri: target.uri });
      await target.says(/receiving/);
      await qemu.qmp.execute("migrate-start-postcopy");
      await reaches(qemu, "postcopy-active");
      // Until the switch has come here too, a cut is one before it.
      await reachesRequests(qemu);
      await qemu.qmp.execute("migrate-pause");
      await reaches(qemu, "postcopy-paused");
      const [lost] = await target.says(/^error: .*\n(hint: .*\n)+/m);
      assertMatch(lost, /^hint: .*lost after the switch to post-copy, and recovery is not/m);
      assertMatch(lost, /^hint: .*migrate without post-copy/m);

      await qemu.qmp.execute("migrate", { uri: target.uri, resume: true });
      await target.says(
        /cannot read the stream: its source resumes a post-copy migration.*\nhint: recovery/,
      );
    },
  );
}

async function reachesRequests({ qmp }: Qemu): Promise<void> {
  for (let i = 0; i < 1000; i++) {
    const { ram } = await qmp.execute("query-migrate") as { ram: { "postcopy-requests": number } };
    if (ram["postcopy-requests"] > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error("no page was asked for");
}
