// Many sessions: one after the other, and all at once.

import { assert, assertEquals } from "@std/assert";
import type { TlsSession } from "../../engine/mod.ts";
import { pair, readExactly } from "../support/channels.ts";
import { PROJECT, run } from "../support/command.ts";
import { SOAK, soakCount, soakRow } from "../support/soak.ts";
import { gnutlsTest, makePki } from "./_gnutls.ts";

const MIB = 1 << 20;

gnutlsTest("sessions that open, fail, abort and close leave no memory behind", async () => {
  const count = soakCount(100_000);
  const { code, stdout, stderr } = await run(Deno.execPath(), [
    "run",
    "-A",
    // What the collector has not got round to, and heaps that grow by doubling, are no leak.
    "--v8-flags=--expose-gc,--max-semi-space-size=2",
    "--config",
    `${PROJECT}/deno.json`,
    `${PROJECT}/tests/engine/_gnutls_soak.ts`,
    String(count),
  ], { timeout: SOAK ? 3_600_000 : 120_000 });
  assertEquals(stderr, "");
  assertEquals(code, 0);
  const memory = JSON.parse(stdout) as number[];
  // The first tenth is warm-up. What lost 100 bytes a session would show in a full run.
  const grown = memory.at(-1)! - memory[0]!;
  const shown = memory.map((bytes) => Math.round(bytes / MIB)).join(" ");
  assert(grown < 8 * MIB, `resident MiB: ${shown}`);
  soakRow("gnutls: sessions one after the other", count, `resident MiB: ${shown}`);
});

gnutlsTest("1,000 sessions live at once", async (engine) => {
  const count = soakCount(1000, 200);
  const { spec } = await makePki();
  using server = engine.credentials(await spec("server"));
  using client = engine.credentials(await spec("client"));
  const before = Deno.memoryUsage().rss;
  const ends: (readonly [TlsSession, TlsSession])[] = [];
  while (ends.length < count) {
    const some = Array.from({ length: 50 }, async () => {
      const [a, b] = pair();
      return await Promise.all([
        engine.open(b, { credentials: server }),
        engine.open(a, { credentials: client }),
      ]);
    });
    ends.push(...await Promise.all(some));
  }
  const each = (Deno.memoryUsage().rss - before) / ends.length / 2;
  await Promise.all(ends.map(async ([s, c], i) => {
    const bytes = Uint8Array.of(i >> 8, i & 0xff);
    await Promise.all([c.write(bytes), s.write(bytes)]);
    assertEquals(await readExactly(s, 2), bytes);
    assertEquals(await readExactly(c, 2), bytes);
  }));
  for (const pairOfEnds of ends) for (const end of pairOfEnds) end.close();
  soakRow("gnutls: sessions at once", count, `${(each / 1024).toFixed(0)} KiB an end`);
});
