/** `--report` of both programs: where the page goes, and what happens when it cannot. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { virtcreds } from "../support/command.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { startTarget } from "./programs.ts";

const GUEST = ["--guest-ram", "1M"];

Deno.test("--report is refused at the start where it cannot be written", async () => {
  using temp = temporaryDirectory();
  const report = ["--report", `${temp.path}/no/r.html`];
  for (
    const args of [
      ["target", "--incoming", "tcp:127.0.0.1:0"],
      ["source", "--migrate", `file:${temp.path}/stream`, ...GUEST],
    ]
  ) {
    const { code, stderr } = await virtcreds(["migration", ...args, ...report]);
    assertEquals(code, 1, stderr);
    assertMatch(stderr, /^error: cannot write \S+r\.html: no such directory\nhint: .*mkdir -p /);
  }
  assertEquals([...Deno.readDirSync(temp.path)], []);
});

Deno.test("--report that fails at the end is a warning, and the migration what it was", async () => {
  using temp = temporaryDirectory();
  const folder = `${temp.path}/gone`;
  Deno.mkdirSync(folder);
  await using target = await startTarget([...GUEST, "--report", `${folder}/r.html`]);
  Deno.removeSync(folder);
  const { code, stdout, stderr } = await virtcreds(
    ["migration", "source", "--migrate", target.uri, ...GUEST],
  );
  assertEquals(code, 0, stderr);
  assertEquals(await target.exit, 0, target.stderr());
  assertMatch(target.stderr(), /warning: there is no report: cannot write /);
  assertEquals(target.stdout(), stdout);
});

Deno.test("--report is written where the migration that failed ends the target", async () => {
  using temp = temporaryDirectory();
  const [stream, page] = [`${temp.path}/cut`, `${temp.path}/r.html`];
  Deno.writeFileSync(stream, Uint8Array.of(0x51, 0x45, 0x56, 0x4d, 0, 0, 0, 3));
  const { code, stderr } = await virtcreds(
    ["migration", "target", "--incoming", `file:${stream}`, "--report", page],
  );
  assertEquals(code, 1, stderr);
  const html = Deno.readTextFileSync(page);
  assertStringIncludes(html, "Migration target: failed");
  assert(html.includes("the stream is not complete"), html.slice(0, 3000));
});
