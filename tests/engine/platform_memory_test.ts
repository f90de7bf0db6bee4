import { assert, assertEquals } from "@std/assert";
import { PROJECT, run } from "../support/command.ts";
import { soakCount, soakRow } from "../support/soak.ts";

Deno.test("the platform engine keeps nothing of sessions that ended, failed or were aborted", async () => {
  const count = soakCount(10_000);
  const child = `${PROJECT}/tests/engine/_memory_child.ts`;
  const { code, stdout, stderr } = await run(Deno.execPath(), [
    ...["run", "-A", "--no-check", "--v8-flags=--expose-gc", "--config", `${PROJECT}/deno.json`],
    ...[child, String(count)],
  ], { timeout: 60_000 + 50 * count });
  assertEquals(code, 0, stderr);
  const [half, full] = JSON.parse(stdout) as [number, number];
  const grown = full - half;
  // A session that leaks keeps 18 KB at least; a round has seven.
  assert(grown < 500_000 + 1_000 * count, `the heap grew by ${grown} bytes`);
  soakRow("sessions of the platform engine and the heap", count * 7, `${grown} bytes more`);
});
