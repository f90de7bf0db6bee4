/** `--json` and `--report` of a migration between the programs. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { temporaryDirectory } from "../support/temp.ts";
import { area, readCurves } from "./curves.ts";
import { startProgram, startTarget } from "./programs.ts";

/** Takes more than a second at that bandwidth; then what the guest wrote is known. */
const GUEST = ["--guest-ram", "12M", "--dirty-rate", "4M", "--dirty-set", "2M"];
const SLOW = ["--parameter", "max-bandwidth=8M"];

interface Line {
  readonly event: string;
  readonly timestamp: { readonly seconds: number; readonly microseconds: number };
  // deno-lint-ignore no-explicit-any
  readonly data: any;
}

/** Reads what a program printed: nothing but one object a line, each shaped as QEMU's events. */
function readLines(stdout: string): readonly Line[] {
  assert(stdout.endsWith("}\n"), stdout);
  const lines = stdout.trimEnd().split("\n").map((line): Line => JSON.parse(line));
  for (const { event, timestamp, data } of lines) {
    assertEquals([typeof event, typeof data], ["string", "object"]);
    const { seconds, microseconds } = timestamp;
    assert(Number.isInteger(seconds) && microseconds >= 0 && microseconds < 1e6, stdout);
  }
  return lines;
}

/** The events in order, those of progress left out. */
function order(lines: readonly Line[]): string[] {
  return lines.filter(({ event }) => event !== "MIGRATION_PROGRESS").map(({ event, data }) =>
    `${event} ${data.status ?? data.pass ?? data.block}`
  );
}

Deno.test("--json and --report tell of a migration at both of its ends", async () => {
  using temp = temporaryDirectory();
  const watch = (name: string) => ["--json", "--report", `${temp.path}/${name}.html`];
  await using target = await startTarget(["--guest-ram", "12M", ...watch("target")]);
  await using source = startProgram("source", [
    ...["--migrate", target.uri, ...GUEST, ...SLOW, ...watch("source")],
  ]);
  assertEquals(await source.exit, 0, source.stderr());
  assertEquals(await target.exit, 0, target.stderr());

  const sent = readLines(source.stdout());
  const passes = sent.filter(({ event }) => event === "MIGRATION_PASS").map(({ data }) =>
    data.pass
  );
  assertEquals(passes, passes.map((_, i) => i + 1));
  assert(passes.length >= 3, `${passes}`);
  assertEquals(order(sent), [
    ...["MIGRATION setup", "MIGRATION_PASS 1", "MIGRATION active"],
    ...passes.slice(1).map((pass) => `MIGRATION_PASS ${pass}`),
    ...["MIGRATION completed", "MIGRATION_DIGEST guest.ram"],
  ]);
  // Twice a second while it goes, and once at the end.
  const progress = sent.filter(({ event }) => event === "MIGRATION_PROGRESS");
  assert(progress.length >= 2, source.stdout());
  const end = progress.at(-1)!.data;
  assertEquals([end.status, end.ram.total, end.ram.remaining], ["completed", 12 * 2 ** 20, 0]);
  assertEquals(progress[0]!.data.status, "active");
  assert(progress[0]!.data.ram.transferred < end.ram.transferred);

  const received = readLines(target.stdout());
  assertEquals(order(received), [
    ...["MIGRATION active", "MIGRATION completed", "MIGRATION_DIGEST guest.ram"],
  ]);
  assertEquals(received.at(-1)!.data, sent.at(-1)!.data);
  assertMatch(sent.at(-1)!.data.sha256, /^[0-9a-f]{64}$/);

  const page = (name: string) => readCurves(Deno.readTextFileSync(`${temp.path}/${name}.html`));
  const curves = page("source");
  assertEquals([...curves.keys()], [
    ...["Throughput", "Memory still to be sent", "Memory written by the guest"],
  ]);
  const moved = area(curves.get("Throughput")!);
  // A piece at the very end may be too short for a rate.
  assert(moved > end.ram.transferred / 2 && moved < end.ram.transferred * 1.05, `${moved}`);
  const left = curves.get("Memory still to be sent")!.map(({ value }) => value);
  assert(Math.max(...left) > 6 * 2 ** 20 && Math.max(...left) < 13 * 2 ** 20, `${left}`);
  assert(left.at(-1)! < 50_000, `${left}`);
  assert(curves.get("Memory written by the guest")!.at(-1)!.value > 0);
  // A target knows what comes, and not what is left.
  assertEquals([...page("target").keys()], ["Throughput"]);
});

Deno.test("a relay's --json and --report tell what passed through it, and what did not", async () => {
  using temp = temporaryDirectory();
  const page = `${temp.path}/relay.html`;
  const through = async (to: string) => {
    await using relay = startProgram("relay", [
      ...["--incoming", "tcp:127.0.0.1:0", "--migrate", to, "--json", "--report", page],
    ]);
    const [, uri] = await relay.says(/listening on (tcp:\S+)/);
    await using source = startProgram("source", ["--migrate", uri!, "--guest-ram", "8M", ...SLOW]);
    await Promise.all([source.exit, relay.exit]);
    const lines = readLines(relay.stdout());
    const [said, html] = [relay.stderr(), Deno.readTextFileSync(page)];
    return { codes: [await source.exit, await relay.exit], lines, said, html };
  };
  await using target = await startTarget(["--guest-ram", "8M"]);
  const whole = await through(target.uri);
  assertEquals(whole.codes, [0, 0], whole.said);
  assertEquals(await target.exit, 0);
  assertEquals(order(whole.lines), ["setup", "active", "completed"].map((s) => `MIGRATION ${s}`));
  const end = whole.lines.at(-1)!;
  assertEquals([end.event, end.data.status], ["MIGRATION_PROGRESS", "completed"]);
  const [, bytes] = /completed: (\d+) bytes/.exec(whole.said)!;
  assertEquals(end.data.transferred, Number(bytes));
  assertMatch(whole.html, /<h1>.*Completed<\/h1>/);
  assertMatch(whole.html, /<th scope="row">destination<\/th><td>127\.0\.0\.1:\d+<\/td>/);
  const curves = readCurves(whole.html);
  assertEquals([...curves.keys()], ["Throughput"]);
  const moved = area(curves.get("Throughput")!);
  assert(moved > end.data.transferred / 2 && moved < end.data.transferred * 1.05, `${moved}`);

  // Nobody listens there any more.
  const none = await through(target.uri);
  assertEquals(none.codes, [1, 1], none.said);
  assertEquals(order(none.lines), ["MIGRATION setup", "MIGRATION failed"]);
  assertMatch(none.html, /<p class="error">towards tcp:\S+: Failed to connect to .*<\/p>/);
});

Deno.test("a relay that a signal ends says that it was cancelled", async () => {
  using temp = temporaryDirectory();
  const to = `unix:${temp.path}/onward`;
  await using target = startProgram("target", ["--incoming", to]);
  await target.says(/listening on unix/);
  await using relay = startProgram("relay", [
    ...["--incoming", `unix:${temp.path}/in`, "--migrate", to, "--json"],
  ]);
  await relay.says(/listening on unix/);
  await using source = startProgram("source", [
    ...[
      "--migrate",
      `unix:${temp.path}/in`,
      "--guest-ram",
      "64M",
      "--parameter",
      "max-bandwidth=1M",
    ],
  ]);
  await relay.says(/"MIGRATION_PROGRESS"/);
  relay.signal("SIGTERM");
  assertEquals(await relay.exit, 143, relay.stderr());
  assertEquals(await source.exit, 1, source.stderr());
  const lines = readLines(relay.stdout());
  assertEquals(order(lines), ["setup", "active", "cancelled"].map((s) => `MIGRATION ${s}`));
  assertEquals(lines.at(-1)!.data.status, "cancelled");
  assert(lines.at(-1)!.data.transferred > 0);
});
