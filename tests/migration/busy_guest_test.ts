// A guest that writes all the while, between the two programs over mutual TLS.

import { assert, assertEquals } from "@std/assert";
import { makePki } from "../support/pki.ts";
import { SOAK, soakRow } from "../support/soak.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { startProgram, startTarget, tlsFlags } from "./programs.ts";

/** MiB of memory, and MiB that are written a second. */
const [RAM, RATE] = SOAK ? [4096, 200] : [64, 20];

Deno.test("a guest that writes all the while arrives as it was when it stood still", async () => {
  using temp = temporaryDirectory();
  const pki = await makePki(`${temp.path}/pki`, {
    hosts: [{ name: "localhost", ip: ["127.0.0.1"] }],
  });
  const dir = pki.host("localhost");
  await using target = await startTarget(["--guest-ram", `${RAM}M`, ...tlsFlags(dir, "server")]);
  await using source = startProgram("source", [
    ...["--migrate", target.uri, "--guest-ram", `${RAM}M`, "--dirty-rate", `${RATE}M`, "--json"],
    // A link that is slower than the guest slows it down, and the migration ends all the same.
    ...["--parameter", "max-bandwidth=0", "--capability", "auto-converge=on"],
    ...tlsFlags(dir, "client"),
  ]);
  assertEquals(await source.exit, 0, source.stderr());
  assertEquals(await target.exit, 0, target.stderr());
  const lines = source.stdout().trimEnd().split("\n").map((line) => JSON.parse(line));
  const { block, sha256 } = lines.at(-1)!.data;
  assertEquals(target.stdout(), `${sha256}  ${block}\n`);
  const { ram, downtime, ...answer } =
    lines.findLast(({ event }) => event === "MIGRATION_PROGRESS").data;
  assert(ram.normal + ram.duplicate > ram.total / 4096, JSON.stringify(ram));
  soakRow(
    `MiB of a guest that writes ${RATE} MiB a second`,
    RAM,
    `equal digests after ${ram["dirty-sync-count"]} passes, ${answer["total-time"]} ms, ` +
      `${Math.round(ram.transferred / 2 ** 20)} MiB sent, ${downtime} ms of downtime, ` +
      `slowed by ${answer["cpu-throttle-percentage"] ?? 0} %`,
  );
});
